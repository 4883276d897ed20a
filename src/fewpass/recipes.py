"""The algorithms by their names in the literature: one line and one citation each."""

import fewpass.guess as guesses
from fewpass.decoders import Decoder, Jacobi
from fewpass.rules import FixedPoint, Reuse, Speculative, couple
from fewpass.spelling import Recipe, parse, recipe


@recipe("the definition", lossless=True)
def ar() -> Jacobi:
    """Autoregression: one token per forward pass. Lossless."""
    return Jacobi(0)


@recipe("arXiv 2002.03629, arXiv 2002.09928", lossless=True)
def jacobi(window: int = 32, guess: str = "uniform") -> Jacobi:
    """Jacobi decoding under fixed noise: the very tokens of `ar` for the same seed, sampled or greedy. Lossless."""
    return Jacobi(window, FixedPoint(), guesses.named(guess))


@recipe("arXiv 2410.01699", lossless=True)
def sjd(window: int = 15, guess: str = "uniform") -> Jacobi:
    """Speculative Jacobi decoding: keep a draft with probability p/q, draw all drafts anew. Lossless."""
    return Jacobi(window, Speculative(), guesses.named(guess))


@recipe("arXiv 2512.07503", lossless=False)
def sjdpp(window: int = 32, threshold: float = 0.1, guess: str = "left_sample") -> Jacobi:
    """SJD++: drafts whose p/q exceeds a threshold stay between passes. Lossy; lossless again at threshold=inf."""
    return Jacobi(window, Speculative(redraft=Reuse(threshold)), guesses.named(guess))


@recipe("arXiv 2510.24211", lossless=True)
def mc_sjd(window: int = 32, guess: str = "uniform") -> Jacobi:
    """SJD with maximal coupling: drafts stay between passes as often as their laws allow. Lossless."""
    return Jacobi(window, Speculative(redraft=couple), guesses.named(guess))


@recipe("arXiv 2510.24211", lossless=True)
def gs_sjd(window: int = 32, guess: str = "uniform") -> Jacobi:
    """SJD with Gumbel sharing: drafts are drawn under noise that stays with the position. Lossless."""
    return Jacobi(window, Speculative(frozen=True), guesses.named(guess))


RECIPES: dict[str, Recipe[...]] = {r.name: r for r in list(globals().values()) if isinstance(r, Recipe)}


def decoder(chosen: Decoder | str) -> Decoder:
    """A decoder, given as itself or as its spelling: `"sjd"`, `"sjdpp(threshold=0.2, guess=left_sample)"`."""
    return parse(chosen, RECIPES) if isinstance(chosen, str) else chosen
