import pickle
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fewpass
from fewpass import RECIPES, Jacobi, decoder, sjd, sjdpp
from fewpass.cli import main
from fewpass.decoders.draft_init import DRAFT_INITS, above, uniform
from fewpass.decoders.rules import Reuse, Speculative
from tests.properties import REPEATABLE

EVERY = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
VALUES = {"window": 7, "guess": "above_sample", "threshold": 0.25}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_has_its_name_and_is_public(name):
    assert RECIPES[name].name == name
    assert name in fewpass.__all__, "src/fewpass/decoders/recipes.py lists its public names"
    assert getattr(fewpass, name) is RECIPES[name]


@EVERY
def test_docstring_says_whether_the_recipe_is_lossless(recipe):
    words = re.findall(r"\b(Lossless|Lossy)\b", recipe.__doc__)
    assert words == ["Lossless" if recipe.lossless else "Lossy"]
    assert recipe().lossless == recipe.lossless


@EVERY
def test_recipe_has_a_source(recipe):
    assert recipe.name == "ar" or re.search(r"arXiv \d{4}\.\d{4,5}|^fewpass\b", recipe.source)


@EVERY
def test_text_of_every_recipe_makes_it_again(recipe):
    options = {name: value for name, value in VALUES.items() if name in recipe.parameters}
    for made in (recipe(), recipe(**options)):
        again = decoder(str(made))
        assert again == made
        assert (str(again), again.lossless) == (str(made), recipe.lossless)


@pytest.mark.parametrize("guess", DRAFT_INITS)
def test_text_of_every_draft_init_makes_it_again(guess):
    assert decoder(str(sjd(3, guess))).guess is DRAFT_INITS[guess]


@pytest.mark.parametrize(
    "text",
    ["sjdpp(threshold=0.2, guess=above)", " sjdpp( guess='above',threshold=2e-1 ) ", "sjdpp(32, 0.2, above)"],
)
def test_options_are_literals_or_words(text):
    assert decoder(text) == Jacobi(32, Speculative(redraft=Reuse(0.2)), above)


def test_defaults_need_no_brackets():
    assert decoder("sjd") == decoder("sjd()") == sjd() == Jacobi(15, Speculative(), uniform)


def test_infinity_is_a_word():
    assert decoder("sjdpp(threshold=inf)") == sjdpp(threshold=float("inf"))


def test_decoder_is_taken_as_it_is():
    made = Jacobi(3)
    assert decoder(made) is made
    assert made.lossless is None


# Any valid options, written as text and read again.

SOME = st.integers(1, 99)
NUMBERS = st.one_of(st.integers(0, 9), st.floats(0, 1e9), st.floats(0, 1))
WINDOWED = ["jacobi_ngram", "sjd", "mc_sjd(guess=left)", "jacobi(guess=above_sample)"]
VALID = {
    "window": SOME,
    "guess": st.sampled_from(list(DRAFT_INITS)),
    "threshold": st.one_of(NUMBERS, st.just(float("inf"))),
    "candidates": st.integers(1, 9),
    "depth": st.integers(1, 9),
    "group": st.integers(0, 99),
    "gap": NUMBERS,
    "distance": st.one_of(NUMBERS, st.just(float("inf"))),
    "neighbours": SOME,
    "delta": st.one_of(st.sampled_from([0.5, 1]), st.floats(1e-9, 1)),
    "factor": NUMBERS.map(lambda x: 1 + x),
    "nu": NUMBERS,
    "floor": NUMBERS,
    "adaptive": st.booleans(),
    "context": SOME,
    "decoder": st.sampled_from(WINDOWED),
    "windows": st.lists(st.just(1), max_size=3).map(tuple),
}


def valid(recipe):
    """Strategies for all options; of one that is not listed above, the default."""
    return {name: VALID.get(name, st.just(option.default)) for name, option in recipe.parameters.items()}


def literal(value):
    """As a user may write it: words bare, numbers as they are."""
    return value if isinstance(value, str) else repr(value)


@EVERY
@settings(REPEATABLE, max_examples=40)
@given(data=st.data())
def test_any_options_come_back_from_text(recipe, data):
    options = data.draw(st.fixed_dictionaries({}, optional=valid(recipe)))
    made = recipe(**options)
    order = data.draw(st.permutations(list(options)))
    by_hand = f"{recipe.name}({', '.join(f'{name} = {literal(options[name])}' for name in order)})"
    for text in (str(made), by_hand):
        again = decoder(text)
        assert again == made, text
        assert (str(again), again.lossless) == (str(made), recipe.lossless)


@EVERY
@settings(REPEATABLE, max_examples=40)
@given(data=st.data())
def test_another_value_makes_another_decoder(recipe, data):
    options = data.draw(st.fixed_dictionaries(valid(recipe)))
    made = recipe(**options)
    for name in options:
        value = data.draw(valid(recipe)[name], label=name)
        changed = made.with_options(**{name: value})
        assert changed == recipe(**options | {name: value})
        assert (changed == made) == (value == options[name]), name


