"""Drawing of the missing images of a run."""

import time
from collections.abc import Callable, Iterator, Sequence
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

WARM, SAMPLE = 4, 32  # tokens of a trial: the first WARM are the warm-up, the others give the time


@dataclass(frozen=True)
class Trial:
    """A decoder with the estimated seconds of a batch, or the `reason` why it does not work with the model."""

    decoder: Decoder
    reason: str | None
    seconds: float = 0.0


class Drawer:
    """Draws items with one model and one set of options, `batch_size` in a batch."""

    def __init__(self, pipe: Pipeline, dtype: str | None, conditions: GenerationOptions, batch_size: int):
        self.pipe, self.dtype, self.conditions, self.batch_size = pipe, dtype, conditions, batch_size
        self.bound = bind(pipe.model, conditions)

    def trials(self, decoders: Sequence[Decoder], items: Sequence[Item]) -> Iterator[Trial]:
        """Begin the first batch with every decoder, as warm-up and to estimate the time."""
        first = items[: self.batch_size]
        prompts, seeds = [item.row.prompt for item in first], [item.seed for item in first]
        for decoder in decoders:
            try:
                seconds = self._sampled(prompts, seeds, decoder)
            except ValueError as error:
                if not str(error).startswith(f"{decoder}: "):  # an error of the prompt or the settings
                    raise
                yield Trial(decoder, str(error))
            else:
                yield Trial(decoder, None, seconds)

    def _sampled(self, prompts: Sequence[str], seeds: Sequence[int], decoder: Decoder) -> float:
        """Estimated seconds of a batch, from the passes between WARM and SAMPLE tokens."""
        seen = [(time.perf_counter(), 0.0)]  # and the final tokens of an image

        def look(canvas: Canvas) -> bool:
            if min(canvas.lengths) <= WARM:
                seen.clear()
            seen.append((time.perf_counter(), float(canvas.final.sum()) / len(canvas.lengths)))
            return max(canvas.lengths) < SAMPLE

        self._draw(prompts, seeds, decoder, look)
        (before, few), (after, many) = seen[0], seen[-1]
        size = self.bound.grid.size
        return (after - before) / max(many - few, 1.0) * size

    def draw(self, folder: RunFolder, decoder: Decoder, items: Sequence[Item]) -> None:
        """Draw the items that are not in the folder yet in one batch."""
        items = [item for item in items if folder.record(str(decoder), item) is None]
        if not items:
            return
        result = self._draw([item.row.prompt for item in items], [item.seed for item in items], decoder)
        reading = self._read(result)
        for i, item in enumerate(items):
            path = folder.image(str(decoder), item)
            path.parent.mkdir(parents=True, exist_ok=True)
            about = record(result, i) | _token_record(result, reading, i)
            replace(path, png(result.images[i], about))

    def _draw(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        decoder: Decoder,
        on_step: Callable[[Canvas], object] | None = None,
    ) -> Result:
        given = self.conditions.given | {"seed": list(seeds), "decoder": decoder}
        return self.pipe(list(prompts), on_step=on_step, **given)

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
