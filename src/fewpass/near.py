"""Known names that are spelled like an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 80  # letters: the comparison takes as long as their square


def meant(name: str, known: Iterable[str]) -> str:
    """The known names near to `name`, to stand behind it: ` (did you mean 'sjd'?)`; nothing if none is near.

    The owner of a repository may be missing in `name`.
    """
    spelled = {part: one for one in known for part in (one.lower(), one.lower().rpartition("/")[2])}
    near = dict.fromkeys(repr(spelled[part]) for part in get_close_matches(name[:LONGEST].lower(), spelled))
    return f" (did you mean {' or '.join(near)}?)" if near else ""