ERRORS = {
    "fast": r"^unknown decoder 'fast'; there are ar, jacobi, sjd,",
    "sjd(threshold=1)": r"^sjd has no option 'threshold'; it takes window, guess$",
    "ar(window=1)": r"^ar has no option 'window'; it takes no options$",
    "sjd(window=-1)": r"window must be .*got -1$",
    "sjd(window=1.5)": r"^window must be a whole number of drafts >= 0, got 1.5$",
    "sjd(window=True)": r"^window must be a whole number of drafts >= 0, got True$",
    "sjd(window=many)": r"^window must be a whole number of drafts >= 0, got 'many'$",
    "sjd(guess=3)": r"^`guess` must be one of uniform, left, left_sample, above, above_sample, got 3$",
    "sjd(guess=right)": r"`guess` must be one of uniform, left, left_sample, above, above_sample, got 'right'$",
    "sjd(guess=[])": r"^`guess` must be one of .*, got \[\]$",
    "zipar(adaptive=1)": r"^adaptive must be True or False, got 1$",
    "sjdpp(threshold=much)": r"^threshold must be a number >= 0, got 'much'$",
    "gsd(gap=True)": r"^gap must be a number >= 0, got True$",
    "sjdpp(threshold=-1)": r"threshold must be a number >= 0, got -1$",
    "sjd(1, window=2)": r"^sjd: multiple values for argument 'window'; it takes window, guess$",
    "sjd(1, left, 3)": r"^sjd: too many positional arguments; it takes window, guess$",
    "ar(1)": r"^ar: too many positional arguments; it takes no options$",
    "sjd(window=1+1)": r"'1\+1' is neither a literal nor a word$",
    "sjd(window=__import__('os'))": r"\"__import__\('os'\)\" is neither a literal nor a word$",
    "sjd(window=os.system('ls'))": r"is neither a literal nor a word$",
    "auto(decoder=sjd)": r"^'auto\(decoder=sjd\)' is not supported: fewpass 0.1.0 is the last release that draws it$",
    "auto(decoder=sjd(guess=left))": r"fewpass 0.1.0 is the last release",
    "auto(windows=(3, 5))": r"fewpass 0.1.0 is the last release",
    "auto(64, jacobi_ngram, (3, 5))": r"fewpass 0.1.0 is the last release",
    "auto(window=-1)": r"fewpass 0.1.0 is the last release",
    "sjd(**options)": r"does not spell a decoder; write it like 'sjd' or 'sjd\(window=16\)'$",
    "sjd(": r"^'sjd\(' does not spell a decoder",
    "": r"^'' does not spell a decoder",
    "1": r"^'1' does not spell a decoder",
    "sjd.make()": r"does not spell a decoder",
    "sjd; ar": r"does not spell a decoder",
    "a\0b": r"does not spell a decoder",
    "(" * 50: r"does not spell a decoder",
    "sjd(window=1, guess=left, window=2)": r"'window' is there twice$",
    "sjd(window=1000000000000000000000)": r"window must be a whole number of drafts <= 16384, got 1000",
}
TOO_DEEP = {
    "signs": "sjd(window=" + "-" * 900 + "1)",
    "fewer signs": "sjd(window=" + "-" * 180 + "1)",
    "brackets": "(" * 50_000,
    "calls of calls": "sjd" + "()" * 95,
    "calls in calls": "sjd(guess=" + "f(" * 60 + ")" * 61,
    "attributes": "sjd(window=a" + ".a" * 90 + ")",
    "sums": "sjd(window=" + "1+" * 180 + "1)",
    "decoders in decoders": "sjd(guess=" * 12 + "sjd" + ")" * 12,
    "a long name": "x" * 1_000_000,
    "a long number": "sjd(window=" + "9" * 4000 + ")",
    "a longer number": "sjd(window=" + "9" * 5000 + ")",
    "a guess of digits": "sjd(guess='" + "9" * 5000 + "')",
    "many windows": "auto(windows=(" + "2," * 9000 + "))",
    "very many windows": "auto(windows=(" + "2," * 60_000 + "))",
    "blanks": "sjd" + " " * 200_000,
}


@pytest.mark.parametrize("text", ERRORS)
def test_misspelling_is_one_clear_line(text):
    with pytest.raises(ValueError, match=ERRORS[text]) as error:
        decoder(text)
    assert "\n" not in str(error.value)


def _called_from(depth, call):
    return call() if depth == 0 else _called_from(depth - 1, call)


@pytest.mark.parametrize("case", TOO_DEEP)
def test_long_or_deep_spelling_is_one_short_line(case):
    with pytest.raises(ValueError, match=r"^.{20,300}$"):
        _called_from(300, lambda: decoder(TOO_DEEP[case]))  # as deep as servers and command lines call it


