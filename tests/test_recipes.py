import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fewpass
from fewpass import RECIPES, Jacobi, decoder, sjd, sjdpp
from fewpass.decoders.draft_init import GUESSES, above, uniform
from fewpass.decoders.rules import Reuse, Speculative
from fewpass.decoders.spec import with_option
from tests.properties import REPEATABLE

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


# Any valid options, written as text and read again.

SOME = st.integers(1, 99)
NUMBERS = st.one_of(st.integers(0, 9), st.floats(0, 1e9), st.floats(0, 1))
WINDOWED = ["jacobi_ngram", "sjd", "mc_sjd(guess=left)", "jacobi(guess=above_sample)"]
VALID = {
    "window": SOME,
    "guess": st.sampled_from(list(GUESSES)),
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


def literal(value):
    """As a user may write it: words bare, numbers as they are."""
    return value if isinstance(value, str) else repr(value)


@EVERY
@settings(REPEATABLE, max_examples=40)
@given(data=st.data())
def test_any_options_come_back_from_text(recipe, data):
    options = data.draw(st.fixed_dictionaries({}, optional={name: VALID[name] for name in recipe.parameters}))
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
    options = data.draw(st.fixed_dictionaries({name: VALID[name] for name in recipe.parameters}))
    made = recipe(**options)
    for name in options:
        value = data.draw(VALID[name], label=name)
        changed = decoder(with_option(str(made), name, value))
        assert changed == recipe(**options | {name: value})
        assert (changed == made) == (value == options[name]), name


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
    "sjd(window=__import__('os'))": r"^sjd: window must be a whole number, not \"__import__\('os'\)\"$",
    "sjd(window=os.system('ls'))": r"is neither a literal nor a word$",
    "auto(decoder=ar)": r"^ar has no window",
    "auto(decoder=sjdpp)": r"^auto: decoder must be lossless and have a window and no tree, unlike 'sjdpp'$",
    "auto(decoder=sjd_pac)": r"^auto: decoder must be lossless and have a window and no tree, unlike 'sjd_pac'$",
    "auto(decoder=auto)": r"^auto: decoder must be lossless and have a window and no tree, unlike 'auto'$",
    "auto(decoder=sjd(window=3))": r"^auto chooses the windows of 'sjd\(window=3\)': give its own option window the l",
    "auto(decoder=nothing)": r"^unknown decoder 'nothing'",
    "auto(windows=(3, 65))": r"^auto: windows are whole numbers from 0 to window=64, not \(3, 65\)$",
    "auto(windows=3)": r"^auto: windows must be whole numbers, like \(8, 16\), not 3$",
    "auto(windows=(1, 2.5))": r"^auto: windows must be whole numbers, like \(8, 16\), not \(1, 2.5\)$",
    "auto(windows=(1, True))": r"^auto: windows must be whole numbers, like \(8, 16\), not \(1, True\)$",
    "sjd(**options)": r"does not spell a decoder; write it like 'sjd' or 'sjd\(window=16\)'$",
    "sjd(": r"^'sjd\(' does not spell a decoder",
    "": r"^'' does not spell a decoder",
    "1": r"^'1' does not spell a decoder",
    "sjd.make()": r"does not spell a decoder",
    "sjd; ar": r"does not spell a decoder",
    "a\0b": r"does not spell a decoder",
    "(" * 50: r"does not spell a decoder",
    "sjd(window=1, guess=left, window=2)": r"'window' is there twice$",
    "sjd(window=1000000000000000000000)": r"^sjd: window must lie below 2\^63, not 1000000000000000000000$",
}
TOO_DEEP = {
    "signs": "sjd(window=" + "-" * 900 + "1)",
    "fewer signs": "sjd(window=" + "-" * 180 + "1)",
    "brackets": "(" * 50_000,
    "calls of calls": "sjd" + "()" * 95,
    "calls in calls": "auto(decoder=" + "f(" * 60 + ")" * 61,
    "attributes": "sjd(window=a" + ".a" * 90 + ")",
    "sums": "sjd(window=" + "1+" * 180 + "1)",
    "decoders in decoders": "auto(decoder=" * 12 + "sjd" + ")" * 12,
    "a long name": "x" * 1_000_000,
    "a long number": "sjd(window=" + "9" * 4000 + ")",
    "a longer number": "sjd(window=" + "9" * 5000 + ")",
    "a guess of digits": "sjd(guess='" + "9" * 5000 + "')",
    "many windows": "auto(window=1, windows=(" + "2," * 9000 + "))",
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


def test_windows_of_every_pass_of_the_largest_images_are_read():
    made = decoder(f"auto(windows={(64,) * 9216})")
    assert decoder(str(made)) == made


@pytest.mark.parametrize("window", [-1, 1.5])
def test_window_of_a_value_is_checked_too(window):
    with pytest.raises(ValueError, match=f"window must be a whole number of drafts >= 0, got {window}"):
        Jacobi(window)


def test_an_option_of_a_spelling_takes_another_value_wherever_it_stands():
    assert with_option("sjd", "window", 3) == "sjd(window=3)"
    assert with_option("sjd(window=3, guess=left)", "window", 5) == "sjd(window=5, guess=left)"
    assert with_option("auto(windows=(8,), decoder=sjd(guess=left))", "windows", (2, 4)) == (
        "auto(windows=(2, 4), decoder=sjd(guess=left))"
    )
    assert with_option("auto(decoder=sjd)", "windows", (2,)) == "auto(decoder=sjd, windows=(2,))"
