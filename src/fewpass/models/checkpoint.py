"""A checkpoint's folder: its weights, tokenizer and sampling defaults."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoTokenizer, GenerationConfig, PreTrainedConfig, PreTrainedTokenizerBase

from fewpass.core.sampling import Sampling
from fewpass.io.atomic import located
from fewpass.models.json_files import check_values, read_config, read_json, whole
from fewpass.models.weights import M, Mend, build, failure, load_weights, read_weights

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
DESCRIBED = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json")
WEIGHTS = (  # in the order in which transformers looks for them
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


@dataclass(frozen=True)
class Checkpoint:
    """A folder in transformers' format, or the files of an older one; `name` is the user's name for it.

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
        return read_config(self.folder / "config.json")

    def inside(self, name: str) -> "Checkpoint":
        """The checkpoint in a subfolder."""
        return replace(self, folder=self.folder / name)

    def weights(self, kind: type[M], absent: str | None = None, mend: Mend | None = None) -> M:
        """The model of class `kind`; see `load_weights`."""
        generation = self.folder / "generation_config.json"
        asked = read_json(generation) if generation.exists() else {}
        where = self.folder, self._weight_files()
        model = load_weights(kind, *where, self.device, self.dtype, self.options, absent, mend)
        words = model.get_input_embeddings().num_embeddings
        inside = whole(f"a token id below {words}", 0, words - 1)
        check_values(asked, dict.fromkeys(("bos_token_id", "pad_token_id", "boi_token_id"), inside), generation)
        return model

    def _weight_files(self) -> list[Path]:
        """The files that transformers reads the weights from.

        Raises ValueError if there are none, or one is not a file in the folder.
        """
        named = self.config.get("transformers_weights")
        first = next((name for name in ((named,) if named else WEIGHTS) if os.path.exists(self.folder / name)), None)
        if first is None:
            hint = f"; pickles (.bin) are not fetched: hf download {self.name} --local-dir FOLDER, and load FOLDER"
            none = f"there are no weights in {self.folder}: none of {', '.join(WEIGHTS)}"
            raise ValueError(none if located(self.name).exists() else none + hint)
        path = self.folder / first
        index = read_json(path).get("weight_map") or {} if first.endswith(".index.json") else {"": first}
        files = [self.folder / name for name in dict.fromkeys(index.values())]
        for file in files:
            if not os.path.isfile(file):  # False for a name that no file can have, too
                raise ValueError(f"cannot read the model in {self.folder}: {file.name} is not a file in it")
        return files

    def built(self, kind: type[M], config: PreTrainedConfig, tensors: dict[str, Tensor]) -> M:
        """The model of class `kind` out of `tensors` that were read from another format."""
        return build(kind, config, tensors, self.device, self.dtype, self.options)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Raises ValueError if there is none: transformers would make an empty one."""
        if not any((self.folder / name).is_file() for name in TOKENIZERS):
            raise ValueError(f"there is no tokenizer in {self.folder}: none of {', '.join(TOKENIZERS)}")
        for name in DESCRIBED:
            if (self.folder / name).exists():
                read_json(self.folder / name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
            tokenizer("a")  # some faults show only when it is used
        except Exception as error:  # tokenizers raise errors of all kinds
            files = ", ".join(name for name in (*TOKENIZERS, *DESCRIBED) if (self.folder / name).exists())
            why = failure(error, self.folder)
            raise ValueError(f"cannot read the tokenizer in {self.folder} ({files}): {why}") from error
        older = self.folder / "chat_template.json"  # where processors kept it once, and tokenizers do not look
        if tokenizer.chat_template is None and older.is_file():
            tokenizer.chat_template = read_json(older).get("chat_template")
        return tokenizer

    def tensors(self, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
        """The tensors whose names are `wanted`, also tensors that transformers does not read.

        From safetensors; from `pytorch_model*.bin`, read as data, if those hold none of them.
        """
        found: dict[str, Tensor] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    found |= {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118
            except (SafetensorError, OSError) as error:
                raise ValueError(f"cannot read {path}: {failure(error, path)}") from error
        pickles = [] if found else sorted(self.folder.glob("pytorch_model*.bin"))
        return found | {name: w for path in pickles for name, w in read_weights(path).items() if wanted(name)}


def sampling_of(config: GenerationConfig, otherwise: Sampling) -> Sampling:
    """Sampling of generation_config.json; keys that it lacks are taken from `otherwise`, the authors' sampling."""
    return Sampling(
        otherwise.temperature if config.temperature is None else config.temperature,
        otherwise.top_k if config.top_k is None else config.top_k,
        otherwise.top_p if config.top_p is None else config.top_p,
        otherwise.min_p if config.min_p is None else config.min_p,
    )


def first(token: int | list[int]) -> int:
    """The only or first end token of a configuration."""
    return token if isinstance(token, int) else token[0]
