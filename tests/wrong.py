"""Decoders with the errors of released code, which the test of the joint law must catch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.rules import Speculative, Strict, Verdict, couple


@dataclass(frozen=True)
class RedrawFromP(Strict):
    """A rejected draft is replaced by a draw from p."""

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return p


@dataclass(frozen=True)
class CoolTwice(Strict):
    """The temperature is applied once more, to the residual."""

    temperature: float

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return super().residual(x, q, p) ** (1 / self.temperature)


@dataclass(frozen=True)
class OldLabels(Speculative):
    """Accepted drafts keep the q that they were first drawn from."""

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        y, kept = super().__call__(x, q, p, index, noise)
        p[:, :-1][kept] = q[kept]  # the decoder takes p for the next q
        return Verdict(y, kept)


@dataclass(frozen=True)
class SameNumbers(Speculative):
    """Drafts are tested with the same random number in every pass."""

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        return super().__call__(x, q, p, index, replace(noise, step=0 * noise.step))


@dataclass(frozen=True)
class Liar(Speculative):
    """New drafts are the likeliest tokens of q, not draws from it."""

    def draw(self, p: Tensor, index: Tensor, noise: Noise) -> Tensor:
        return p.argmax(-1)

    def __call__(self, x: Tensor, q: Tensor, p: Tensor, index: Tensor, noise: Noise) -> Verdict:
        honest = Speculative(self.test, self.redraft, self.frozen)  # redrawn tokens are true draws
        return honest(x, q, p, index, noise)


@dataclass(frozen=True)
class AddsConstant(Strict):
    """A constant keeps the residual from being empty, and accepts tokens of probability 0."""

    def residual(self, x: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return super().residual(x, q, p) + 1e-3


WRONG: Mapping[str, Speculative] = {
    "redraw from p": Speculative(RedrawFromP()),
    "old labels": OldLabels(redraft=couple),
    "residual cooled twice": Speculative(CoolTwice(0.7), couple),
    "same numbers in every pass": SameNumbers(redraft=couple),
    "drafts that are no draws": Liar(),
    "residual plus a constant": Speculative(AddsConstant()),
}


def wrong_decoders(window: int) -> dict[str, Decoder]:
    """The wrong rules, each with `window` drafts."""
    return {name: Jacobi(window, rule) for name, rule in WRONG.items()}
