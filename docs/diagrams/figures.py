"""All diagrams by the names of their files."""

from collections.abc import Callable

from distributions import gumbel, relaxed
from pen import Pen
from rows import pjd, zipar
from windows import block, branches, coupling, jacobi, loop, ngrams, sjd, sjdpp, tree

FIGURES: dict[str, Callable[[], Pen]] = {
    f.__name__: f
    for f in (loop, jacobi, sjd, coupling, gumbel, sjdpp, block, tree, ngrams, branches, relaxed, zipar, pjd)
}
