"""Drawing of the missing images of a run."""

from collections.abc import Callable, Sequence

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
from fewpass.io.prompt_rows import Row
from fewpass.pipeline import Pipeline

WARM_UP = 4  # tokens


class Drawer:
    """Draws items with one model and one set of options, `batch_size` in a batch."""

    def __init__(self, pipe: Pipeline, conditions: GenerationOptions, batch_size: int):
        self.pipe, self.conditions, self.batch_size = pipe, conditions, batch_size
        self.bound = bind(pipe.model, conditions)

    @torch.inference_mode()
    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError naming the first prompt that the model cannot read."""
        for row in rows:
            try:
                self.bound.job(row.prompt, 0)
            except ValueError as error:
                raise ValueError(f"{row.place}: {error}") from None

    def warm_up(self, decoders: Sequence[Decoder], items: Sequence[Item]) -> None:
        """Begin the first batch with each decoder: the first passes of a process are slow."""
        for decoder in decoders:
            self._draw(items[: self.batch_size], decoder, lambda canvas: max(canvas.lengths) < WARM_UP)

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
