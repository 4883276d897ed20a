"""Values in messages."""

import reprlib


def shown(value: object, limit: int = 60) -> str:
    """`value` for a message of one line: its repr, of which at most about `limit` characters are kept."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 3, limit, limit, limit
    try:
        text = short.repr(value).replace("\n", " ")
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"<{type(value).__name__} too long to print>"
    return text if len(text) <= limit else f"{text[:limit]}..."
