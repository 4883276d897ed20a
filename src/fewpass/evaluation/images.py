"""The finished images of one decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewpass.evaluation.folder import Item, RunFolder

Numbers = NDArray[np.floating]


class DecoderImages:
    """The n images of one decoder, of N tokens each, in the order of `items`.

    Attributes:
        passes: Forward passes of each image, with the prefill, [n].
        tokens_per_pass: Tokens per pass of each image, [n].
        seconds: Seconds of each image, [n]; images of one batch share them equally.
        tokens: The tokens, [n, N].
        entropy: Entropy of p at each token, given the tokens before it, [n, N] in nats.
        nll: Negative log-likelihood of each image in nats per token, without forbidden tokens, [n].
        forbidden: Number of tokens with probability 0 under p.
    """

    def __init__(
        self,
        folder: RunFolder,
        decoder: str,
        lossless: bool | None,
        items: Sequence[Item],
        records: Sequence[Mapping[str, Any]],
    ):
        self.folder, self.decoder, self.lossless, self.items = folder, decoder, lossless, items
        traces = [record["trace"] for record in records]
        committed = np.array([trace["committed"] for trace in traces])
        self.passes: Numbers = committed.max(1).astype(float)
        self.tokens_per_pass: Numbers = committed.shape[1] / self.passes
        self.seconds: Numbers = np.array([trace["seconds"] / trace["images_together"] for trace in traces])
        self.tokens = np.array([record["tokens"] for record in records])
        self.entropy: Numbers = np.array([record["entropy"] for record in records], dtype=float)
        logprobs = np.array([record["logprobs"] for record in records], dtype=float)  # NaN for forbidden tokens
        self.nll: Numbers = -np.ma.masked_invalid(logprobs).mean(1).filled(np.nan)
        self.forbidden = int(np.isnan(logprobs).sum())

    def picture(self, i: int) -> Image.Image:
        """The image of item `i`."""
        with Image.open(self.folder.image(self.decoder, self.items[i])) as image:
            return image.convert("RGB")
