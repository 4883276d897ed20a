"""The algorithms by their names in the literature: one line and one citation each.

`window` counts the drafts of a pass, a whole number >= 0; 0 is autoregression. `guess` is the draft initialisation of
new positions: `uniform`, `left`, `left_sample`, `above` or `above_sample`. An option that is out of range raises
ValueError naming it.
"""

from fewpass.decoders import draft_init
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.ngram import NGrams
from fewpass.decoders.pjd import ParallelRows
from fewpass.decoders.relaxed import Annealed, Grouped, Neighbours
from fewpass.decoders.rules import Block, FixedPoint, Reuse, Speculative, couple
from fewpass.decoders.spec import Recipe, recipe
from fewpass.decoders.tree import Tree
from fewpass.decoders.zipar import ZipAR

__all__ = ["RECIPES", "ar", "gs_sjd", "jacobi", "jacobi_ngram", "mc_sjd", "sjd", "sjd_block", "sjd_pac"]
__all__ += ["cool_sd", "gsd", "jacobi_relaxed", "lantern", "lantern_pp", "pjd", "sjdpp", "zipar"]


@recipe("the definition", lossless=True)
def ar() -> Jacobi:
    """Autoregression: one token per forward pass. Lossless.

    Tokens are drawn under noise that is fixed by the seed and their position.
    """
    return Jacobi(0)


@recipe("arXiv 2002.03629, arXiv 2002.09928", lossless=True)
def jacobi(window: int = 32, guess: str = "uniform") -> Jacobi:
    """Jacobi decoding under fixed noise: the tokens of `ar` for the same seed, sampled or greedy. Lossless.

    arXiv 2002.03629 on the fixed-point sampling of arXiv 2002.09928.
    """
    return Jacobi(window, FixedPoint(), draft_init.named(guess))


@recipe("arXiv 2410.01699", lossless=True)
def sjd(window: int = 15, guess: str = "uniform") -> Jacobi:
    """Speculative Jacobi decoding: keep a draft with probability p/q, draw all other drafts anew. Lossless.

    arXiv 2410.01699, algorithm 1. Its window of 16 counts inputs: 15 drafts.
    """
    return Jacobi(window, Speculative(), draft_init.named(guess))


@recipe("arXiv 2512.07503", lossless=False)
def sjdpp(window: int = 32, threshold: float = 0.1, guess: str = "left_sample") -> Jacobi:
    """SJD++: drafts whose p/q exceeds a threshold stay between passes. Lossy; lossless at threshold=inf.

    arXiv 2512.07503, equation 6. `threshold` >= 0; the paper does not give its value.
    """
    return Jacobi(window, Speculative(redraft=Reuse(threshold)), draft_init.named(guess))


@recipe("arXiv 2510.24211", lossless=True)
def mc_sjd(window: int = 32, guess: str = "uniform") -> Jacobi:
    """SJD with maximal coupling: drafts stay between passes as often as p and q allow. Lossless.

    arXiv 2510.24211, maximal coupling.
    """
    return Jacobi(window, Speculative(redraft=couple), draft_init.named(guess))


@recipe("arXiv 2510.24211", lossless=True)
def gs_sjd(window: int = 32, guess: str = "uniform") -> Jacobi:
    """SJD with Gumbel sharing: drafts are drawn under noise fixed by the position. Lossless.

    arXiv 2510.24211, Gumbel coupling.
    """
    return Jacobi(window, Speculative(frozen=True), draft_init.named(guess))


@recipe("arXiv 2603.18599", lossless=True)
def sjd_pac(window: int = 32, candidates: int = 3, depth: int = 3, guess: str = "uniform") -> Tree:
    """SJD-PAC: `mc_sjd` with several candidates for each of the next `depth` - 1 positions. Lossless.

    arXiv 2603.18599. `candidates` >= 1 for each position; `depth` >= 1 counts the levels of the tree with its root.
    A pass takes `depth` - 1 positions more than one of `mc_sjd`, and the nodes of the tree beside the chain:
    sum of candidates^i - 1 for i = 1 ... `depth` - 1, at most 64. That is 12 more with the defaults.
    """
    return Tree(Jacobi(window, Speculative(redraft=couple), draft_init.named(guess)), candidates, depth)


@recipe("arXiv 2403.10444 on the drafts of arXiv 2410.01699", lossless=True)
def sjd_block(window: int = 15, guess: str = "uniform") -> Jacobi:
    """SJD with block verification: more drafts are accepted in each pass. Lossless.

    arXiv 2403.10444, algorithm 2, on the drafts of arXiv 2410.01699.
    """
    return Jacobi(window, Block(), draft_init.named(guess))


