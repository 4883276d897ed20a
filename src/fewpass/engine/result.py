"""Drawn images, their settings and cost, in Python, in words and in JSON."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fewpass import __version__
from fewpass.core.messages import shown
from fewpass.engine.trace import Trace
from fewpass.io.atomic import replace
from fewpass.io.png_metadata import png
from fewpass.io.targets import Target


@dataclass(eq=False)
class Result:
    """The `images` of a call, their `tokens` [B, N] int64 and `seeds`, and the `trace` of their cost.

    `logprobs` [B, N] are log-probabilities under the sampling distribution, if they were requested. A drawing that was
    stopped has -1 for tokens, 0 for log-probabilities and grey for pixels that were not final. `settings` [B] draw each
    image again, with `Pipeline.again`.
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


def law(lossless: bool | None) -> str:
    """Whether a decoder draws from the model's own distribution, in a word."""
    return {True: "lossless", False: "lossy", None: "unknown"}[lossless]


def conditions(settings: Mapping[str, Any]) -> str:
    """The sampling options in the settings of images: `guidance 3, temperature 1, top-k 9`."""
    s = settings
    words = [f"guidance {s['guidance']:g}", f"temperature {s['temperature']:g}"]
    words += [f"top-k {s['top_k']}"] if s["top_k"] else []
    words += [f"top-p {s['top_p']:g}"] if s["top_p"] < 1 else []
    words += [f"min-p {s['min_p']:g}"] if s["min_p"] else []
    return ", ".join(words)


def image_line(result: Result, image: int) -> str:
    """One image: `seed 7, 61 forward passes where autoregression needs 256, 4.20 tokens per pass`."""
    trace = result.trace
    return (
        f"seed {result.seeds[image]}, {trace.passes[image]} forward passes where autoregression needs "
        f"{trace.committed.shape[1]}, {trace.tokens_per_pass[image]:.2f} tokens per pass"
    )


def total_line(images: int, seconds: float, loading: float, decoder: str, lossless: bool | None) -> str:
    """All images: `2 images in 1.3 s, after 6.2 s of loading; sjd(window=15, guess=uniform): lossless`."""
    count = f"{images} image{'s' * (images != 1)}"
    return f"{count} in {seconds:.1f} s, after {loading:.1f} s of loading; {decoder}: {law(lossless)}"


def record(result: Result, image: int) -> dict[str, Any]:
    """The settings that draw one image again, and its trace; the seconds are those of all images of the result."""
    trace = result.trace
    return {
        **result.settings[image],
        "versions": {"fewpass": __version__, "torch": torch.__version__},
        "trace": {
            "passes": int(trace.passes[image]),
            "tokens_per_pass": round(float(trace.tokens_per_pass[image]), 4),
            "seconds": round(trace.seconds, 4),
            "model_seconds": round(trace.model_seconds, 4),
            "images_together": len(result.images),
            "committed": trace.committed[image].tolist(),
        },
    }
