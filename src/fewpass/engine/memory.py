"""The memory that a drawing takes, from shapes alone, the memory that is free, and the policy where they differ."""

import math
import os
import re
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.errors import OutOfMemory
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, SessionInfo, bind
from fewpass.engine.request import Job
from fewpass.models.base import Model
from fewpass.runtime.kv_cache import bucket

LAWS_AT_ONCE = 48  # bytes for each asked position and code: probabilities, their copies, and 64-bit random numbers
Part = TypeVar("Part")
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
SHARE = 0.9  # of the free memory that a drawing may plan with
KNOWN = 64  # footprints that are kept: clients of a server may request ever new decoders
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Footprint:
    """Bytes that an image takes while it is drawn; the weights and the making of the picture are not among them.

    `cache` are the keys and values of all its rows, `laws` the decoder's state between passes, `work` the temporary
    tensors of a pass.
    """

    cache: int
    laws: int
    work: int

    def of(self, images: int) -> int:
        """The peak of so many images in one batch: when some leave it, the cache of the others is copied."""
        copies = 1 if images == 1 else 2
        return images * (copies * self.cache + self.laws + self.work)

    def fitting(self, free: int, beside: int = 0) -> int:
        """How many images fit into one batch; `beside` others, which are there already and are then copied."""
        if not beside and self.of(2) > free:
            return int(self.of(1) <= free)
        return max(free - beside * self.cache, 0) // (self.of(2) // 2)


def footprint(model: Model, jobs: Sequence[Job]) -> Footprint:
    """The memory that each of `jobs`, of equal batch key, takes in one batch with the others."""
    job, rows = jobs[0], max(len(job.rows) for job in jobs)
    prompt = max(len(row) for job in jobs for row in job.rows)
    laws, asked, spare = remembered(model, job.decoder, job.grid)
    slots = bucket(prompt + job.grid.size + spare + 1, model.device)
    return Footprint(
        rows * cache_bytes(model, slots), laws, work_bytes(model, rows, max(asked, prompt), asked, slots, job.grid)
    )


def cache_bytes(model: Model, slots: int) -> int:
    """The keys and values of one row of the network that holds so many slots."""
    config = model.model.config.get_text_config()
    width = _kept_heads(config) * _head_width(config)
    return 2 * config.num_hidden_layers * width * slots * model.model.dtype.itemsize


def law_bytes(model: Model, decoder: Decoder, grid: Grid) -> int:
    """Bytes of a decoder's state between passes: the laws of its window, most of all."""
    return remembered(model, decoder, grid)[0]


def remembered(model: Model, decoder: Decoder, grid: Grid) -> tuple[int, int, int]:
    """Bytes of a decoder's state, the number of positions it queries in a pass, and of slots it uses past the image.

    Found by letting it begin an image without a model. Decoders that open rows one by one query more later.
    """
    ready = bind(decoder, SessionInfo(grid, model.network.codebook))
    seeds = torch.zeros(1, dtype=torch.long, device=model.device)
    precision = torch.promote_types(model.model.dtype, torch.float32)
    canvas, noise = Canvas.blank(grid, seeds, ready.margin), Noise(seeds, seeds)
    canvas.commit(1)
    like = torch.empty(0, dtype=precision, device=model.device)
    state = ready.begin(canvas, grid.force(canvas.ahead(1, start=-1), grid.uniform(like)[None, None]), noise)
    query = ready.draft(canvas, state)
    spare = 0 if query.sees is None else query.sees.shape[-1] - 1 - grid.size
    asked = max(query.tokens.shape[1], min(ready.margin, grid.size))  # windows may grow
    return sum(map(_bytes, state)), asked, max(spare, 0)


def work_bytes(model: Model, rows: int, inputs: int, asked: int, slots: int, grid: Grid) -> int:
    """An estimate of the temporary memory of an image's longest pass.

    `inputs` positions go through the layers, of `rows` rows; laws are made of `asked` of them.
    """
    config, size = model.model.config.get_text_config(), model.model.dtype.itemsize
    wide = 4 * config.hidden_size + 3 * getattr(config, "intermediate_size", 4 * config.hidden_size)
    heads = config.num_attention_heads
    scores = heads if config._attn_implementation == "eager" else 1
    repeated = 2 * heads * _head_width(config) * slots * size if _kept_heads(config) < heads else 0
    attention = inputs * slots * (1 + 2 * scores * size) + repeated
    laws = asked * grid.vocab * (rows * (size + 4) + LAWS_AT_ONCE)
    return rows * (inputs * wide * size + attention) + laws


