"""What a call is given: numbers of Python, NumPy and torch are read alike; the rest is one line that names it."""

import itertools
import json
import os
import re

import numpy as np
import pytest
import torch

import fewpass
import fewpass.loading
from fewpass.cli import main
from fewpass.core.checks import read_size, real, whole
from fewpass.engine.options import InvalidOption
from tests.tiny import SIDE

EDGE = 2 * SIDE
HUGE = 10**29

NUMBERS = {
    "temperature": (0.75, [np.float32(0.75), np.float64(0.75), torch.tensor(0.75)]),
    "top_p": (0.5, [np.float16(0.5), torch.tensor(0.5, dtype=torch.float64)]),
    "guidance": (2.0, [2, np.int64(2), torch.tensor(2), np.float32(2), np.array(2)]),
    "top_k": (9, [np.int32(9), torch.tensor(9), np.array(9)]),
    "seed": (5, [np.uint8(5), torch.tensor(5), [torch.tensor(5)], (5,), range(5, 6)]),
    "count": (1, [np.int64(1), torch.tensor(1)]),
    "size": (
        (EDGE, EDGE),
        [[EDGE, EDGE], "8x8", " 8 X 8 ", EDGE, "8", ["8", 8], np.array([8, 8]), torch.tensor([8, 8])],
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_other_types_draw_the_same_image(pipeline, name):
    plain, others = NUMBERS[name]
    options = {"seed": 5, "decoder": "ar"}
    expected = pipeline("two red stars", **options | {name: plain})
    for value in others:
        result = pipeline("two red stars", **options | {name: value})
        assert result.settings == expected.settings
        assert json.loads(json.dumps(result.settings)) == result.settings
        assert torch.equal(result.tokens, expected.tokens)


def test_options_of_decoders_may_be_numbers_of_other_types():
    assert str(fewpass.sjd(np.int64(4))) == str(fewpass.sjd(torch.tensor(4))) == str(fewpass.sjd(4))
    assert str(fewpass.sjdpp(threshold=np.float32(0.5))) == str(fewpass.sjdpp(threshold=0.5))


REFUSED = {
    "size": [(8,), (8, 8, 8), "8x", "x", "", "8x8x8", "8.0", 8.0, [8.0, 8], True, [True, 8], {}, {8, 9}, -8, (8, -8),
             HUGE, f"{HUGE}x8", (HUGE, 8), "9" * 10**6, object(), b"8x8", [[8, 8], [8, 8]], np.zeros((2, 2)), "٣x٣x"],
    "guidance": ["2", [1], (2,), None.__class__, -1, True, np.True_, float("nan"), float("inf"), 10**400, 2j, {},
                 torch.ones(2), np.ones(1), torch.tensor([2.0])],
    "temperature": ["x", "0.7", [1], -0.1, float("nan"), float("inf"), True, 10**400, b"1", torch.ones(1), 1j],
    "top_k": ["9", 1.5, [9], -1, True, HUGE, 10**5000, torch.tensor(1.5), torch.tensor([9])],
    "top_p": ["0.5", 0, 1.01, -1, float("nan"), True, [0.5]],
    "seed": ["5", 1.5, -1, 2**63, HUGE, True, {}, b"5", object(), torch.tensor([1, 2]), np.array([1, 2]), [[1]], ["1"]],
    "count": ["2", 1.5, 0, -1, True, [2], HUGE, 10**6, 10**5000],
    "decoder": [5, "", [], True, ["sjd"], b"sjd", fewpass.sjd, {}],
    "negative_prompt": [5, True, [], ["one"], b"one", {}, "one \udcff", ("one",), [1.5], [-1], [HUGE]],
    "prompt": [5, True, None, b"two", {}, "", " ", "two \udcff", [None], ["two", 5], [[]], 1.5, [1.5], [[-1]],
               [[10**6]], torch.tensor([True]), torch.tensor([10**6]), torch.tensor([-1]), object(), [[HUGE]],
               np.zeros((2, 3))],
}  # fmt: skip
CASES = [(name, value) for name, values in REFUSED.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_bad_values_are_one_short_line_before_any_pass(pipeline, monkeypatch, name, value):
    monkeypatch.setattr(pipeline.model, "open_rows", None)
    calls = [lambda options: pipeline(**options)]
    if name in ("size", "guidance", "temperature", "decoder", "negative_prompt", "top_k"):
        calls.append(lambda options: pipeline.job(**options))
        calls.append(lambda options: pipeline.stream([options.pop("prompt")], **options))
    for call in calls:
        with pytest.raises(ValueError, match=r"^.{10,250}$") as error:
            call({"prompt": "two", name: value})
        assert type(error.value) in (ValueError, InvalidOption)
        assert name in str(error.value) or name in ("prompt", "negative_prompt", "decoder")


WINDOWS = [
    "sjd(window={})", "jacobi_ngram(window={})", "zipar(window={})", "pjd(window={})",
    "pjd(context={})", "sjd_pac(window={})", "sjd_pac(candidates={})", "sjd_pac(depth={})", "gsd(group={})",
    "lantern(neighbours={})", "sjdpp(threshold=-{})", "cool_sd(nu=-{})",
]  # fmt: skip


@pytest.mark.parametrize("spelling", WINDOWS)
@pytest.mark.parametrize("number", [HUGE, 10**5])
def test_numbers_beyond_any_image_are_refused(pipeline, spelling, number):
    with pytest.raises(ValueError, match=r"^.{10,250}$"):
        pipeline("two", decoder=spelling.format(number))


@pytest.mark.parametrize("options", ["depth=1000", "candidates=1000", "candidates=16384, depth=16384"])
def test_trees_beyond_any_memory_are_refused(pipeline, options):
    with pytest.raises(ValueError, match=r"must be a whole number.* <= 65, got "):
        pipeline("two", decoder=f"sjd_pac({options})")


@pytest.mark.parametrize("value", ["x", None, 1.5, True, [3], -1, HUGE])
def test_decoders_that_are_made_by_hand_check_their_window(value):
    with pytest.raises(ValueError, match="window must be a whole number of drafts"):
        fewpass.Jacobi(value)


@pytest.mark.parametrize("value", ["x", None, [3], True])
def test_sampling_that_is_made_by_hand_checks_its_numbers(value):
    for name in ("temperature", "top_k", "top_p"):
        with pytest.raises(ValueError, match=f"{name} must be a"):
            fewpass.Sampling(**{name: value})


def test_sampling_holds_numbers_of_python():
    held = fewpass.Sampling(np.float32(0.5), np.int64(3), torch.tensor(0.5))
    assert [type(value) for value in vars(held).values()] == [float, int, float, float]
    assert held == fewpass.Sampling(0.5, 3, 0.5)


def test_a_stream_of_any_count_takes_no_memory(pipeline):
    stream = pipeline.stream(["two"], count=10**12, seed=0, batch_size=2, decoder="ar")
    assert [i for i, _ in itertools.islice(stream, 4)] == [0, 1, 2, 3]
    stream.close()


@pytest.mark.parametrize("prompts", [5, None, "two", b"two", torch.tensor([1, 2])])
def test_a_stream_of_no_prompts_is_refused(pipeline, prompts):
    with pytest.raises(ValueError, match="prompts must be several texts, got"):
        pipeline.stream(prompts)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "2", None, True])
def test_batches_of_no_whole_number_are_refused(pipeline, batch):
    with pytest.raises(ValueError, match="batch_size must be a whole number of images"):
        pipeline.stream(["two"], batch_size=batch)


def test_many_seeds_are_refused_without_counting_them(pipeline):
    for seeds in (range(10**12), range(10**30), [1] * 70_000):
        with pytest.raises(ValueError, match="a call draws at most 65536 images, got 65537"):
            pipeline("two", seed=seeds)


def test_checks_tell_the_bound_that_is_exceeded():
    for call, message in (
        (lambda: whole("n", 5, 0, 4), "n must be a whole number <= 4, got 5"),
        (lambda: whole("n", -5, 0, 4, of="codes"), "n must be a whole number of codes >= 0, got -5"),
        (lambda: whole("n", "5"), "n must be a whole number, got '5'"),
        (lambda: real("x", "5", 1), "x must be a number >= 1, got '5'"),
        (lambda: real("x", [5]), "x must be a number, got [5]"),
    ):
        with pytest.raises(ValueError, match="must be") as error:
            call()
        assert str(error.value) == message
    assert read_size(None) is None


COMMANDS = [
    (["generate", "two", "--window", str(HUGE)], "window must be a whole number of drafts <= 16384"),
    (["generate", "two", "--window", "99999"], "window must be a whole number of drafts <= 16384"),
    (["generate", "two", "--window", "9" * 5000], "'--window': Unable to parse"),
    (["generate", "two", "--negative-prompt", "one \udcff"], "must be text in Unicode, got 'one \\udcff'"),
    (["compare", "two", "--negative-prompt", "one \udcff"], "must be text in Unicode, got 'one \\udcff'"),
    (["generate", "two \udcff"], "must be text in Unicode, got 'two \\udcff'"),
    (["generate", "two", "--count", "999999999999"], "less than or equal to 1000000, got '999999999999'"),
    (["generate", "two", "--count", "9" * 5000], "'--count': Unable to parse"),
    (["generate", "two", "--seed", "9" * 5000], "'--seed': Unable to parse"),
    (["generate", "two", "--seed", str(10**4000)], "a seed must lie in"),
    (["generate", "two", "--temperature", "x" * 5000], "valid number"),
    (["generate", "two", "--top-k", str(10**22)], "top_k must be a whole number of codes <= "),
    (["generate", "two", "--guidance", "1e38"], "guidance must be a number <= 1000000, got 1e+38"),
    (["compare", "two", "--guidance", "1e38"], "guidance must be a number <= 1000000, got 1e+38"),
    (["generate", "two", "--size", "8x8x8"], "size must be WIDTHxHEIGHT"),
    (["generate", "two", "--size", "9" * 5000], "size must be WIDTHxHEIGHT"),
    (["generate", "two", "--decoder", ""], "does not spell a decoder"),
]


@pytest.mark.parametrize(("arguments", "message"), COMMANDS, ids=[str(i) for i in range(len(COMMANDS))])
def test_options_are_one_short_line_before_the_model_is_loaded(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fewpass.loading, "load", None)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), len(said) < 300) == (1, True)
    assert message in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "two", "--model", ""],
        ["bench", "--model", ""],
        ["generate", "two", "--dtype", ""],
        ["check", "emoji", "--dtype", ""],
    ],
)
def test_an_empty_value_is_not_taken_for_none(arguments, tmp_path, monkeypatch, capsys):
    """As variables that are not set make it: another model would be drawn with."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert re.search("unknown model ''|dtype must be one of .*, got ''", capsys.readouterr().err)


def test_files_whose_names_are_no_text_are_named_too(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "two", "--model", str(folder), "-o", os.fsdecode(b"\xff.png")]) == 0
    assert capsys.readouterr().out.startswith("\\udcff.png: seed ")
    assert os.listdir(b".") == [b"\xff.png"]


@pytest.mark.parametrize("size", ["8", "8x8"])
def test_generate_takes_one_number_for_a_square(folder, tmp_path, size):
    assert main(["generate", "two", "--model", str(folder), "--size", size, "-o", str(tmp_path / "a.png")]) == 0


def test_compare_and_check_take_one_number_for_a_square(folder, tmp_path):
    options = ["--size", "8", "--decoders", "ar", "-o", str(tmp_path / "a.png")]
    assert main(["compare", "two", "--model", str(folder), *options]) == 0
    assert main(["check", str(folder), "--size", "8"]) == 0
