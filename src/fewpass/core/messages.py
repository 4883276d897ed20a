"""Values and near matches in messages of one line."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches


def shown(value: object, limit: int = 60) -> str:
    """`value` for a message of one line: its repr, of which at most about `limit` characters are kept."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 3, limit, limit, limit
    try:
        text = short.repr(value).replace("\n", " ")
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"<{type(value).__name__} too long to print>"
    return text if len(text) <= limit else f"{text[:limit]}..."


LONGEST = 80  # letters: the comparison takes as long as their square


def meant(name: str, known: Iterable[str]) -> str:
    """The known names near to `name`, to stand behind it: ` (did you mean 'sjd'?)`; nothing if none is near.

    The owner of a repository may be missing in `name`.
    """
    spelled = {part: one for one in known for part in (one.lower(), one.lower().rpartition("/")[2])}
    near = dict.fromkeys(repr(spelled[part]) for part in get_close_matches(name[:LONGEST].lower(), spelled))
    return f" (did you mean {' or '.join(near)}?)" if near else ""
