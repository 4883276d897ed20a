"""The model families, imported on demand."""

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from fewpass.core.messages import meant, shown
from fewpass.models.base import Model
from fewpass.models.checkpoint import Checkpoint
from fewpass.models.files import read_json, reading
from fewpass.models.hub import ADAPTER, DESCRIPTIONS, FILES, fetch, has_config, saved_by_torch
from fewpass.models.zoo import BUNDLED, PUBLISHED, substitute_for

FAMILIES = {  # `model_type` of config.json -> where its class is
    "janus": "fewpass.models.janus:Janus",
    "emu3": "fewpass.models.emu3:Emu3",
    "chameleon": "fewpass.models.chameleon:Chameleon",
    "glm_image": "fewpass.models.glm_image:GlmImage",
    "llamagen": "fewpass.models.llamagen:LlamaGen",
}
GROUP = "fewpass.models"  # the entry points by which other packages add families: model_type = "package.module:Class"


def load_model(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    options: dict[str, Any],
    revision: str | None = None,
    local_files_only: bool = False,
) -> Model:
    """The model in a folder or a repository of the hub, or a bundled one by its name.

    Of a repository, the configurations are downloaded first, and the rest if the family is supported.
    Raises ValueError if there is none, or none of a family that is known.
    """
    described = _folder(name, revision, local_files_only, DESCRIPTIONS)
    kind = _class(family_of(described), described)
    folder = _folder(name, revision, local_files_only, FILES)
    with reading(f"cannot read the model in {folder}", Path(name), folder):
        if (config := _config(folder)).exists():
            kind.kind.config_class.from_dict(read_json(config))  # before it is read together with the tokenizer
        return kind.load(Checkpoint(name, folder, device, dtype, options))


def _folder(name: str, revision: str | None, local_files_only: bool, files: Sequence[str]) -> Path:
    folder = BUNDLED.get(name) or fetch(name, revision, local_files_only, files)
    if folder is None:
        near = meant(name, [*BUNDLED, *(published.repository for published in PUBLISHED)])
        raise ValueError(
            f"unknown model {shown(name)}{near}: neither a bundled one ({', '.join(BUNDLED)}), nor a folder with a"
            " config.json or .pt files, nor a repository of the hub"
        )
    return folder


def folder_of(name: str) -> Path:
    """Where a model lies that has been loaded by this name. Raises ValueError if it is not here."""
    return _folder(name, None, True, FILES)


def wrap_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> Model:
    """A model of transformers that is loaded already, or one of peft. Raises ValueError if its family is not known."""
    inside = getattr(model, "get_base_model", None)
    model = inside() if inside else model  # the adapters of peft are in its layers
    if not isinstance(getattr(model, "config", None), PreTrainedConfig):
        raise ValueError(f"model must be a model of transformers, got {shown(model)}")
    name = model.config.name_or_path or type(model).__name__
    return _class(model.config.model_type, name)(model, tokenizer, name)


def untrained_model(config: Mapping[str, Any], name: str, device: torch.device, dtype: torch.dtype) -> Model:
    """The model that a config.json describes, with random weights and no tokenizer.

    Raises ValueError if it describes none of a family that is known.
    """
    kind = _class(str(config.get("model_type")), name)
    with reading(f"no model can be built of {name}"):
        return kind.untrained(config, name, device, dtype)


def family_of(folder: Path) -> str:
    """The `model_type` in config.json; a pipeline of diffusers has that of the part that draws tokens.

    LlamaGen is published as files of torch, without any config.
    """
    if not has_config(folder) and (folder.is_file() or saved_by_torch(folder)):
        return "llamagen"
    path = _config(folder)
    if (folder / ADAPTER).is_file() and not path.exists():
        base = read_json(folder / ADAPTER).get("base_model_name_or_path") or "its base model"
        raise ValueError(
            f"{folder} holds only an adapter: load {base} with transformers and the adapter with peft, then use"
            " fewpass.wrap"
        )
    if path.parent != folder:
        read_json(folder / "model_index.json")
    config = read_json(path)
    family = str(config.get("model_type"))
    if family not in known_families() and "auto_map" in config and substitute_for(family) is None:
        raise ValueError(f"{folder}: {family!r} comes with code of its own, which fewpass does not run; {_known()}")
    return family


def _config(folder: Path) -> Path:
    """Where config.json is: in a pipeline of diffusers, beside the weights of the part that draws tokens."""
    whole = folder / "config.json"
    pipeline = (folder / "model_index.json").is_file() and not whole.exists()
    return folder / "vision_language_encoder" / "config.json" if pipeline else whole


def known_families() -> dict[str, str]:
    """Ours, and those of other packages that have other names."""
    return FAMILIES | {p.name: p.value for p in entry_points(group=GROUP) if p.name not in FAMILIES}


def _class(family: str, where: object) -> type[Model]:
    try:
        module, kind = known_families()[family].split(":")
    except KeyError:
        if substitute := substitute_for(family):
            raise ValueError(substitute.refusal(f"{where} ({family!r})")) from None
        raise ValueError(f"{where}: unknown model family {family!r}; {_known()}") from None
    return getattr(importlib.import_module(module), kind)


def _known() -> str:
    return f"known are {', '.join(known_families())}"
