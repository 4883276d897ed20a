"""Which pages may use the server from browsers."""

import re
from collections.abc import Sequence
from typing import Any

from fewpass.core.messages import shown

ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:[0-9]+)?")


def cors_options(origins: Sequence[str]) -> dict[str, Any]:
    """The options of Starlette's `CORSMiddleware` for pages of these origins, "*" for any.

    Raises ValueError for what no browser sends as an origin.
    """
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"an origin must be * or like https://example.org, got {shown(origin)}")
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["*"],
        "expose_headers": ["Retry-After"],
    }
