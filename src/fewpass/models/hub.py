"""Folders and files by their path, or by the name of a repository on the Hugging Face hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import PreTrainedConfig

from fewpass.io.atomic import located
from fewpass.models.files import TORCH, one_line
from fewpass.models.zoo import substitute_for

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]  # no code, and no pickles unless requested by name
REPOSITORY = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:/(\w[\w.-]*\.pth?))?")  # and one of its files
ADAPTER = "adapter_config.json"
CONFIGS = ("config.json", "model_index.json", ADAPTER)
DESCRIPTIONS = ["*config.json", "model_index.json"]  # they name the model family, and are small
BESIDE = ("vq_ds16*.pt", "fewpass.json")  # the image tokenizer and the settings of a language model in a file of torch


def fetch(name: str, revision: str | None, local_files_only: bool, files: Sequence[str] = FILES) -> Path | None:
    """The folder or file `name`, or a repository of that name or a file in one, downloaded; None if there is neither.

    `files` are the patterns of the files to download where none is named.
    Raises ValueError if there is a repository but it cannot be had.
    """
    path = located(name)
    found = REPOSITORY.fullmatch(name)
    try:
        if has_config(path) or (path.is_file() and path.suffix in TORCH) or saved_by_torch(path):
            return path
        if path.exists() or not found:
            return None
    except (OSError, ValueError):  # no path at all: too long, or with a zero byte
        return None
    repository, file = found.groups()
    if substitute := substitute_for(repository):
        raise ValueError(substitute.refusal(repository))
    wanted = [file, *BESIDE] if file else list(files)
    try:
        folder = snapshot_download(
            repository, revision=revision, local_files_only=local_files_only, allow_patterns=wanted
        )
    except GatedRepoError:
        raise ValueError(f"{name} is gated: accept its conditions on the hub and log in") from None
    except RevisionNotFoundError:
        raise ValueError(f"{name} has no revision {revision!r}") from None
    except RepositoryNotFoundError:
        return None
    except LocalEntryNotFoundError as error:
        if incomplete := getattr(error, "snapshot_path", None):
            # Files are absent that match the patterns. Only the loader can decide whether it needs them.
            return _found(incomplete, repository, file)
        why = "not among the earlier downloads" if local_files_only else "the hub cannot be reached"
        raise ValueError(f"{name!r} is no folder, and {why}") from None
    except (HfHubHTTPError, OSError) as error:
        raise ValueError(f"cannot download {name}: {one_line(error)}") from error
    return _found(folder, repository, file)


def loaded_revision(config: PreTrainedConfig) -> str | None:
    """The commit of the hub that transformers has loaded a model from; None for that of the main branch.

    The configuration holds it up to transformers 5.23. Since then it is known if a single one is in the cache.
    """
    home = Path(constants.HF_HUB_CACHE, f"models--{config.name_or_path.replace('/', '--')}")
    commits = [path.name for path in home.glob("snapshots/*")]
    return getattr(config, "_commit_hash", None) or (commits[0] if len(commits) == 1 else None)


def _found(snapshot: str, repository: str, file: str | None) -> Path:
    path = Path(snapshot, file or "")
    if not path.exists():
        raise ValueError(f"{repository} has no file {file}, or it was not downloaded")
    return path


def saved_by_torch(folder: Path) -> list[Path]:
    """The files of `torch.save` in a folder."""
    return sorted(path for suffix in TORCH for path in folder.glob(f"*{suffix}"))


def has_config(folder: Path) -> bool:
    """True for a folder with a configuration of a model, a pipeline or an adapter."""
    return any((folder / config).is_file() for config in CONFIGS)
