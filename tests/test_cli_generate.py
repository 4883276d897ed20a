"""`fewpass generate`: what it writes and what it says."""

import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

import fewpass
from fewpass.cli import main
from fewpass.io.png_metadata import read_settings
from fewpass.pipeline import BLANK
from fewpass.viz.encode import LAST


@pytest.fixture
def generate(folder, tmp_path, monkeypatch, capsys):
    """Runs the command with the small model in an empty folder; gives what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, said: str = "") -> str:
        code = main(["generate", "--model", str(folder), *arguments])
        printed = capsys.readouterr()
        assert (code, printed.err) == (0, said)
        return printed.out

    return run


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_generate_writes_one_file(generate, tmp_path):
    said = generate("two red stars", "-o", "stars.png", "--seed", "7")
    assert names(tmp_path) == ["stars.png"]
    trace = read_settings("stars.png")["trace"]
    assert f"stars.png: seed 7, {trace['passes']} forward passes where autoregression needs 16, " in said
    assert f"{16 / trace['passes']:.2f} tokens per pass" in said
    assert re.search(r"^1 image in [\d.]+ s, after [\d.]+ s of loading; .*: lossless$", said, re.M)


def test_generate_names_lossy_decoders(generate):
    assert "sjdpp(window=32, threshold=0.1, guess=left_sample): lossy" in generate("two", "--decoder", "sjdpp")


def test_png_holds_the_picture_and_its_settings(generate, folder):
    options = ["--decoder", "sjd(window=4, guess=left)", "--guidance", "2.5", "--temperature", "0.9", "--top-k", "9"]
    generate("two red stars", "-o", "a.png", "--seed", "7", *options, "--top-p", "0.8", "--negative-prompt", "blue")
    kept = read_settings("a.png")
    assert kept["model"] == str(folder)
    assert kept["versions"]["fewpass"] == fewpass.__version__
    assert (kept["lossless"], kept["dtype"], kept["size"]) == (True, "float32", [8, 8])
    again = fewpass.load(kept["model"], kept["device"], kept["dtype"])(
        kept["prompt"],
        decoder=kept["decoder"],
        size=tuple(kept["size"]),
        **{name: kept[name] for name in ("guidance", "temperature", "top_k", "top_p", "seed", "negative_prompt")},
    )
    assert again.settings[0].items() <= kept.items()
    assert (np.array(again.images[0]) == pixels("a.png")).all()
    assert kept["trace"]["committed"] == again.trace.committed[0].tolist()
    asked = ("sjd(window=4, guess=left)", 2.5, 0.9, 9, 0.8, 7, "blue", "two red stars")
    names = ("decoder", "guidance", "temperature", "top_k", "top_p", "seed", "negative_prompt", "prompt")
    assert tuple(kept[name] for name in names) == asked


def test_folder_has_stable_names(generate, tmp_path):
    said = generate("two red stars", "a BLUE  stars!".replace("!", ""), "-o", "drawn", "--seed", "5", "--count", "2")
    expected = [
        "drawn/00-two-red-stars-5.png",
        "drawn/01-two-red-stars-6.png",
        "drawn/02-a-blue-stars-7.png",
        "drawn/03-a-blue-stars-8.png",
    ]
    assert names(tmp_path) == expected
    assert all(f"{name}: seed" in said for name in expected)
    assert "4 images in " in said
    assert [read_settings(name)["seed"] for name in expected] == [5, 6, 7, 8]
    assert [read_settings(name)["prompt"] for name in expected[1:3]] == ["two red stars", "a BLUE  stars"]


def test_folder_may_exist_and_have_a_suffix(generate, tmp_path):
    (tmp_path / "v1.0").mkdir()
    generate("two", "-o", "v1.0", "--seed", "1")
    generate("two", "-o", "v2.0/", "--seed", "1")
    generate("two", "--seed", "1")
    assert names(tmp_path) == ["00-two-1.png", "v1.0/00-two-1.png", "v2.0/00-two-1.png"]


def test_batch_size_changes_no_image(generate):
    for together in ("1", "3"):
        generate("two", "red", "-o", together, "--seed", "1", "--count", "2", "--batch-size", together)
    for name in ("00-two-1.png", "01-two-2.png", "02-red-3.png", "03-red-4.png"):
        assert (pixels(f"1/{name}") == pixels(f"3/{name}")).all()
        assert read_settings(f"1/{name}")["trace"]["images_together"] == 1
    assert read_settings("3/00-two-1.png")["trace"]["images_together"] == 3


def test_prompts_from_a_file_follow_those_typed(generate, tmp_path):
    (tmp_path / "prompts.txt").write_bytes(b"\xef\xbb\xbftwo red stars\r\n\r\n   \r\n  a blue stars  \r\n")
    generate("one", "--prompts", "prompts.txt", "-o", "out", "--seed", "0")
    assert names(tmp_path / "out") == ["00-one-0.png", "01-two-red-stars-1.png", "02-a-blue-stars-2.png"]


@pytest.mark.parametrize(
    ("name", "content", "unused"),
    [
        ("p.tsv", "id\tprompt\n1\ttwo\n\n2\tred\n", ["id"]),
        ("p.csv", "prompt;seed\ntwo;\nred;7\n", ["seed"]),
        ("p.jsonl", '{"prompt": "two"}\n{"prompt": "red", "note": 1, "tag": "x"}\n', ["note", "tag"]),
        ("p.json", '["two", "red"]', []),
        ("dpg/1.txt", "two\n", []),
    ],
)
def test_prompts_from_files_of_every_kind(generate, tmp_path, name, content, unused):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    (tmp_path / name).with_name("10.txt").write_text("red\n")
    given = name.partition("/")[0]
    said = f"{given}: only the prompts are used, not {', '.join(map(repr, unused))}\n" if unused else ""
    generate("--prompts", given, "-o", "out", "--seed", "0", said=said)
    assert names(tmp_path / "out") == ["00-two-0.png", "01-red-1.png"]


def test_prompts_from_standard_input(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"two\n\nred\n")))
    generate("--prompts", "-", "-o", "out", "--seed", "0")
    assert names(tmp_path / "out") == ["00-two-0.png", "01-red-1.png"]


def test_window_replaces_that_of_the_decoder(generate):
    generate("two", "-o", "a.png", "--decoder", "sjd(window=9, guess=left)", "--window", "3")
    assert read_settings("a.png")["decoder"] == "sjd(window=3, guess=left)"
    generate("two", "-o", "a.png", "--decoder", "sjdpp(threshold=inf)", "--window", "0")
    assert read_settings("a.png")["decoder"] == "sjdpp(window=0, threshold=inf, guess=left_sample)"
    generate("two", "-o", "a.png", "--window", "3")
    assert read_settings("a.png")["decoder"] == "jacobi_ngram(window=3, branches=0)"


def test_random_seeds_differ_and_are_printed(generate):
    first, second = generate("two", "-o", "a.png"), generate("two", "-o", "b.png")
    seeds = [read_settings(name)["seed"] for name in ("a.png", "b.png")]
    assert seeds[0] != seeds[1]
    assert f"seed {seeds[0]}," in first
    assert f"seed {seeds[1]}," in second


def test_steps_has_a_frame_for_each_pass(generate):
    said = generate("two", "-o", "a.png", "--seed", "1", "--steps", "a.gif", "--decoder", "ar")
    assert "a.gif: 16 frames" in said
    with Image.open("a.gif") as film:
        frames, durations = [], []
        for frame in range(film.n_frames):
            film.seek(frame)
            durations.append(film.info["duration"])
            frames.append(np.array(film.convert("RGB")))
    assert len(frames) == 16
    assert durations[-1] == LAST > durations[0]
    for n, frame in enumerate(frames, start=1):
        final = np.arange(16).reshape(4, 4).repeat(2, 0).repeat(2, 1) < n
        assert (frame[~final] == BLANK).all()
        assert not (frame[final] == BLANK).all()
    assert abs(frames[-1].astype(int) - pixels("a.png")).mean() < 8  # 256 colours


def test_generate_writes_no_other_file(generate, tmp_path):
    generate("two", "-o", "a.png", "--steps", "a.gif")
    assert names(tmp_path) == ["a.gif", "a.png"]


def test_progress_on_a_terminal_counts_tokens(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("TERM", "xterm")
    out = str(tmp_path / "out")
    assert main(["generate", "two", "red", "one", "--model", str(folder), "-o", out, "--batch-size", "2"]) == 0
    printed = capsys.readouterr()
    assert "48/48 tokens" in printed.err
    assert f"loading {folder}" in printed.err.replace("\n", "")
    assert "tokens per pass" in printed.out


def test_settings_are_one_json_text(generate):
    generate("two", "-o", "a.png")
    with Image.open("a.png") as image:
        assert json.loads(image.text["fewpass"])["prompt"] == "two"
