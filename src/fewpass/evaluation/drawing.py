"""Draws what an evaluation's folder lacks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fewpass.canvas import Canvas
from fewpass.decoders import Decoder
from fewpass.evaluation.folder import RunFolder
from fewpass.evaluation.items import Item
from fewpass.files import replace
from fewpass.metadata import png
from fewpass.pipeline import Pipeline
from fewpass.report import record
from fewpass.result import Result
from fewpass.sampling import Sampling
from fewpass.scoring import Reading, read

WARM = 4  # tokens that are drawn before any clock counts: the first passes of a process are slow


@dataclass(frozen=True)
class Conditions:
    """What all decoders have in common; None is the model's own."""

    guidance: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    size: tuple[int, int] | None = None
    negative_prompt: str | None = None


class Drawer:
    """Draws items with one model under one set of conditions, `together` in a batch."""

    def __init__(self, pipe: Pipeline, dtype: str | None, conditions: Conditions, together: int):
        self.pipe, self.dtype, self.conditions, self.together = pipe, dtype, conditions, together

    def fitting(self, decoders: Sequence[Decoder], prompt: str) -> Iterator[tuple[Decoder, str | None]]:
        """Every decoder, and why the model will not do for it if it will not. Warms the process up."""
        for decoder in decoders:
            try:
                self._draw([prompt], [0], decoder, lambda canvas: max(canvas.lengths) < WARM)
            except ValueError as error:
                if not str(error).startswith(f"{decoder}: "):  # not of the decoder, but of the prompt or the settings
                    raise
                yield decoder, str(error)
            else:
                yield decoder, None

    def draw(self, folder: RunFolder, decoder: Decoder, items: Sequence[Item]) -> None:
        """Draw those of the items, in one batch, that are not in the folder yet."""
        items = [item for item in items if folder.record(str(decoder), item) is None]
        if not items:
            return
        result = self._draw([item.row.prompt for item in items], [item.seed for item in items], decoder)
        reading = self._read(result)
        for i, item in enumerate(items):
            path = folder.image(str(decoder), item)
            path.parent.mkdir(parents=True, exist_ok=True)
            about = record(result, i) | _seen(result, reading, i)
            replace(path, png(result.images[i], about))

    def _draw(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        decoder: Decoder,
        on_step: Callable[[Canvas], object] | None = None,
    ) -> Result:
        return self.pipe(list(prompts), seed=list(seeds), decoder=decoder, on_step=on_step, **vars(self.conditions))

    @torch.inference_mode()
    def _read(self, result: Result) -> Reading:
        """Read what was drawn once more, under the law it was meant to be drawn from."""
        model, shared = self.pipe.model, result.settings[0]
        law = Sampling(shared["temperature"], shared["top_k"], shared["top_p"])
        prompts = [settings["prompt"] for settings in result.settings]
        negatives = [self.conditions.negative_prompt] * len(prompts)
        grid = model.grid(self.conditions.size)
        return read(model.open(prompts, grid, shared["guidance"], negatives), law, result.tokens)


def _seen(result: Result, reading: Reading, image: int) -> dict[str, list]:
    """What is kept of each token of an image. A token that the law forbids has null for its log-probability."""
    logprobs = [None if value == -torch.inf else round(value, 5) for value in reading.logprobs[image].tolist()]
    entropy = [round(value, 5) for value in reading.entropy[image].tolist()]
    return {"tokens": result.tokens[image].tolist(), "logprobs": logprobs, "entropy": entropy}