def available(device: torch.device) -> int | None:
    """Free bytes of a device; None if unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    known = [free for free in (_machine(), _container()) if free is not None]
    return min(known) if known else None


def ran_out(error: Exception) -> bool:
    """Whether an allocator raised this error for lack of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    )


def spelled(size: float) -> str:
    """A number of bytes in binary units: `1.5 GiB`."""
    power = min(int(math.log2(max(size, 1))) // 10, len(UNITS) - 1)
    return f"{size / 1024**power:.4g} {UNITS[power]}"


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _head_width(config: Any) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _kept_heads(config: Any) -> int:
    return getattr(config, "num_key_value_heads", None) or config.num_attention_heads


def _machine() -> int | None:
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", MEMINFO.read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        return None


def _container() -> int | None:
    """Free bytes of a container's limit, or of a control group's; the cache of files it has read counts as free."""
    try:
        most, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        idle = re.search(r"^inactive_file (\d+)", (CGROUP / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # none, or "max"
        return None
    return most - used + (int(idle[1]) if idle else 0)


class MemoryBudget:
    """The memory policy of every drawing on the device of `model`.

    An estimate limits how many images begin, since a CPU that runs out of memory kills the process. Where memory runs
    out nevertheless, half as many images are drawn at once from then on; the second time is an error.
    """

    def __init__(self, model: Model):
        self.model, self.device = model, model.device
        self._warned = self._halved = False
        self._known: dict[Hashable, Footprint] = {}

    def admitted(self, jobs: Sequence[Job], beside: int = 0, alone: bool = True) -> int:
        """How many of `jobs`, of equal batch key, fit into memory now, `beside` so many others of that key.

        Raises OutOfMemory if not even the first one fits, and nothing else is being drawn: it would be `alone`.
        """
        free = available(self.device)
        if free is None:
            return len(jobs)
        need = self._footprint(jobs)
        fit = min(need.fitting(int(SHARE * free), beside), len(jobs))
        if alone and not fit:
            if self._footprint(jobs[:1]).of(1) > int(SHARE * free):
                raise OutOfMemory(self._needed(jobs, free))
            return 1
        if fit < len(jobs) and not self._warned:
            self._warned, images = True, len(jobs) + beside
            _warn(
                f"{images} images at once need {spelled(need.of(images))} of memory, and {spelled(free)} are free"
                f" on {self.device}: fewer are drawn at a time, which makes the same images"
            )
        return fit

    def halve(self, jobs: Sequence[Job], at_once: int) -> int:
        """Half of the `at_once` images that memory has run out for, `jobs` among them.

        Raises OutOfMemory if the number has been halved before, or cannot be.
        """
        if self._halved or at_once == 1:
            images = f"{at_once} images at once" if at_once > 1 else "one image"
            needed = self._needed(jobs, available(self.device))
            raise OutOfMemory(f"out of memory with {images}: {needed}")
        self._halved, fewer = True, at_once // 2
        _warn(
            f"out of memory with {at_once} images at once: going on with {fewer} at a time, which makes the same images"
        )
        return fewer

    def micro_batches(self, jobs: Sequence[Job], size: int, work: Callable[[range], Part]) -> list[Part]:
        """The results of `work` for the numbers of all requests, at most `size` of them at a time.

        Raises OutOfMemory as `halve` does.
        """
        done, parts = 0, list[Part]()
        while done < len(jobs):
            numbers = range(done, min(done + size, len(jobs)))
            try:
                parts.append(work(numbers))
            except Exception as error:
                if not ran_out(error):
                    raise
            else:
                done = numbers.stop
                continue
            size = self.halve(jobs, len(numbers))  # only here, behind the error, is the memory that it held free again
        return parts

    def _needed(self, jobs: Sequence[Job], free: int | None) -> str:
        known = "" if free is None else f", and {spelled(free)} are free"
        return f"an image needs about {spelled(self._footprint(jobs[:1]).of(1))} of memory{known} on {self.device}"

    def _footprint(self, jobs: Sequence[Job]) -> Footprint:
        job, longest = jobs[0], max(len(row) for job in jobs for row in job.rows)
        key = job.grid.grids, len(job.rows), job.decoder, longest
        need = self._known.pop(key, None) or footprint(self.model, jobs)
        self._known[key] = need  # the last one of them is the newest
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        return need


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
