"""Drawing of the missing images of a run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fewpass.core.canvas import Canvas
from fewpass.core.protocol import Decoder
from fewpass.engine.log_likelihood import Reading, read
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.engine.result import Result, record
from fewpass.evaluation.folder import Item, RunFolder
from fewpass.io.atomic import replace
from fewpass.io.png_metadata import png
from fewpass.pipeline import Pipeline

SAMPLE = 32  # tokens of a trial


@dataclass(frozen=True)
class Trial:
    """A decoder that works with the model, and the estimated seconds of a batch."""

    decoder: Decoder
    seconds: float


class Drawer:
    """Draws items with one model and one set of options, `batch_size` in a batch."""

    def __init__(self, pipe: Pipeline, conditions: GenerationOptions, batch_size: int):
        self.pipe, self.conditions, self.batch_size = pipe, conditions, batch_size
        self.bound = bind(pipe.model, conditions)

    def trial(self, decoder: Decoder, items: Sequence[Item]) -> Trial:
        """Begin the first batch, as warm-up and to estimate the time. Raises ValueError if the decoder cannot."""
        seen = list[tuple[float, float]]()  # after each pass: the time, and the final tokens of an image

        def look(canvas: Canvas) -> bool:
            seen.append((time.perf_counter(), float(canvas.final.sum()) / len(canvas.lengths)))
            return max(canvas.lengths) < SAMPLE

        self._draw(items[: self.batch_size], decoder, look)
        (before, few), (after, many) = seen[len(seen) // 4], seen[-1]  # the first passes of a process are slow
        return Trial(decoder, (after - before) / max(many - few, 1.0) * self.bound.grid.size)

    def draw(self, folder: RunFolder, decoder: Decoder, items: Sequence[Item]) -> None:
        """Draw the items that are not in the folder yet in one batch."""
        items = [item for item in items if folder.record(str(decoder), item) is None]
        if not items:
            return
        result = self._draw(items, decoder)
        reading = self._read(result)
        for i, item in enumerate(items):
            path = folder.image(str(decoder), item)
            path.parent.mkdir(parents=True, exist_ok=True)
            about = record(result, i) | _token_record(result, reading, i)
            replace(path, png(result.images[i], about))

    def _draw(
        self, items: Sequence[Item], decoder: Decoder, on_step: Callable[[Canvas], object] | None = None
    ) -> Result:
        given = self.conditions.given | {"seed": [item.seed for item in items], "decoder": decoder}
        return self.pipe([item.row.prompt for item in items], on_step=on_step, **given)

    @torch.inference_mode()
    def _read(self, result: Result) -> Reading:
        """Log-probabilities and entropies of the tokens under p, from one more reading of the images."""
        bound, prompts = self.bound, [settings["prompt"] for settings in result.settings]
        session = bound.model.open(prompts, bound.grid, bound.guidance, [bound.negative_prompt] * len(prompts))
        return read(session, bound.sampling, result.tokens)


def _token_record(result: Result, reading: Reading, image: int) -> dict[str, list]:
    """The tokens of an image, their log-probabilities and entropies; null for a forbidden token, which has -inf."""
    logprobs = [None if value == -torch.inf else round(value, 5) for value in reading.logprobs[image].tolist()]
    entropy = [round(value, 5) for value in reading.entropy[image].tolist()]
    return {"tokens": result.tokens[image].tolist(), "logprobs": logprobs, "entropy": entropy}
