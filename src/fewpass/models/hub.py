"""Folders by their path, or by the name of a repository on the Hugging Face hub."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from fewpass.models.weights import one_line

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]  # no pickles, no code
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
CONFIGS = ("config.json", "model_index.json")


def fetch(name: str, revision: str | None, local_files_only: bool) -> Path | None:
    """The folder `name`, or a repository of that name, downloaded; None if there is neither.

    Raises ValueError if there is a repository but it cannot be had.
    """
    folder = Path(name)
    if any((folder / config).is_file() for config in CONFIGS):
        return folder
    if folder.exists() or not REPOSITORY.fullmatch(name):
        return None
    try:
        path = snapshot_download(name, revision=revision, local_files_only=local_files_only, allow_patterns=FILES)
    except GatedRepoError:
        raise ValueError(f"{name} is gated: accept its conditions on the hub and log in") from None
    except RevisionNotFoundError:
        raise ValueError(f"{name} has no revision {revision!r}") from None
    except RepositoryNotFoundError:
        return None
    except LocalEntryNotFoundError:
        why = "not among what was downloaded before" if local_files_only else "the hub cannot be reached"
        raise ValueError(f"{name!r} is no folder, and {why}") from None
    except (HfHubHTTPError, OSError) as error:
        raise ValueError(f"cannot download {name}: {one_line(error)}") from error
    return Path(path)
