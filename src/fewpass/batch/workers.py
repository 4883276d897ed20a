"""Entries to images on a Ray cluster: one worker for each GPU, or for some CPU cores."""

import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from fewpass.batch.draw import draw
from fewpass.batch.entries import Entry, by_options
from fewpass.batch.results import Outcome
from fewpass.loading import load

CORES = 4  # of a worker, by default


@dataclass(frozen=True)
class Workers:
    """Workers that hold the model each: one for every GPU of a cluster, or for some CPU cores.

    `count` None is as many as fit, `cores` None as many as there are for each, up to 4, where there are no GPUs.
    Every machine of the cluster must be able to read `model`.
    """

    address: str
    model: str
    device: str | None = None
    dtype: str | None = None
    count: int | None = None
    cores: int | None = None
    compile: bool = False

    def check(self) -> None:
        """Raise ImportError if Ray is missing, ValueError if the device is one that Ray would have to choose."""
        if find_spec("ray") is None:
            raise ImportError('--ray needs Ray: pip install "fewpass[ray]"')
        if self.device not in (None, "cpu", "cuda"):
            raise ValueError(f"with --ray a device is cpu or cuda, not {self.device!r}: Ray chooses the GPU")

    def share(self, resources: Mapping[str, float]) -> tuple[int, dict[str, int]]:
        """The number of workers on a cluster with these resources, and the options of each of them for Ray.

        Raises ValueError if that is more than there is.
        """
        gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        if gpus and self.device != "cpu":
            fit, share = gpus, {"num_gpus": 1}
        else:
            each = self.cores or max(1, min(CORES, cores // (self.count or 1)))
            fit, share = cores // each, {"num_cpus": each}
        count = fit if self.count is None else self.count
        if not 1 <= count <= fit:
            raise ValueError(f"{count} workers do not fit: the cluster has {cores} cores and {gpus} GPUs")
        return count, share


def draw_on_ray(workers: Workers, entries: Sequence[Entry], batch_size: int) -> Iterator[Outcome]:
    """Draw entries, `batch_size` at a time on each worker, and yield their outcomes in any order.

    The images do not depend on the workers. The entries of a worker that dies are drawn by another.

    Raises:
        ValueError: if the cluster cannot be reached, is too small, or its workers cannot start.
    """
    import ray.data
    from ray.exceptions import RayError

    ordered = by_options(entries)
    parts = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    # A folder by its whole path, since workers run in other ones.
    source = str(Path(workers.model).resolve()) if Path(workers.model).is_dir() else workers.model
    with _connected(workers.address):
        ray.data.DataContext.get_current().enable_progress_bars = False
        count, share = workers.share(ray.cluster_resources())
        items = [{"part": pickle.dumps(part)} for part in parts]
        drawn = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            fn_constructor_args=(workers, source, share, batch_size),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=count),
            **share,
        )
        try:
            for row in drawn.iter_rows():
                yield from pickle.loads(row["outcomes"])
        except RayError as error:
            raise ValueError(f"Ray: {_last_line(error)}") from error


class Worker:
    """A process of the cluster with the model in memory."""

    def __init__(self, workers: Workers, source: str, share: Mapping[str, int], batch_size: int):
        if cores := share.get("num_cpus"):
            torch.set_num_threads(cores)
        self.pipe, self.batch_size = load(source, workers.device, workers.dtype, compile=workers.compile), batch_size
        self.pipe.model.name = workers.model  # as the user spells it, wherever this process runs
        self.pipe.model.check_ready()

    def __call__(self, batch: Mapping[str, Sequence[bytes]]) -> dict[str, list[Any]]:
        """Draw the entries of a block of Ray Data, and return its column of outcomes."""
        parts = map(pickle.loads, batch["part"])
        return {"outcomes": [pickle.dumps(list(draw(self.pipe, part, self.batch_size))) for part in parts]}


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connect to Ray, unless this process is, and disconnect at the end. Raises ValueError if there is no cluster."""
    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises all kinds
            raise ValueError(f"cannot reach the Ray cluster {address!r}: {_last_line(error)}") from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _last_line(error: Exception) -> str:
    """The message of an error that Ray has wrapped in tracebacks."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
