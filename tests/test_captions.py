"""LlamaGen's cleaning of captions, against what the authors' own makes of the same strings."""

# ruff: noqa: RUF001 — people type such signs

import builtins

import pytest

from fewpass.models.llamagen.captions import cleaned


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("A Red Fox", "a red fox"),
        ("  two   foxes,one dog.  ", "two foxes, one dog."),
        ('a dog saying "I see"', 'a dog saying "i see"'),
        ('"I see" said a dog', '"i see" said a dog'),
        ('"a whole caption"', "a whole caption"),
        ("'a whole caption'", "a whole caption"),
        ('"two" and "three"', 'two" and "three'),
        ("'a dog',", "a dog"),
        ("-- a dog --", "a dog"),
        (":a dog+", "a dog"),
        ("a dog;", "a dog;"),
        (";a dog", "a dog"),
        ('a sign that says ""open""', 'a sign that says "open"'),
        ("“quoted” — and ‘so’ on", "\"quoted\" - and 'so' on"),
        ("a black-and-white photo of a well-known dog", "a black-and-white photo of a well-known dog"),
        ("a black-and-white photo of a well-known t-shirt", "a black and white photo of a well known t shirt"),
        ("snake_case and kebab-case", "snake_case and kebab-case"),
        ("the_quick_brown_fox_jumps", "the quick brown fox jumps"),
        ("r2d2 and c3po", "and"),
        ("a 2x2 grid", "a grid"),
        ("3.5 x 4 cm", "3.5 x 4 cm"),
        ("a 10×20 board", "a board"),
        ("page 3 of a book", "of a book"),
        ("1 + 1 = 2", "1 1 = 2"),
        ("c++", "c"),
        ("50% off", "50% off"),
        ("100%25 wool", "100% wool"),
        ("caf%C3%A9", "café"),
        ("* [sale] #1", "sale"),
        ("#12345 and 1234567", "and"),
        ("a Porsche 356", "a porsche 356"),
        ("b52 bomber", "b52 bomber"),
        ("abcd1234", "abcd1234"),
        ("Tom &amp; Jerry...", "tom jerry"),
        ("Tom & Jerry", "tom jerry"),
        ("<b>bold</b> dog", "bold dog"),
        ("a <person> walks", "a person walks"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("see https://a.org/b and foo.co.uk/bar", "see and uk bar"),
        ("ask @nick or me@foo.com", "ask or me"),
        ("photo.jpeg of a dog", "of a dog"),
        ("png images of dogs", "of dogs"),
        ("free shipping on dogs", "on dogs"),
        ("free download", ""),
        ("click on this dog", "dog"),
        ("192.168.0.1", ""),
        ("at 12:30 ", "at 12:30"),
        ("3.5 litres of v2.wine", "3.5 litres of v2.wine"),
        ("U.S.A.", "u. s. a."),
        ("a dog . a cat", "a dog a cat"),
        ("wait... what", "wait what"),
        ("雪 on a hill", "on a hill"),
        ("ﬁne art", "fine art"),
        ("Ｆｕｌｌ width", "full width"),
        ("cafe\u0301", "café"),
        ("cafÃ©", "cafã"),
        ("back\\nslash", "back slash"),
        ("either/or", "either or"),
        (".hidden", ""),
        ("雪", ""),
        ("two\nlines", "two lines"),
        ("a dog : a cat", "a dog: a cat"),
        ("he said: go", "he said: go"),
    ],
)
def test_cleaned_caption_is_that_of_the_authors(typed, read):
    assert cleaned(typed) == read


@pytest.mark.parametrize("package", ["ftfy", "bs4"])
def test_cleaning_without_its_packages_names_the_extra(monkeypatch, package):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == package:
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'fewpass\[llamagen\]'"):
        cleaned("a red fox")
