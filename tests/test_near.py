"""An unknown name is answered with the known names that are spelled like it."""

import time

import pytest

from fewpass.batch.entries import entries_of
from fewpass.bench.shape import read_shape
from fewpass.cli import main
from fewpass.core.messages import meant
from fewpass.decoders import decoder
from fewpass.evaluation.benchmarks import benchmarks_of
from fewpass.io.prompt_rows import Row
from training.scenes import vocabulary


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("sdj", ("ar", "sjd"), " (did you mean 'sjd'?)"),
        ("star", ("stars", "tar"), " (did you mean 'stars' or 'tar'?)"),
        ("SJD", ("ar", "sjd"), " (did you mean 'sjd'?)"),
        ("janus-pro-1b", ("deepseek-community/Janus-Pro-1B",), " (did you mean 'deepseek-community/Janus-Pro-1B'?)"),
        ("dragon", ("ar", "sjd"), ""),
        ("", ("ar",), ""),
    ],
)
def test_meant_names_what_is_near(name, known, said):
    assert meant(name, known) == said


def test_meant_takes_no_longer_for_a_name_without_end():
    started = time.process_time()
    meant("sjd" * 100_000, ["sjd" * 20] * 100)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: decoder("sdj"), "unknown decoder 'sdj' .did you mean 'sjd'"),
        (lambda: decoder("sjd(widow=3)"), "no option 'widow' .did you mean 'window'"),
        (lambda: benchmarks_of("genval"), "unknown benchmark 'genval' .did you mean 'geneval'"),
        (
            lambda: entries_of([Row("a cat", "1", {"guidence": "2"})], {}, 0, 1, []),
            "'guidence' .did you mean 'guidance'",
        ),
        (lambda: entries_of([Row("a cat", "1", {})], {}, 0, 1, ["colour"]), "no column 'colour' to keep"),
        (lambda: read_shape("janus-pro1b"), "'janus-pro1b' .did you mean 'janus-pro-1b'"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(asked, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=said):
        asked()


def test_an_unknown_word_is_answered_with_near_words_and_where_all_are(emoji):
    with pytest.raises(ValueError, match="unknown to emoji") as refused:
        emoji("two starz on a blu background")
    message = str(refused.value)
    assert "'starz' (did you mean 'star' or 'stars'?)" in message
    assert "'blu' (did you mean 'blue'" in message
    assert message.endswith(f"`fewpass models emoji` lists all {len(vocabulary().words)} words")
    assert len(message) < 200


def test_many_unknown_words_are_counted(emoji):
    with pytest.raises(ValueError, match="and 995 more; ") as refused:
        emoji(" ".join(f"{number}{'x' * 5000}" for number in range(1000)))
    assert len(str(refused.value)) < 500


def test_the_words_of_the_bundled_model_are_listed(capsys):
    assert main(["models", "emoji"]) == 0
    assert tuple(capsys.readouterr().out.split()) == vocabulary().words
    assert main(["models", "emojy"]) == 2
    assert "'emojy' is not a bundled model (did you mean 'emoji'?)" in capsys.readouterr().err
