"""What clients call the model."""

from pathlib import Path


def public_name(name: str) -> str:
    """Where the server keeps its files is not for clients: of a folder, which may be in any message, the last part."""
    return Path(name).resolve().name if Path(name).is_dir() else name
