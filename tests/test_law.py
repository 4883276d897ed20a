"""Images have exactly the law of autoregression: the joint law of a toy model, computed and drawn 200 000 times."""

from dataclasses import dataclass, replace
from functools import cache

import pytest

from fewpass import RECIPES, Jacobi, Sampling
from fewpass.guess import GUESSES
from fewpass.rules import Speculative, Strict, Verdict, couple
from fewpass.testing import JointLaw, check_decoder, drawn
from tests.pairs import covering, product
from tests.toys import FREE, ROW_ENDS, coming_and_going

# What a lossy recipe needs to be lossless again.
MADE_LOSSLESS = {"sjdpp": {"threshold": float("inf")}}
FACTORS = {
    "recipe": [name for name, recipe in RECIPES.items() if recipe.lossless or name in MADE_LOSSLESS],
    "guess": list(GUESSES),
    "window": [1, 2, FREE.size - 1],
    "temperature": [1.0, 0.7, 1.5],
    "top_k": [0, 3],
    "top_p": [1.0, 0.95],
    "guidance": [1.0, 2.0],
    "layout": ["free", "row_ends"],
    "batch": ["closed", "ragged"],
}
LAYOUTS = {"free": FREE, "row_ends": ROW_ENDS}
BATCHES = {"closed": drawn, "ragged": coming_and_going}


def named(case):
    return "-".join(str(value) for value in case.values())


def ignored(case):
    """The settings of a case that its recipe does not have."""
    return {"guess", "window"} - set(RECIPES[case["recipe"]].parameters)


def decoder_of(recipe, **options):
    known = RECIPES[recipe].parameters
    return RECIPES[recipe](**MADE_LOSSLESS.get(recipe, {}), **{o: v for o, v in options.items() if o in known})


@cache
def joint_law(layout="free", temperature=1.0, top_k=0, top_p=1.0, guidance=1.0):
    return JointLaw(LAYOUTS[layout], Sampling(temperature, top_k, top_p), guidance=guidance)


def check(case):
    recipe, guess, window, batch = (case[name] for name in ("recipe", "guess", "window", "batch"))
    joint = joint_law(*(case[name] for name in ("layout", "temperature", "top_k", "top_p", "guidance")))
    assert (joint.probability > 0).sum() > 100, case
    figure = check_decoder(decoder_of(recipe, window=window, guess=guess), joint, draw=BATCHES[batch])
    assert figure.exact, (case, figure)


@pytest.mark.parametrize("case", covering(FACTORS), ids=named)
def test_law_is_exact(case):
    check(case)


@pytest.mark.full
@pytest.mark.parametrize("recipe", FACTORS["recipe"])
@pytest.mark.parametrize("guess", FACTORS["guess"])
def test_law_is_exact_for_the_full_product(recipe, guess):
    cases = product(FACTORS | {"recipe": [recipe], "guess": [guess]})
    wanted = [case for case in cases if all(case[name] == FACTORS[name][0] for name in ignored(case))]
    for case in wanted:
        check(case)
    assert wanted or "guess" in ignored({"recipe": recipe})


def test_covering_set_is_small():
    assert len(covering(FACTORS)) <= 60


# The same check on decoders that are wrong in ways that released code is.


@dataclass(frozen=True)
class RedrawFromP(Strict):
    """A rejected guess is replaced by a draw from p."""

    def residual(self, x, q, p):
        return p


@dataclass(frozen=True)
class CoolTwice(Strict):
    """The temperature is applied once more, to the residual."""

    temperature: float

    def residual(self, x, q, p):
        return super().residual(x, q, p) ** (1 / self.temperature)


@dataclass(frozen=True)
class OldLabels(Speculative):
    """Guesses that are kept keep the law that they were first drawn from as their label."""

    def __call__(self, x, q, p, index, noise):
        y, kept = super().__call__(x, q, p, index, noise)
        p[:, :-1][kept] = q[kept]  # the decoder takes p for the next q
        return Verdict(y, kept)


@dataclass(frozen=True)
class SameNumbers(Speculative):
    """Guesses are tested with the same number in every pass."""

    def __call__(self, x, q, p, index, noise):
        return super().__call__(x, q, p, index, replace(noise, step=0 * noise.step))


@dataclass(frozen=True)
class Liar(Speculative):
    """New guesses are the likeliest tokens of the laws that they are said to be drawn from."""

    def draw(self, p, index, noise):
        return p.argmax(-1)


WRONG = {
    "redraw from p": Speculative(RedrawFromP()),
    "old labels": OldLabels(redraft=couple),
    "residual cooled twice": Speculative(CoolTwice(0.7), couple),
    "same numbers in every pass": SameNumbers(redraft=couple),
    "guesses that are no draws": Liar(),
    "SJD++": RECIPES["sjdpp"](threshold=0.5).rule,
}


@pytest.mark.parametrize("rule", WRONG.values(), ids=WRONG)
def test_wrong_law_is_caught(rule):
    figure = check_decoder(Jacobi(FREE.size - 1, rule), joint_law(temperature=0.7))
    assert figure.z > 10, figure
    assert not figure.exact


@dataclass(frozen=True)
class AddsConstant(Strict):
    """A constant keeps the residual from being empty, and lets tokens of probability 0 through."""

    def residual(self, x, q, p):
        return super().residual(x, q, p) + 1e-3


def test_impossible_tokens_are_caught():
    figure = check_decoder(Jacobi(2, Speculative(AddsConstant())), joint_law(top_k=3), images=20_000)
    assert figure.impossible > 0
    assert not figure.exact
