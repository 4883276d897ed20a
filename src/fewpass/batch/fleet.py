"""Entries to images on a Ray cluster: one worker for each GPU, or for some CPU cores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fewpass.batch.draw import draw
from fewpass.batch.entries import Entry, by_options
from fewpass.batch.results import Drawn, Failed, Outcome
from fewpass.integrations.ray import Crew, connected, last_line, quiet


@dataclass(frozen=True)
class Fleet(Crew):
    """Workers that draw the entries of a batch."""

    def draw(self, entries: Sequence[Entry], batch_size: int) -> Iterator[Outcome]:
        """Draw entries, `batch_size` at a time on each worker, and yield their outcomes in any order.

        The images do not depend on the workers. The entries of a worker that dies are drawn by another.

        Raises:
            ValueError: if the cluster cannot be reached, is too small, or its workers cannot start.
        """
        import ray.data
        from ray.exceptions import RayError

        ordered = by_options(entries)
        parts = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
        waiting = {entry.id: entry for entry in ordered}
        with connected(self.address), _without_bars():
            workers, share = self.share(ray.cluster_resources())
            items = [{"entries": json.dumps([entry.to_json() for entry in part])} for part in parts]
            drawn = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                Worker,
                fn_constructor_args=(self, self.source, share, batch_size),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=workers),
                **share,
            )
            try:
                for row in drawn.iter_rows():
                    if entry := waiting.pop(row["id"], None):  # one outcome each, if a worker dies later
                        yield _outcome(entry, row)
            except RayError as error:
                raise ValueError(f"Ray: {last_line(error)}") from error


class Worker:
    """A process of the cluster with the model in memory."""

    def __init__(self, fleet: Fleet, source: str, share: Mapping[str, int], batch_size: int):
        self.fleet, self.batch_size = fleet, batch_size
        self.pipe = fleet.open(source, share)

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        """Draw the entries of a block of Ray Data, and return its columns."""
        entries = [Entry.from_json(text) for part in batch["entries"] for text in json.loads(part)]
        outcomes = list(draw(self.pipe, self.fleet.dtype, entries, self.batch_size))
        return {
            "id": [outcome.entry.id for outcome in outcomes],
            "png": [outcome.png if isinstance(outcome, Drawn) else b"" for outcome in outcomes],
            "record": [json.dumps(outcome.record) if isinstance(outcome, Drawn) else "" for outcome in outcomes],
            "error": [outcome.error if isinstance(outcome, Failed) else "" for outcome in outcomes],
        }


def _outcome(entry: Entry, row: Mapping[str, Any]) -> Outcome:
    if row["png"]:
        return Drawn(entry, row["png"], json.loads(row["record"]))
    return Failed(entry, row["error"])


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep progress bars and log lines of Ray Data off the terminal."""
    from ray.data import DataContext

    context = DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = False
    try:
        with quiet("ray.data"):
            yield
    finally:
        context.enable_progress_bars = before
