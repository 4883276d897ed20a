"""Nothing that the site shows may come from elsewhere: a build that would fetch something fails."""

import re
from pathlib import Path
from typing import Any

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b(?![^>]*rel=["'](?:canonical|prev|next)["'])[^>]*\bhref=["'](?:https?:)?//[^"']+"""
    r"""|(?:@import|url\()\s*["']?(?:https?:)?//[^"')]+"""
)


def on_post_build(config: Any) -> None:
    """Called by mkdocs with all pages and style sheets on disk."""
    from mkdocs.exceptions import PluginError

    for path in sorted(Path(config["site_dir"]).rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in fetched(path.read_text(encoding="utf-8")):
                raise PluginError(f"{path}: fetches from elsewhere: {found}")


def fetched(text: str) -> list[str]:
    """The places in a page or a style sheet that make a browser fetch something from another host."""
    return FETCHED.findall(text)
