"""Connection to a Ray cluster and resources of each process there, for batch runs and servers."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fewpass.io.extra import check_installed

if TYPE_CHECKING:
    from fewpass.pipeline import Pipeline

LOCAL = "local"  # the address of a cluster of this process's own, on this machine
CORES = 4  # of a process, by default


@dataclass(frozen=True)
class Processes:
    """Processes of a Ray cluster that hold one model each: one for every GPU, or for some CPU cores.

    `count` None is as many as fit, `cores` None as many as there are for each, up to 4, where there are no GPUs.
    Every machine of the cluster must be able to read `model`. `called` is the word for them in messages.
    """

    address: str
    model: str
    device: str | None = None
    dtype: str | None = None
    count: int | None = None
    cores: int | None = None
    compile: bool = False
    called: str = "workers"

    def check(self) -> None:
        """Raise ImportError if Ray is missing, ValueError for no address or a device that Ray would have to choose."""
        check_installed("ray", "ray")
        if not self.address:
            raise ValueError("--ray must be an address, auto or local, got ''")
        if self.device not in (None, "cpu", "cuda"):
            raise ValueError(f"with --ray a device is cpu or cuda, not {self.device!r}: Ray chooses the GPU")

    @property
    def source(self) -> str:
        """The model's name for processes that run in other folders."""
        return str(Path(self.model).resolve()) if Path(self.model).is_dir() else self.model

    def share(self, resources: Mapping[str, float]) -> tuple[int, dict[str, int]]:
        """The number of processes on a cluster with these resources, and the options of each of them for Ray.

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
            raise ValueError(f"{count} {self.called} do not fit: the cluster has {cores} cores and {gpus} GPUs")
        return count, share

    def open(self, source: str, share: Mapping[str, int]) -> "Pipeline":
        """The model at `source`, in the process that has this share. Raises ValueError if it cannot draw."""
        import torch

        from fewpass.loading import load

        if cores := share.get("num_cpus"):
            torch.set_num_threads(cores)
        pipe = load(source, self.device, self.dtype, compile=self.compile)
        pipe.model.name = self.model  # as the user spells it, wherever this process runs
        pipe.model.check_ready()
        return pipe


@contextmanager
def connected(address: str, logger: str) -> Iterator[bool]:
    """Connect to Ray, whose `logger` prints errors only; yield whether the cluster ends with this context.

    A connection that this opens is closed at the end. Raises ValueError if there is no cluster at `address`.
    """
    import ray

    logging.getLogger(logger).setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises all kinds
            raise ValueError(f"cannot reach the Ray cluster {address!r}: {last_line(error)}") from error
    try:
        yield ours and address == LOCAL
    finally:
        if ours:
            ray.shutdown()


def last_line(error: object) -> str:
    """The message of an error that Ray has wrapped in tracebacks."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
