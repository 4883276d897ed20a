"""What a call drew."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass.core.messages import shown
from fewpass.engine.report import record
from fewpass.engine.trace import Trace
from fewpass.io.atomic import replace
from fewpass.io.png_metadata import png
from fewpass.io.targets import Target


@dataclass(eq=False)
class Result:
    """What a call drew: `images`, their `tokens` [B, N] int64 and `seeds`, and what it cost.

    `logprobs` [B, N] are log-probabilities under the final law, if they were asked for. A drawing that was stopped
    has -1 for tokens, 0 for log-probabilities and grey for pixels that were not final. `settings` are what it takes
    to draw image i again, with `Pipeline.again`: its prompt, its seed and everything they share.
    """

    images: list[Image.Image]
    tokens: Tensor
    seeds: list[int]
    trace: Trace
    settings: list[dict[str, Any]]
    logprobs: Tensor | None = None

    def __repr__(self) -> str:
        width, height = self.images[0].size
        about = f"{len(self.images)} x {width}x{height} pixels, seeds {shown(self.seeds)}"
        return f"Result({about}, {self.settings[0]['decoder']}, {self.trace})"

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
        """Write the images as PNG files that carry their settings and trace; the files, image by image.

        `path` is a .png file for a single image, or a folder, as of `fewpass generate --output`. Each file is whole or
        not there. Raises ValueError if one cannot be written, or is there already and not to be overwritten.
        """
        target = Target.of(os.fspath(path), len(self.images))
        files = [target.file(i, str(s["prompt"]), s["seed"]) for i, s in enumerate(self.settings)]
        for file in files:
            if file.exists() and not overwrite:
                raise ValueError(f"{str(file)!r} is there already: overwrite=True replaces it")
        target.make()
        for i, file in enumerate(files):
            replace(file, png(self.images[i], record(self, i)))
        return files

    @classmethod
    def joined(cls, parts: Sequence["Result"]) -> "Result":
        """All images of `parts`."""
        scores = [part.logprobs for part in parts if part.logprobs is not None]
        return cls(
            [image for part in parts for image in part.images],
            torch.cat([part.tokens for part in parts]),
            [seed for part in parts for seed in part.seeds],
            Trace.joined([part.trace for part in parts]),
            [settings for part in parts for settings in part.settings],
            torch.cat(scores) if scores else None,
        )
