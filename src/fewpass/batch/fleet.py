"""A batch drawn by the workers of a Ray cluster: one for each GPU, or for some CPU cores."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from fewpass.batch.draw import draw
from fewpass.batch.entries import Entry, by_options
from fewpass.batch.outcome import Drawn, Failed, Outcome
from fewpass.loading import load

CORES = 4  # of a worker, if nobody says how many


@dataclass(frozen=True)
class Fleet:
    """Which cluster, how many workers on it, and how many cores each of them has where there are no GPUs.

    `workers` None is as many as fit, `cores` None as many as there are for each, up to 4. Every machine of the
    cluster must be able to read `model`.
    """

    address: str
    model: str
    device: str | None = None
    dtype: str | None = None
    workers: int | None = None
    cores: int | None = None
    compile: bool = False

    def check(self) -> None:
        """Raise ValueError if Ray is missing or the device is one that Ray would have to choose."""
        if find_spec("ray") is None:
            raise ValueError('--ray needs Ray: pip install "fewpass[ray]"')
        if self.device not in (None, "cpu", "cuda"):
            raise ValueError(f"with --ray a device is cpu or cuda, not {self.device!r}: Ray says which one")

    def draw(self, entries: Sequence[Entry], together: int) -> Iterator[Outcome]:
        """What becomes of each entry, in any order; `together` are drawn at once by a worker.

        The images do not depend on the workers. What a worker had in hands when it died is drawn by another.
        Raises ValueError if the cluster cannot be reached, is too small, or its workers cannot start.
        """
        import ray.data
        from ray.exceptions import RayError

        ordered = by_options(entries)
        parts = [ordered[start : start + together] for start in range(0, len(ordered), together)]
        waiting = {entry.id: entry for entry in ordered}
        with _cluster(self.address):
            workers, share = self._share(ray.cluster_resources())
            items = [{"entries": json.dumps([entry.to_json() for entry in part])} for part in parts]
            drawn = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                Worker,
                fn_constructor_args=(self, _anywhere(self.model), int(share.get("num_cpus", 0)), together),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=workers),
                **share,
            )
            try:
                for row in drawn.iter_rows():
                    if entry := waiting.pop(row["id"], None):  # nothing twice, if a worker died after it had answered
                        yield _outcome(entry, row)
            except RayError as error:
                raise ValueError(f"Ray: {_last_line(error)}") from error

    def _share(self, resources: Mapping[str, float]) -> tuple[int, dict[str, Any]]:
        """How many workers, and what each of them has."""
        gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        if gpus and self.device != "cpu":
            fit, share = gpus, {"num_gpus": 1}
        else:
            each = self.cores or max(1, min(CORES, cores // (self.workers or 1)))
            fit, share = cores // each, {"num_cpus": each}
        workers = fit if self.workers is None else self.workers
        if not 1 <= workers <= fit:
            raise ValueError(f"{workers} workers do not fit: the cluster has {cores} cores and {gpus} GPUs")
        return workers, share


class Worker:
    """One process of the fleet, with the model in memory."""

    def __init__(self, fleet: Fleet, source: str, cores: int, together: int):
        self.fleet, self.together = fleet, together
        if cores:
            torch.set_num_threads(cores)
        self.pipe = load(source, fleet.device, fleet.dtype, compile=fleet.compile)
        self.pipe.model.name = fleet.model  # as the user spells it, wherever this process runs

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        entries = [Entry.from_json(text) for part in batch["entries"] for text in json.loads(part)]
        outcomes = list(draw(self.pipe, self.fleet.dtype, entries, self.together))
        return {
            "id": [outcome.entry.id for outcome in outcomes],
            "png": [outcome.png if isinstance(outcome, Drawn) else b"" for outcome in outcomes],
            "record": [json.dumps(outcome.record) if isinstance(outcome, Drawn) else "" for outcome in outcomes],
            "error": [outcome.error if isinstance(outcome, Failed) else "" for outcome in outcomes],
        }


def _anywhere(model: str) -> str:
    """A model's name for processes that run in other folders."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


def _outcome(entry: Entry, row: Mapping[str, Any]) -> Outcome:
    if row["png"]:
        return Drawn(entry, row["png"], json.loads(row["record"]))
    return Failed(entry, row["error"])


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Ray, connected and silent. What was not connected before is not afterwards.

    Raises ValueError if there is no cluster at `address`.
    """
    import ray
    from ray.data import DataContext

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ValueError(f"cannot reach the Ray cluster {address!r}: {_last_line(error)}") from error
    context = DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = before
        logger.setLevel(level)
        if ours:
            ray.shutdown()


def _last_line(error: Exception) -> str:
    """What an error that Ray has wrapped in tracebacks is about."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
