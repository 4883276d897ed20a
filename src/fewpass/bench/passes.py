"""What one pass costs, and which part of it is not the model's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor

from fewpass.bench.clock import busy
from fewpass.bench.task import Task
from fewpass.core.loop import Drawing
from fewpass.core.protocol import Decoder


@dataclass(frozen=True)
class Pass:
    """Seconds of a whole pass; or, where its parts were timed, those in the model's body and head and elsewhere."""

    seconds: float
    body: float | None = None
    head: float | None = None

    @property
    def elsewhere(self) -> float | None:
        return None if self.body is None or self.head is None else self.seconds - self.body - self.head


class Timed:
    """A part of a network, and the seconds spent in it."""

    def __init__(self, part: Callable, device: torch.device):
        self.part, self.device, self.seconds = part, device, 0.0

    def __call__(self, *inputs: object) -> Tensor:
        started = busy(self.device)
        result = self.part(*inputs)
        self.seconds += busy(self.device) - started
        return result

    def taken(self) -> float:
        """The seconds since this was asked last."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


@torch.inference_mode()
def time_passes(task: Task, decoder: Decoder, passes: int, images: int = 1) -> list[Pass]:
    """The first `passes` passes of a drawing but one, for which memory is claimed; fewer if the image ends before.

    Every other pass has its parts timed: on a GPU that makes it wait for them, and so the others say how long it takes.
    Passes near the end, whose window is cut, are left out.
    """
    device, numbers = task.model.device, range(images)
    session = task.open(numbers)
    drawing = Drawing(session, decoder, task.law, task.seeds(numbers))
    drawing.advance()
    plain = session.network
    body, head = Timed(plain.body, device), Timed(plain.head, device)
    watched = replace(plain, body=body, head=head)
    found: list[Pass] = []
    for turn in count():
        if len(found) == passes or task.tokens - max(drawing.canvas.lengths) < decoder.margin:
            return found
        session.network = watched if turn % 2 else plain
        started = busy(device)
        drawing.advance()
        _ = drawing.canvas.lengths  # what the loop reads in every pass
        seconds = busy(device) - started
        found.append(Pass(seconds, body.taken(), head.taken()) if turn % 2 else Pass(seconds))
    return found
