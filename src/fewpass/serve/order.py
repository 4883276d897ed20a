"""What one request has ordered, and what it is told."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from fewpass.core.canvas import Canvas
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.serve.errors import ApiError


@dataclass(frozen=True, eq=False)
class Preview:
    """The image `index` of an order as far as it is final."""

    index: int
    image: Image.Image


@dataclass(frozen=True, eq=False)
class Drawn:
    """The image `index` of an order."""

    index: int
    result: Result


Event = Preview | Drawn | ApiError  # an error ends the order


@dataclass(eq=False)
class Order:
    """The images of one request. `notify` is called from the drawing thread and must not block."""

    jobs: Sequence[Job]
    previews: int  # of each image
    notify: Callable[[Event], object]
    placed: float = field(default_factory=time.monotonic)
    shown: dict[int, int] = field(default_factory=dict)  # previews of each image, those that were skipped too

    def __post_init__(self) -> None:
        self.open = list(self.jobs)  # not finished yet

    def preview_due(self, job: Job, canvas: Canvas, image: int) -> bool:
        """Whether another part of the image's rows is done, all of them cut into equal parts; once for each part."""
        if not self.previews:
            return False
        index, grid = self.jobs.index(job), canvas.grid
        rows = max(canvas.lengths[image] - grid.start, 0) // grid.cols
        part = rows * (self.previews + 1) // grid.rows
        due = self.shown.get(index, 0) < part <= self.previews
        if due:
            self.shown[index] = part
        return due
