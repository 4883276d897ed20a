import re

import pytest

import fewpass
from fewpass import RECIPES, Jacobi, decoder, sjd, sjdpp
from fewpass.decoders.draft_init import GUESSES, above, uniform
from fewpass.decoders.rules import Reuse, Speculative

EVERY = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
VALUES = {"window": 7, "guess": "above_sample", "threshold": 0.25}


@pytest.mark.parametrize("name", ["ar", "jacobi", "sjd", "sjdpp", "mc_sjd", "gs_sjd"])
def test_recipe_has_its_name_and_is_public(name):
    assert RECIPES[name].name == name
    assert getattr(fewpass, name) is RECIPES[name]


@EVERY
def test_docstring_says_whether_the_recipe_is_lossless(recipe):
    words = re.findall(r"\b(Lossless|Lossy)\b", recipe.__doc__)
    assert words == ["Lossless" if recipe.lossless else "Lossy"]
    assert recipe().lossless == recipe.lossless


@EVERY
def test_recipe_has_a_source(recipe):
    assert recipe.name == "ar" or re.search(r"arXiv \d{4}\.\d{4,5}", recipe.source)


@EVERY
def test_every_recipe_is_spelled_as_it_was_made(recipe):
    options = {name: value for name, value in VALUES.items() if name in recipe.parameters}
    for made in (recipe(), recipe(**options)):
        again = decoder(str(made))
        assert again == made
        assert (str(again), again.lossless) == (str(made), recipe.lossless)


@pytest.mark.parametrize("guess", GUESSES)
def test_every_guess_is_spelled_as_it_was_made(guess):
    assert decoder(str(sjd(3, guess))).guess is GUESSES[guess]


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


ERRORS = {
    "fast": r"^unknown decoder 'fast'; there are ar, jacobi, sjd,",
    "sjd(threshold=1)": r"^sjd has no option 'threshold'; it has window, guess$",
    "ar(window=1)": r"^ar has no option 'window'; it has none$",
    "sjd(window=-1)": r"window must be .*got -1$",
    "sjd(window=1.5)": r"^sjd: window must be a whole number, not 1.5$",
    "sjd(window=True)": r"^sjd: window must be a whole number, not True$",
    "sjd(window=many)": r"^sjd: window must be a whole number, not 'many'$",
    "sjd(guess=3)": r"^sjd: guess must be a word, not 3$",
    "sjd(guess=right)": r"guess must be one of uniform, left, left_sample, above, above_sample, not 'right'$",
    "sjdpp(threshold=-1)": r"threshold must be a number >= 0, got -1$",
    "sjd(1, window=2)": r"'sjd\(1, window=2\)': .*window.*; sjd takes window, guess$",
    "sjd(1, left, 3)": r"'sjd\(1, left, 3\)': too many positional arguments; sjd takes window, guess$",
    "ar(1)": r"'ar\(1\)': .*; ar takes no options$",
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
        assert str(decoder(text)) == "jacobi_ngram(window=32)"
    assert (len(said), said[0].filename) == (1, __file__)


@pytest.mark.parametrize("window", [-1, 1.5])
def test_window_of_a_value_is_checked_too(window):
    with pytest.raises(ValueError, match=f"window must be a whole number of drafts >= 0, got {window}"):
        Jacobi(window)
