"""The models that the page offers."""

from collections.abc import Callable, Sequence

from fewpass.core.messages import meant
from fewpass.pipeline import Pipeline


class Shelf:
    """Models by their names, loaded when they are asked for; one at a time is kept in memory."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Pipeline]):
        self.names, self._load = list(dict.fromkeys(names)), load
        self._held: tuple[str, Pipeline] | None = None

    def __getitem__(self, name: str) -> Pipeline:
        """Raises ValueError for a model that is not offered, or cannot be loaded."""
        if name not in self.names:
            raise ValueError(
                f"there is no model {name!r} here{meant(name, self.names)}; there is {', '.join(self.names)}"
            )
        if self._held is None or self._held[0] != name:
            self._held = None  # so that two are never in memory
            self._held = name, self._load(name)
        return self._held[1]
