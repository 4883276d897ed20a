"""Images have exactly the law of autoregression: the joint law of a toy model, computed and drawn 200 000 times."""

from functools import cache

import pytest

from fewpass import RECIPES, Jacobi, Sampling
from fewpass.decoders.draft_init import DRAFT_INITS
from fewpass.testing import JointLaw, check_decoder, coming_and_going, drawn
from tests.pairs import covering, product
from tests.toys import FREE, ROW_ENDS
from tests.wrong import WRONG

# What a lossy recipe needs to be lossless again.
MADE_LOSSLESS = {"sjdpp": {"threshold": float("inf")}, "jacobi_relaxed": {"tolerance": 0.0}}
FACTORS = {
    "recipe": [name for name, recipe in RECIPES.items() if recipe.lossless or name in MADE_LOSSLESS],
    "guess": list(DRAFT_INITS),
    "window": [1, 2, FREE.size - 1],
    "branches": [0, 3],
    "temperature": [1.0, 0.7, 1.5],
    "top_k": [0, 3],
    "top_p": [1.0, 0.95],
    "min_p": [0.0, 0.05],
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
    return {"guess", "window", "branches"} - set(RECIPES[case["recipe"]].parameters)


def decoder_of(recipe, **options):
    known = RECIPES[recipe].parameters
    return RECIPES[recipe](**MADE_LOSSLESS.get(recipe, {}), **{o: v for o, v in options.items() if o in known})


@cache
def joint_law(layout="free", temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, guidance=1.0):
    return JointLaw(LAYOUTS[layout], Sampling(temperature, top_k, top_p, min_p), guidance=guidance)


def check(case):
    recipe, batch = case["recipe"], case["batch"]
    options = {name: case[name] for name in ("window", "guess", "branches")}
    joint = joint_law(*(case[name] for name in ("layout", "temperature", "top_k", "top_p", "min_p", "guidance")))
    assert (joint.probability > 0).sum() > 100, case
    figure = check_decoder(decoder_of(recipe, **options), joint, draw=BATCHES[batch])
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
CAUGHT_BY_LAW = {**WRONG, "SJD++": RECIPES["sjdpp"](threshold=0.5).rule}
del CAUGHT_BY_LAW["residual plus a constant"]  # wrong by little, but where no token may be at all


@pytest.mark.parametrize("rule", CAUGHT_BY_LAW.values(), ids=CAUGHT_BY_LAW)
def test_wrong_law_is_caught(rule):
    figure = check_decoder(Jacobi(FREE.size - 1, rule), joint_law(temperature=0.7), images=100_000)
    assert figure.z > 10, figure
    assert not figure.exact


def test_narrow_losers_of_the_noise_are_caught():
    decoder = RECIPES["jacobi_relaxed"](FREE.size - 1, 6, tolerance=2.0)
    assert check_decoder(decoder, joint_law(temperature=0.7), images=100_000).z > 10


def test_impossible_tokens_are_caught():
    figure = check_decoder(Jacobi(2, WRONG["residual plus a constant"]), joint_law(top_k=3), images=20_000)
    assert figure.impossible > 0
    assert not figure.exact
