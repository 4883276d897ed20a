"""Images that are to be drawn together, where not all of them fit into memory."""

import warnings
from collections.abc import Callable, Hashable, Sequence

import torch

from fewpass.core.canvas import Canvas
from fewpass.engine.memory import Footprint, available, footprint, ran_out, spelled
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.models.base import Model

SHARE = 0.9  # of what is free that a drawing may plan with
KNOWN = 64  # footprints that are remembered: those who ask a server may spell ever new decoders


class Room:
    """What there is on the device of `model`. That memory and nothing else sets a limit is said once."""

    def __init__(self, model: Model):
        self.device, self._model = model.device, model
        self._warned = False
        self._known: dict[Hashable, Footprint] = {}

    def admitted(self, jobs: Sequence[Job], beside: int = 0, alone: bool = True) -> int:
        """How many of `jobs`, of equal company, may begin now, `beside` so many others of their company.

        0 if they have to wait. Raises ValueError naming the bytes needed and free if the first of them is `alone` on
        the device and does not fit.
        """
        free = available(self.device)
        if free is None:
            return len(jobs)
        need = self._need(jobs)
        fit = min(need.fitting(int(SHARE * free), beside), len(jobs))
        if alone and not fit:
            if self._need(jobs[:1]).of(1) > int(SHARE * free):
                raise ValueError(self.refusal(jobs[:1], free))
            return 1
        if fit < len(jobs) and not self._warned:
            self._warned = True
            warnings.warn(
                f"{len(jobs) + beside} images at once need {spelled(need.of(len(jobs) + beside))} of memory, and"
                f" {spelled(free)} are free on {self.device}: fewer are drawn at a time, which makes the same images",
                RuntimeWarning,
                stacklevel=4,
            )
        return fit

    def refusal(self, jobs: Sequence[Job], free: int | None) -> str:
        """Why not even one image can be drawn."""
        need = spelled(self._need(jobs).of(1))
        known = "" if free is None else f", and {spelled(free)} are free"
        return f"an image needs about {need} of memory{known} on {self.device}"

    def _need(self, jobs: Sequence[Job]) -> Footprint:
        job, longest = jobs[0], max(len(row) for job in jobs for row in job.rows)
        key = job.grid.grids, len(job.rows), job.decoder, longest
        need = self._known.pop(key, None) or footprint(self._model, jobs)
        self._known[key] = need  # the last one of them is the newest
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        return need


def in_portions(
    room: Room, jobs: Sequence[Job], draw: Callable[[range], Result], callers: Sequence[Exception] = ()
) -> Result:
    """What `draw` makes of all images, by their numbers: of equal portions one after the other if they do not fit.

    When memory runs out all the same, portions are halved, once, and what was being drawn begins again; not for errors
    listed in `callers`, which the caller's own code has raised. Raises ValueError if that does not help either.
    """
    each, done, parts, halved = _equal(len(jobs), room.admitted(jobs)), 0, list[Result](), False
    while done < len(jobs):
        portion = range(done, min(done + each, len(jobs)))
        try:
            parts.append(draw(portion))
            done = portion.stop
            continue
        except Exception as error:  # what allocators raise has no class of its own
            if error in callers or not ran_out(error):
                raise
        # Only here, behind the error and all that it holds on to, is its memory free again.
        if halved or len(portion) == 1:
            raise ValueError(f"out of memory: {room.refusal(jobs, available(room.device))}")
        halved, each = True, _equal(len(portion), len(portion) // 2)
        warnings.warn(
            f"out of memory with {len(portion)} images at once: going on with {each}, which makes the same images",
            RuntimeWarning,
            stacklevel=4,
        )
    return parts[0] if len(parts) == 1 else Result.joined(parts)


def _equal(images: int, most: int) -> int:
    """How many images to draw at a time, at most `most`, for portions of about equal size."""
    return -(-images // -(-images // most))


class Whole:
    """The canvas of all images of a call while portions of them are drawn."""

    def __init__(self, images: int):
        self.images = images
        self._canvas: Canvas | None = None

    def with_portion(self, numbers: range, canvas: Canvas) -> Canvas:
        """All images, those with these `numbers` as they are on `canvas` and those to come blank."""
        if len(numbers) == self.images:
            return canvas
        if self._canvas is None:
            everyone = torch.zeros(self.images, dtype=torch.long, device=canvas.tokens.device)
            self._canvas = Canvas.blank(canvas.grid, everyone, canvas.tokens.shape[1] - canvas.grid.size)
        self._canvas.update(torch.tensor(numbers, device=canvas.tokens.device), canvas)
        return self._canvas
