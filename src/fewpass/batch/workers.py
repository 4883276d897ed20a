"""Entries to images on a Ray cluster: one worker for each GPU, or for some CPU cores."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fewpass.batch.draw import draw
from fewpass.batch.entries import Entry, Outcome, by_options
from fewpass.integrations.ray import Processes, connected, last_line


def draw_on_ray(workers: Processes, entries: Sequence[Entry], batch_size: int) -> Iterator[Outcome]:
    """Draw entries, `batch_size` at a time on each worker, and yield their outcomes in any order.

    The images do not depend on the workers. The entries of a worker that dies are drawn by another.
    Raises ValueError if the cluster cannot be reached, is too small, or its workers cannot start.
    """
    import ray.data
    from ray.exceptions import RayError

    ordered = by_options(entries)
    parts = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    with connected(workers.address, "ray.data"):
        ray.data.DataContext.get_current().enable_progress_bars = False
        count, share = workers.share(ray.cluster_resources())
        items = [{"part": pickle.dumps(part)} for part in parts]
        drawn = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            fn_constructor_args=(workers, workers.source, share, batch_size),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=count),
            **share,
        )
        try:
            for row in drawn.iter_rows():
                yield from pickle.loads(row["outcomes"])
        except RayError as error:
            raise ValueError(f"Ray: {last_line(error)}") from error


class Worker:
    """A process of the cluster with the model in memory."""

    def __init__(self, workers: Processes, source: str, share: Mapping[str, int], batch_size: int):
        self.pipe, self.batch_size = workers.open(source, share), batch_size

    def __call__(self, batch: Mapping[str, Sequence[bytes]]) -> dict[str, list[Any]]:
        """Draw the entries of a block of Ray Data, and return its column of outcomes."""
        parts = map(pickle.loads, batch["part"])
        return {"outcomes": [pickle.dumps(list(draw(self.pipe, part, self.batch_size))) for part in parts]}
