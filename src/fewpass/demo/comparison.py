"""Drawings that share one machine."""

import time
from collections.abc import Callable, Iterator, Sequence

from fewpass.demo.drawing import Stream

LEAST = 0.1  # seconds between two looks


class Race:
    """Streams that take turns: the next pass belongs to the one that has had the least of the machine's time.

    While both draw, neither is ahead of the other by more than one pass's time. So who finishes first here is also
    the first where each has the machine to itself, and its own `trace.seconds` are what it would have taken there.
    """

    def __init__(self, streams: Sequence[Stream]):
        self.streams = streams

    @property
    def over(self) -> bool:
        return all(stream.finished for stream in self.streams)

    @property
    def same(self) -> bool:
        """Have all drawn the same tokens?"""
        first, *others = (stream.canvas.tokens[:, : stream.job.grid.size] for stream in self.streams if stream.canvas)
        return all(other.equal(first) for other in others)

    def turn(self) -> None:
        """One pass of one drawing."""
        going = [stream for stream in self.streams if not stream.finished]
        turn = min(going, key=lambda stream: stream.trace.seconds)
        next(turn)

    def looks(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Race until all have finished or `stopped` says so; pause whenever the drawings are worth another look.

        Looks are rare enough to take a third of the time at most, whatever the caller does with them.
        """
        due = 0.0
        while not self.over and not stopped():
            self.turn()
            if time.perf_counter() >= due:
                began = time.perf_counter()
                yield
                ended = time.perf_counter()
                due = ended + max(LEAST, 2 * (ended - began))
