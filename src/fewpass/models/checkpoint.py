"""A checkpoint's folder: its weights, tokenizer and sampling defaults; and networks without a checkpoint."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoTokenizer, GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from fewpass.core.sampling import Sampling
from fewpass.io.atomic import located
from fewpass.models.files import read_json, read_weights

M = TypeVar("M", bound=PreTrainedModel)
Mend = Callable[[PreTrainedModel, list[str]], list[str]]  # fill in weights of another shape; which are still wrong?

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
TEMPLATE = "chat_template.json"  # where processors kept it once, and tokenizers do not look
LONGEST = 200  # letters of a file's name in a message
DESCRIBED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", TEMPLATE)
WEIGHTS = (  # in the order in which transformers looks for them
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)

PER_BYTE = 4  # weights at most, however they are quantised
ABSENT = 2**27  # weights that a checkpoint may lack: an encoder of images
SPREAD = 0.02  # of random weights; no pass takes longer or shorter for it


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
        return read_json(self.folder / "config.json")

    @property
    def home(self) -> Path:
        """The folder, also of a checkpoint that is a file."""
        return self.folder if self.folder.is_dir() else self.folder.parent

    def inside(self, name: str) -> "Checkpoint":
        """The checkpoint in a subfolder."""
        return replace(self, folder=self.folder / name)

    def weights(self, kind: type[M], absent: str | None = None, mend: Mend | None = None) -> M:
        """The model of class `kind`, on its device unless `options` place it.

        Weights whose names begin with `absent` may be missing; `mend` may fill in weights of another shape.
        Raises ValueError if a weight is missing or has the wrong shape: transformers would fill it with random
        numbers without an error.
        """
        if (generation := self.folder / "generation_config.json").exists():
            GenerationConfig.from_dict(read_json(generation))  # from_pretrained ignores one that it cannot read
        check_size(kind, self.folder, self._weight_files())
        loading = {"output_loading_info": True, "local_files_only": True, "ignore_mismatched_sizes": True}
        model, info = kind.from_pretrained(self.folder, dtype=self.dtype, **loading, **self.options)
        missing = [name for name in info["missing_keys"] if absent is None or not name.startswith(absent)]
        wrong = [entry[0] if isinstance(entry, tuple) else entry for entry in info["mismatched_keys"]]
        if wrong and mend is not None:
            wrong = mend(model, wrong)
        for what, names in (("missing weights", missing), ("weights of the wrong shape", wrong)):
            if names:
                raise ValueError(f"{self.folder}: {what}: {', '.join(sorted(names)[:5])}")
        return self._placed(model)

    def built(self, kind: type[M], config: PreTrainedConfig, tensors: dict[str, Tensor]) -> M:
        """The model of class `kind` out of `tensors` that were read from another format, all of them."""
        return self._placed(
            kind.from_pretrained(None, config=config, state_dict=tensors, dtype=self.dtype, **self.options)
        )

    def _placed(self, model: M) -> M:
        return model if {"device_map", "quantization_config"} & self.options.keys() else model.to(self.device)

    def _weight_files(self) -> list[Path]:
        """The files that transformers reads the weights from.

        Raises ValueError if there are none, or one is not a file in the folder.
        """
        named = self.config.get("transformers_weights")
        known = (named,) if named else WEIGHTS
        first = next((name for name in known if os.path.exists(self.folder / name)), None)
        if first is None:
            hint = f"; pickles (.bin) are not fetched: hf download {self.name} --local-dir FOLDER, and load FOLDER"
            none = f"there are no weights in {self.folder}: none of {', '.join(name[:LONGEST] for name in known)}"
            raise ValueError(none if located(self.name).exists() else none + hint)
        index = first.endswith(".index.json")
        names = [Path(name) for name in (read_json(self.folder / first)["weight_map"].values() if index else [first])]
        for name in names:
            if name.is_absolute() or ".." in name.parts or not os.path.isfile(self.folder / name):
                raise ValueError(f"cannot read the model in {self.folder}: {name} is not a file in it")
        return [self.folder / name for name in dict.fromkeys(names)]

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Raises ValueError if there is none: transformers would make an empty one."""
        if not any((self.folder / name).is_file() for name in TOKENIZERS):
            raise ValueError(f"there is no tokenizer in {self.folder}: none of {', '.join(TOKENIZERS)}")
        described = {name: read_json(self.folder / name) for name in DESCRIBED if (self.folder / name).exists()}
        tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        tokenizer("a")  # some faults show only when it is used
        if tokenizer.chat_template is None:
            tokenizer.chat_template = described.get(TEMPLATE, {}).get("chat_template")
        return tokenizer

    def tensors(self, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
        """The tensors whose names are `wanted`, also tensors that transformers does not read.

        From safetensors; from `pytorch_model*.bin`, read as data, if those hold none of them.
        """
        found: dict[str, Tensor] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118
        pickles = [] if found else sorted(self.folder.glob("pytorch_model*.bin"))
        return found | {name: w for path in pickles for name, w in read_weights(path).items() if wanted(name)}


def check_size(kind: type[PreTrainedModel], folder: Path, files: Sequence[Path]) -> None:
    """Raise ValueError if the model of config.json has far more weights than `files` can hold.

    transformers would set up the whole model before it compares: a width of a million takes all memory.
    """
    stored = sum(path.stat().st_size for path in files)
    with torch.device("meta"), no_init_weights():
        config = kind.config_class.from_pretrained(folder)
        needed = sum(w.numel() for w in kind._from_config(config, attn_implementation="sdpa").parameters())
    if needed > PER_BYTE * stored + ABSENT:
        raise ValueError(f"config.json describes a model of {needed} weights, which {stored} bytes cannot hold")


def untrained_network(kind: type[M], config: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> M:
    """A model of class `kind` as config.json describes it, with random weights, to measure speed and memory."""
    with torch.device(device), no_init_weights():
        model = kind._from_config(kind.config_class.from_dict(dict(config)), dtype=dtype, attn_implementation="sdpa")
    scatter(model)
    return model


@torch.no_grad()
def scatter(module: nn.Module) -> None:
    """Random numbers in all matrices, ones in the scales of norms, zeros in biases: nothing overflows."""
    chance = torch.Generator(next(module.parameters()).device).manual_seed(0)
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            weight.normal_(0, SPREAD, generator=chance)
        else:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)


def sampling_of(config: GenerationConfig, otherwise: Sampling) -> Sampling:
    """Sampling of generation_config.json; keys that it lacks are taken from `otherwise`, the authors' sampling."""
    given = {name: getattr(config, name) for name in vars(otherwise)}
    return replace(otherwise, **{name: value for name, value in given.items() if value is not None})


def first(token: int | list[int]) -> int:
    """The only or first end token of a configuration."""
    return token if isinstance(token, int) else token[0]
