"""What clients call the model."""

from fewpass.io.atomic import located


def public_name(name: str) -> str:
    """Where the server keeps its files is not for clients: of a folder, which may be in any message, the last part."""
    folder = located(name)
    return folder.resolve().name if folder.is_dir() else name