AUTO = ["auto", " auto()", "auto(9)", "auto(window=64, decoder=jacobi_ngram)", "auto(decoder='jacobi_ngram', window=3)"]


@pytest.mark.parametrize("text", [*AUTO, "auto(64, jacobi_ngram())"])
def test_auto_is_read_as_jacobi_ngram_with_a_warning(text):
    with pytest.warns(
        UserWarning, match="^decoder 'auto' is read as 'jacobi_ngram', which draws the same tokens$"
    ) as said:
        assert str(decoder(text)) == "jacobi_ngram(window=32, branches=0)"
    assert (len(said), said[0].filename) == (1, __file__)


@pytest.mark.parametrize("window", [-1, 1.5])
def test_window_of_a_value_is_checked_too(window):
    with pytest.raises(ValueError, match=f"window must be a whole number of drafts >= 0, got {window}"):
        Jacobi(window)


def test_decoder_has_the_name_and_options_of_its_recipe():
    made = decoder("sjdpp(threshold=0.2)")
    assert made.recipe == "sjdpp"
    assert made.options == {"window": 32, "threshold": 0.2, "guess": "left_sample"}
    assert str(made) == repr(made) == "sjdpp(window=32, threshold=0.2, guess=left_sample)"
    assert str(decoder("ar")) == "ar"


def test_decoder_made_by_hand_shows_its_parts():
    made = Jacobi(3, Speculative(redraft=Reuse(0.5)))
    assert (made.recipe, made.options, made.lossless) == ("", {}, None)
    assert repr(made).startswith("Jacobi(window=3, rule=Speculative(test=Strict(), redraft=Reuse(threshold=0.5), ")
    with pytest.raises(ValueError, match=r"^Jacobi\(.*\) has no options: it was made by hand, not by a recipe$"):
        made.with_options(window=4)


def test_with_options_replaces_some_options():
    assert str(decoder("sjdpp(threshold=0.2)").with_options(window=8)) == (
        "sjdpp(window=8, threshold=0.2, guess=left_sample)"
    )
    assert decoder("sjd").with_options(window=8) == sjd(8)
    with pytest.raises(ValueError, match=r"^ar has no option 'window'; it takes no options$"):
        decoder("ar").with_options(window=8)
    with pytest.raises(ValueError, match=r"^window must be a whole number of drafts >= 0, got 'many'$"):
        decoder("sjd").with_options(window="many")


@pytest.mark.parametrize("name", RECIPES)
def test_pickled_decoder_has_its_recipe(name):
    made = pickle.loads(pickle.dumps(RECIPES[name]()))
    assert (made, made.recipe, str(made)) == (RECIPES[name](), name, str(RECIPES[name]()))


PLUGIN = """
from fewpass import Jacobi
from fewpass.decoders.spec import recipe

@recipe("arXiv 0000.00000", lossless=True)
def hasty(window: int = 7) -> Jacobi:
    \"\"\"A window of hasty drafts. Lossless.\"\"\"
    return Jacobi(window)

def plain(window=7):
    return Jacobi(window)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    info = tmp_path / "hasty_decoders-1.0.dist-info"
    info.mkdir()
    (tmp_path / "hasty_decoders.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hasty-decoders\nVersion: 1.0\n")
    points = ["hasty = hasty_decoders:hasty", "sjd = hasty_decoders:hasty"]
    points += ["plain = hasty_decoders:plain", "other = hasty_decoders:hasty"]
    (info / "entry_points.txt").write_text("\n".join(["[fewpass.decoders]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield info
    sys.modules.pop("hasty_decoders", None)


def test_decoders_of_other_packages_are_found_by_name(plugin, pipeline):
    made = decoder("hasty(window=5)")
    assert (made, made.lossless, str(made)) == (Jacobi(5), True, "hasty(window=5)")
    assert str(made.with_options(window=3)) == "hasty(window=3)"
    drawn = pipeline("two", decoder="hasty", seed=1)
    assert drawn.settings[0]["decoder"] == "hasty(window=7)"
    assert pipeline.again(drawn.settings[0]).tokens.equal(drawn.tokens)
    assert decoder("sjd").recipe == "sjd", "ours cannot be taken away"
    with pytest.raises(ValueError, match=r"^unknown decoder 'hast' \(did you mean 'hasty'\?\); .* hasty, "):
        decoder("hast")


@pytest.mark.parametrize("name", ["plain", "other"])
def test_entry_point_must_be_a_recipe_of_its_name(plugin, name):
    with pytest.raises(ValueError, match=rf"^entry point hasty_decoders:\w+ must be a recipe named '{name}', got <"):
        decoder(name)


def test_decoders_of_other_packages_are_listed(plugin, capsys):
    points = (plugin / "entry_points.txt").read_text().splitlines()
    (plugin / "entry_points.txt").write_text("\n".join(points[:3]))
    assert main(["decoders"]) == 0
    listed = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*RECIPES, "hasty"]
