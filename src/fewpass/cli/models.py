"""`fewpass models`"""

from fewpass.cli.tables import show


def models() -> None:
    """List the published models: image sizes, memory, licence, and the command that draws with each."""
    from fewpass.published import PUBLISHED

    rows = [[p.repository, p.family, p.images, p.memory, p.licence, p.command] for p in PUBLISHED]
    show(["model", "family", "images", "memory", "licence", "command"], rows)