@recipe("fewpass, on arXiv 2002.09928, arXiv 2402.02057", lossless=True)
def jacobi_ngram(window: int = 32, branches: int = 0) -> NGrams:
    """`jacobi` with drafts looked up by their neighbours, or corrected for them: the tokens of `ar`. Lossless.

    The pool of n-grams is that of lookahead decoding, arXiv 2402.02057, in two dimensions. `branches` >= 0 tokens are
    verified beside the window, three for each of the first drafts: fewer passes over more positions.
    """
    return NGrams(window, branches)


@recipe("fewpass, on arXiv 2002.09928, arXiv 2402.02057", lossless=False)
def jacobi_relaxed(window: int = 32, branches: int = 0, tolerance: float = 0.5) -> NGrams:
    """`jacobi_ngram` that accepts a draft which loses narrowly under the fixed noise. Lossy; lossless at tolerance=0.

    `tolerance` >= 0 is the largest difference, in nats, of log p plus Gumbel noise to that of the token of `ar`.
    """
    return NGrams(window, branches, tolerance)


@recipe("arXiv 2508.07747", lossless=False)
def gsd(window: int = 15, group: int = 14, gap: float = 0.15, distance: float = 0.5, guess: str = "uniform") -> Jacobi:
    """GSD, grouped speculative decoding: SJD that compares groups of codes. Lossy; lossless at group=0.

    arXiv 2508.07747. `group` >= 0 codes; `gap` is the largest difference of probability, `distance` the largest squared
    distance of two codes in a group, as the language model reads them. Needs the codebook of the model.
    """
    return Jacobi(window, Speculative(Grouped(group, gap, distance)), draft_init.named(guess))


@recipe("arXiv 2410.03355", lossless=False)
def lantern(window: int = 15, neighbours: int = 1000, delta: float = 0.1, guess: str = "uniform") -> Jacobi:
    """SJD under LANTERN's test: a draft borrows the mass of similar codes. Lossy; lossless at delta=0.

    arXiv 2410.03355. `neighbours` >= 1 codes may lend; `delta` in [0, 1] is the largest mass that is lent. Needs the
    codebook of the model.
    """
    return Jacobi(window, Speculative(Neighbours(neighbours, delta=delta)), draft_init.named(guess))


@recipe("arXiv 2502.06352", lossless=False)
def lantern_pp(window: int = 15, neighbours: int = 1000, factor: float = 2.0, guess: str = "uniform") -> Jacobi:
    """SJD under LANTERN++'s test: a draft borrows (factor - 1) times its own mass. Lossy; lossless at factor=1.

    arXiv 2502.06352. `neighbours` >= 1 codes may lend; `factor` >= 1. Needs the codebook of the model.
    """
    return Jacobi(window, Speculative(Neighbours(neighbours, factor=factor)), draft_init.named(guess))


@recipe("arXiv 2601.09212", lossless=False)
def cool_sd(
    window: int = 15, delta: float = 1.1, nu: float = 0.7, floor: float = 1.0, guess: str = "uniform"
) -> Jacobi:
    """SJD under COOL-SD's test, relaxed most in the first slots. Lossy; lossless at delta=1, nu=0, floor=1.

    arXiv 2601.09212. Slot i of the window has the weight max(floor, delta exp(-nu i)); `delta` > 0, `nu`, `floor` >= 0.
    """
    return Jacobi(window, Speculative(Annealed(delta, nu, floor)), draft_init.named(guess))


@recipe("arXiv 2412.04062", lossless=False)
def zipar(window: int = 16, adaptive: bool = False) -> ZipAR:
    """ZipAR: a row starts when the row above has `window` tokens. Lossy; `ar` for whole rows.

    arXiv 2412.04062. `window` >= 1 tokens; with `adaptive` it is the least head start. Needs a grid of several rows.
    """
    return ZipAR(window, adaptive)


@recipe("arXiv 2606.05703", lossless=False)
def pjd(window: int = 15, context: int = 6) -> ParallelRows:
    """PJD, Jacobi decoding of several rows at once, each `context` tokens behind. Lossy; SJD by rows for whole rows.

    arXiv 2606.05703. `window` >= 1 drafts in each row, `context` >= 1 tokens. Needs a grid of several rows.
    """
    return ParallelRows(window, context)


RECIPES: dict[str, Recipe[...]] = {r.name: r for r in list(globals().values()) if isinstance(r, Recipe)}
