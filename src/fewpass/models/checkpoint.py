"""Where a checkpoint is, and how it is to be loaded."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from fewpass.models.torch_files import read_weights
from fewpass.models.weights import M, Mend, build, load_weights, one_line

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True)
class Checkpoint:
    """A folder in transformers' format, or the files of an older one; `name` is what the user called it.

    `options` go to `from_pretrained`. With a `device_map` or a quantisation the weights are placed by transformers,
    and `device` is where all else goes.
    """

    name: str
    folder: Path
    device: torch.device
    dtype: torch.dtype
    options: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """config.json. Raises ValueError if it is none."""
        return read_json(self.folder / "config.json")

    def inside(self, name: str) -> "Checkpoint":
        """The checkpoint in a subfolder."""
        return replace(self, folder=self.folder / name)

    def weights(self, kind: type[M], absent: str | None = None, mend: Mend | None = None) -> M:
        """The model of class `kind`; see `load_weights`."""
        return load_weights(kind, self.folder, self.device, self.dtype, self.options, absent, mend)

    def built(self, kind: type[M], config: PreTrainedConfig, tensors: dict[str, Tensor]) -> M:
        """The model of class `kind` out of `tensors` that were read from another format."""
        return build(kind, config, tensors, self.device, self.dtype, self.options)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Raises ValueError if there is none: transformers would make an empty one."""
        if not any((self.folder / name).is_file() for name in TOKENIZERS):
            raise ValueError(f"there is no tokenizer in {self.folder}: none of {', '.join(TOKENIZERS)}")
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # what a tokenizer that is not there raises depends on its class
            raise ValueError(f"cannot read the tokenizer in {self.folder}: {one_line(error)}") from error
        older = self.folder / "chat_template.json"  # where processors kept it once, and tokenizers do not look
        if tokenizer.chat_template is None and older.is_file():
            tokenizer.chat_template = read_json(older).get("chat_template")
        return tokenizer

    def tensors(self, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
        """The tensors whose names are `wanted`, whether transformers has a place for them or not.

        From safetensors; from `pytorch_model*.bin`, read as data, if those hold none of them.
        """
        found: dict[str, Tensor] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    found |= {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118
            except (SafetensorError, OSError) as error:
                raise ValueError(f"cannot read {path}: {one_line(error)}") from error
        pickles = [] if found else sorted(self.folder.glob("pytorch_model*.bin"))
        return found | {name: w for path in pickles for name, w in read_weights(path).items() if wanted(name)}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ValueError if the file does not hold one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"cannot read {path}: it is not a JSON object")
    return content
