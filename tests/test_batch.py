"""`fewpass batch`: every image once, whatever happens in between."""

import io
import json
import os
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import fewpass.cli.batch
import fewpass.io.extra
from fewpass.batch.draw import draw
from fewpass.batch.entries import Entry, entries_of
from fewpass.cli import main
from fewpass.engine.group import Group
from fewpass.io.png_metadata import png, read_settings
from fewpass.io.prompt_files import read_rows
from tests.damage import DEEP, huge

PROMPTS = """id,prompt,seed,guidance,top_k,decoder,negative_prompt
a,two red stars,7,,,,
b,blue stars,,2.5,,ar,red
c,two,,,5,,
d,one on a blue background,9,1,,"sjd(window=4)",
e,red stars,,,,,
"""


@pytest.fixture
def here(pipeline, tmp_path, monkeypatch) -> Path:
    """An empty folder with a file of prompts, where the small model is loaded already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fewpass.cli.batch, "open_model", lambda *_: pipeline)
    monkeypatch.setattr(pipeline.model, "name", "emoji")  # restored after the test
    Path("p.csv").write_text(PROMPTS)
    return tmp_path


@pytest.fixture
def batch(here, capsys):
    """Runs the command; gives its exit code and what it said on standard error."""

    def run(*arguments: str, file: str = "p.csv", output: str = "out") -> tuple[int, str]:
        chosen = [] if "--decoder" in arguments else ["--decoder", "jacobi_ngram"]
        code = main(["batch", file, "-o", output, "--dtype", "float64", *chosen, *arguments])
        return code, capsys.readouterr().err

    return run


def lines(output: str = "out") -> list[dict]:
    return [json.loads(line) for line in Path(output, "results.jsonl").read_text().splitlines()]


def pixels(output: str = "out") -> dict[str, bytes]:
    """Every file in the folder of images, decoded."""
    found = {}
    for path in Path(output, "images").iterdir():
        with Image.open(path) as image:
            found[path.name] = np.array(image.convert("RGB")).tobytes()
    return found


def timeless(results: list[dict]) -> list[dict]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in results]


def test_batch_draws_the_images_of_the_pipeline(batch, pipeline):
    fixed = {"temperature": 0.9, "decoder": "jacobi_ngram"}
    assert batch("--seed", "40", "--temperature", "0.9") == (0, "")
    expected = {
        "a": {"prompt": "two red stars", "seed": 7},
        "b": {"prompt": "blue stars", "seed": 41, "guidance": 2.5, "decoder": "ar", "negative_prompt": "red"},
        "c": {"prompt": "two", "seed": 42, "top_k": 5},
        "d": {"prompt": "one on a blue background", "seed": 9, "guidance": 1, "decoder": "sjd(window=4)"},
        "e": {"prompt": "red stars", "seed": 44},
    }
    drawn = pixels()
    assert sorted(drawn) == [f"{name}.png" for name in expected]
    for line, (name, call) in zip(lines(), expected.items(), strict=True):
        result = pipeline(**fixed | call)
        assert np.array(result.images[0]).tobytes() == drawn[f"{name}.png"]
        assert (line["id"], line["status"], line["image"]) == (name, "drawn", f"images/{name}.png")
        assert result.settings[0].items() <= read_settings(f"out/images/{name}.png").items()
        assert (line["prompt"], line["seed"]) == (call["prompt"], call["seed"])
        assert line["settings"] == result.settings[0]
        assert line["passes"] == int(result.trace.passes[0])
        assert (line["width"], line["height"], line["dtype"]) == (8, 8, "float64")


@pytest.mark.parametrize("size", ["1", "3"])
def test_batch_size_changes_no_image(batch, size):
    batch("--seed", "1")
    batch("--seed", "1", "--batch-size", size, output="other")
    assert pixels() == pixels("other")
    assert timeless(lines()) == timeless(lines("other"))


def test_failing_prompt_is_recorded_and_others_are_drawn(batch):
    Path("p.txt").write_text("two\na dragon\nred stars\n")
    code, said = batch(file="p.txt")
    assert (code, said) == (1, "1 failed, see 'out/results.jsonl'\n")
    assert [line["status"] for line in lines()] == ["drawn", "failed", "drawn"]
    assert "dragon" in lines()[1]["error"]
    assert sorted(pixels()) == ["00000.png", "00002.png"]
    assert batch(file="p.txt") == (code, said)


def test_retry_failed_draws_failed_prompts_again(batch, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Group, "advance", lambda self: 1 / 0)
        assert batch("--seed", "1")[0] == 1
    assert {line["error"] for line in lines()} == {"ZeroDivisionError: division by zero"}
    assert batch("--seed", "1")[0] == 1
    assert batch("--seed", "1", "--retry-failed") == (0, "")
    assert batch("--seed", "1", output="other") == (0, "")
    assert pixels() == pixels("other")
    assert timeless(lines()) == timeless(lines("other"))


def test_out_of_memory_halves_the_batch(pipeline, monkeypatch):
    def crowded(self, advance=Group.advance):
        if len(self.jobs) > 2:
            raise torch.OutOfMemoryError("no room")
        advance(self)

    monkeypatch.setattr(Group, "advance", crowded)
    entries = [Entry(str(i), "two", i, {"decoder": "ar"}, {}) for i in range(5)]
    with pytest.warns(RuntimeWarning, match="out of memory with 5 images at once: going on with 2"):
        outcomes = list(draw(pipeline, entries, 5))
    assert sorted(outcome.line["id"] for outcome in outcomes if outcome.png) == list("01234")


def test_lost_device_ends_the_run_and_keeps_its_images(batch, monkeypatch):
    def lost(self, advance=Group.advance):
        advance(self)
        if Path("out/images").exists() and len(pixels()) > 1:
            raise torch.AcceleratorError("unplugged")

    with monkeypatch.context() as broken:
        broken.setattr(Group, "advance", lost)
        code, said = batch("--seed", "1", "--batch-size", "1")
    assert (code, len(pixels()), len(lines())) == (2, 2, 2)
    assert "the device has failed" in said
    assert batch("--seed", "1") == (0, "")
    assert [line["status"] for line in lines()] == ["drawn"] * 5


def dying(moment: int, run) -> bool:
    """Runs in a process of its own that is killed at the `moment`-th step of writing a file. Has it been?"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 says that threads do not survive this
        child = os.fork()
    if child == 0:
        try:
            _kill_at(moment)
            os._exit(run()[0])
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _kill_at(moment: int) -> None:
    """Steps are: half of the file is written, all of it is, it is in its place."""
    steps, write, put = iter(range(10**6)), Path.write_bytes, os.replace

    def step() -> None:
        if next(steps) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def write_bytes(path: Path, data: bytes) -> None:
        write(path, data[: len(data) // 2])
        step()
        write(path, data)
        step()

    def replace(*paths: Path) -> None:
        put(*paths)
        step()

    Path.write_bytes, os.replace = write_bytes, replace


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_run_killed_at_any_moment_is_resumed(batch):
    Path("p.csv").write_text("id,prompt\na,two\nb,red\n")
    batch("--seed", "1", output="whole")
    killed, expected = 0, pixels("whole")
    while dying(killed, lambda: batch("--seed", "1", "--batch-size", "2")):
        if Path("out/images").exists():
            seen = pixels() if not list(Path("out/images").glob(".*.tmp")) else {}
            assert seen.items() <= expected.items()
        shutil.copytree("out", f"after-{killed}")
        shutil.rmtree("out")
        killed += 1
    assert killed > 3 * len(expected)
    for moment in range(killed):
        assert batch("--seed", "1", output=f"after-{moment}") == (0, "")
        assert pixels(f"after-{moment}") == expected
        assert timeless(lines(f"after-{moment}")) == timeless(lines("whole"))
        assert sorted(os.listdir(f"after-{moment}")) == sorted(os.listdir("whole"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_run_killed_repeatedly_is_finished(batch):
    starts = 1
    while dying(6, lambda: batch("--seed", "1", "--batch-size", "1")):
        starts += 1
    assert 1 < starts < 10
    assert [line["id"] for line in lines()] == list("abcde")
    assert len(pixels()) == 5


def test_resumed_run_draws_no_image_twice(batch, monkeypatch):
    batch("--seed", "1")
    whole = lines()
    for missing in (b"", Path("out/results.jsonl").read_bytes()[:-20]):
        Path("out/results.jsonl").write_bytes(missing)
        monkeypatch.setattr(fewpass.cli.batch, "open_model", None)
        assert batch("--seed", "1") == (0, "")
        assert lines() == whole


def test_model_path_that_is_not_utf8_reaches_the_results(batch):
    model = os.fsdecode(b"caf\xe9")
    for _ in range(2):
        assert batch("--seed", "1", "--model", model) == (0, "")
        assert {line["settings"]["model"] for line in lines()} == {model}


def test_settings_of_a_line_draw_the_image_again(batch, pipeline):
    batch("--seed", "1", "--size", "8x8")
    for line in lines():
        again = pipeline.again(line["settings"])
        assert np.array(again.images[0]).tobytes() == pixels()[f"{line['id']}.png"]


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def jpeg(whole: bytes) -> bytes:
    data = io.BytesIO()
    Image.open(io.BytesIO(whole)).save(data, "JPEG")
    return data.getvalue()


def flipped(whole: bytes) -> bytes:
    """One bit of the pixels is another."""
    at = whole.index(b"IDAT") + 20
    return whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda whole: b"", lambda whole: whole[:-40], lambda whole: b"no image" * 99, flipped, jpeg, lambda whole: huge()],
    ids=["empty", "half", "junk", "flipped", "jpeg", "huge"],
)
@pytest.mark.parametrize("with_line", [True, False])
def test_damaged_image_is_renamed_and_drawn_again(batch, pipeline, monkeypatch, damage, with_line):
    batch("--seed", "1")
    before, whole, results = pixels(), contents(), lines()
    path = Path("out/images/e.png")
    path.write_bytes(damage(path.read_bytes()))
    damaged = path.read_bytes()
    Path("out/images/e.png.damaged").write_bytes(b"of an earlier time")
    if not with_line:
        Path("out/results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in results[:-1]))
    drawn, job = [], pipeline.job
    monkeypatch.setattr(pipeline, "job", lambda prompt, **given: drawn.append(prompt) or job(prompt, **given))
    code, said = batch("--seed", "1")
    assert (code, drawn) == (0, ["red stars"])
    assert said.startswith("out/images/e.png: ")
    assert said.endswith("kept as 'e.png.damaged.2' and drawn again\n")
    assert said.count("\n") == 1
    assert Path("out/images/e.png.damaged").read_bytes() == b"of an earlier time"
    assert Path("out/images/e.png.damaged.2").read_bytes() == damaged
    for left in Path("out/images").glob("*.damaged*"):
        left.unlink()
    assert pixels() == before
    assert timeless(lines()) == timeless(results)
    kept = contents()
    assert all(kept[p] == whole[p] for p in kept if p.name not in ("e.png", "results.jsonl"))


def test_missing_image_is_drawn_again(batch):
    batch("--seed", "1")
    before = pixels()
    Path("out/images/b.png").unlink()
    assert batch("--seed", "1") == (0, "")
    assert pixels() == before
    assert [line["id"] for line in lines()] == list("abcde")


FOREIGN = {
    "its prompt is 'two', not 'red stars'": {"prompt": "two"},
    "its seed is 6, not 5": {"seed": 6},
    "its id is 'd', not 'e'": {"id": "d"},
    "its decoder is 'ar', not 'jacobi_ngram": {"decoder": "ar"},
    "its dtype is 'float32', not 'float64'": {"dtype": "float32"},
    "its model is 'other', not 'emoji'": {"model": "other"},
    "its options is {'decoder': 'jacobi_ngram": {
        "options": {"decoder": "jacobi_ngram(window=32, branches=0)", "top_k": 3}
    },
    "its settings are incomplete": {"trace": 7},
}


@pytest.mark.parametrize("named", FOREIGN)
def test_image_of_another_run_is_refused(batch, named):
    batch("--seed", "1")
    path = Path("out/images/e.png")
    with Image.open(path) as image:
        path.write_bytes(png(image, {**read_settings(path), **FOREIGN[named]}))
    before = contents()
    said = refused(batch, "--seed", "1")
    assert "'out/images/e.png' is not an image of this run" in said
    assert named in said
    assert contents() == before


@pytest.mark.parametrize("settings", [None, "{}", "[]", "7", "{", DEEP, '{"settings": 5}', '{"settings": [1]}'])
def test_image_without_settings_is_refused(batch, settings):
    batch("--seed", "1")
    path, info = Path("out/images/e.png"), PngInfo()
    if settings is not None:
        info.add_text("fewpass", settings)
    with Image.open(path) as image:
        image.load()
        image.save(path, pnginfo=info)
    before = contents()
    assert "'out/images/e.png' is not an image of this run" in refused(batch, "--seed", "1")
    assert contents() == before


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "e"}',
        '{"id": "e", "status": "drawn"}',
        '{"id": "e", "status": "failed", "prompt": "two", "seed": 5, "error": "no", "tags": {}}',
        '{"id": "e", "status": "failed", "prompt": "red stars", "seed": 4, "error": "no", "tags": {}}',
        '{"id": "e", "status": "failed", "prompt": "red stars", "seed": 5, "options": {"top_k": 3}, "tags": {}}',
        '{"id": "e", "status": "failed", "prompt": "red stars", "seed": 5, "tags": {}}',
        '{"id": "e", "prompt": "red stars", "seed": 5}',
        '{"id": "stranger", "status": "drawn"}',
        '{"id": ["e"]}',
        '{"id": "e", "settings": 5, "prompt": "red stars", "seed": 5}',
        "[]",
        "null",
        "{",
        DEEP,
        "\0\0\0",
    ],
)
def test_line_of_another_run_is_ignored(batch, line):
    batch("--seed", "1")
    before, results = pixels(), lines()
    Path("out/images/e.png").unlink()
    written = [json.dumps(line) for line in results[:2]] + [line, *(json.dumps(line) for line in results[2:4])]
    Path("out/results.jsonl").write_text("\n".join(written) + "\n")
    kept = Path("out/results.jsonl").read_bytes()
    code, said = batch("--seed", "1")
    assert code == 0
    assert said.startswith("out/results.jsonl:3: ")
    assert said.endswith("; the file is kept as 'results.jsonl.damaged'\n")
    assert said.count("\n") == 1
    assert Path("out/results.jsonl.damaged").read_bytes() == kept
    assert pixels() == before
    assert timeless(lines()) == timeless(results)


def test_added_fields_of_a_line_are_kept(batch):
    batch("--seed", "1")
    scored = [{**line, "score": i} for i, line in enumerate(lines())]
    Path("out/results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scored))
    assert batch("--seed", "1") == (0, "")
    assert lines() == scored


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"model": "emoji", "dtype"',
        "\0" * 99,
        DEEP,
        '{"model": "emoji", "dtype": "float64", "seed": "1", "images": 5, "digest": ""}',
    ],
)
@pytest.mark.parametrize("seed", [["--seed", "1"], []])
def test_damaged_batch_json_is_refused(batch, content, seed):
    batch("--seed", "1")
    Path("out/batch.json").write_text(content)
    before = contents()
    assert "'out/batch.json' is damaged" in refused(batch, *seed)
    assert contents() == before


@pytest.fixture
def earlier(here) -> list[dict]:
    """The folder of a batch drawn by commit 0c39191: seeds of 63 bits, `auto`, a failure; and its lines."""
    shutil.copytree(Path(__file__).with_name("earlier"), here, dirs_exist_ok=True)
    return lines()


def resumed(*arguments: str) -> int:
    return main(["batch", "p.csv", "-o", "out", "--dtype", "float64", *arguments])


def test_folder_of_an_earlier_version_is_resumed(earlier, monkeypatch, capsys):
    before = contents()
    monkeypatch.setattr(fewpass.cli.batch, "open_model", None)
    assert resumed() == 1
    assert capsys.readouterr().err == "1 failed, see 'out/results.jsonl'\n"
    now = contents()
    assert all(now[path] == data for path, data in before.items() if path.name != "results.jsonl")
    for line, then in zip(lines(), earlier, strict=True):
        assert then.items() <= line.items()
        assert then["seed"] > 2**62
        if then["status"] == "drawn":
            assert line["settings"].items() <= read_settings(f"out/{line['image']}").items()


def test_missing_image_of_an_earlier_version_keeps_its_seed(earlier):
    before = pixels()
    Path("out/images/b.png").unlink()
    assert resumed() == 1
    for name, data in pixels().items():  # that version rounded pixels, this one cuts them off
        difference = np.frombuffer(before[name], np.uint8).astype(int) - np.frombuffer(data, np.uint8)
        assert set(np.unique(difference)) <= ({0} if name == "a.png" else {0, 1})
    assert [line["seed"] for line in lines()] == [line["seed"] for line in earlier]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--decoder", "ar"], "its prompts or their settings are not these"),
        (["--guidance", "2"], "its prompts or their settings are not these"),
        (["--seed", "1"], "its seed is"),
        (["--model", "other"], "its model is 'emoji', not 'other'"),
    ],
)
def test_folder_of_an_earlier_version_is_refused_for_another_run(earlier, capsys, arguments, named):
    before = contents()
    assert resumed(*arguments) == 2
    assert named in capsys.readouterr().err
    assert contents() == before | {Path("out/.lock"): b""}


def test_folder_of_an_earlier_version_is_refused_with_auto_spelled_out(earlier, capsys):
    before = contents()
    with pytest.warns(UserWarning, match="'auto' is read as 'jacobi_ngram'"):
        assert resumed("--decoder", "auto") == 2
    assert "its prompts or their settings are not these" in capsys.readouterr().err
    assert contents() == before | {Path("out/.lock"): b""}


def test_auto_around_another_decoder_is_refused_and_nothing_touched(earlier, capsys):
    before = contents()
    assert resumed("--decoder", "auto(decoder=sjd)") == 2
    assert "fewpass 0.1.0 is the last release that draws it" in capsys.readouterr().err
    assert contents() == before


def test_images_of_auto_in_an_earlier_folder_are_drawn_again_from_their_lines(earlier, pipeline):
    for line in earlier[:2]:
        with pytest.warns(UserWarning, match="'auto' is read as 'jacobi_ngram'"):
            once_more = pipeline.again(line)
        assert once_more.settings[0]["decoder"] == "jacobi_ngram(window=32, branches=0)"
        with Image.open(f"out/{line['image']}") as image:
            difference = np.array(image, int) - np.array(once_more.images[0], int)
        assert set(np.unique(difference)) <= {0, 1}  # that version rounded pixels


def test_random_seeds_are_kept_in_batch_json(batch):
    batch()
    before = pixels()
    shutil.rmtree("out/images")
    batch()
    assert pixels() == before
    batch(output="other")
    assert pixels("other") != before


def test_count_draws_several_images_of_each_prompt(batch, pipeline):
    Path("p.jsonl").write_text('{"id": "a", "prompt": "two", "seed": 5}\n{"id": "b", "prompt": "red"}\n')
    batch("--count", "2", "--seed", "1", file="p.jsonl")
    assert [(line["id"], line["seed"]) for line in lines()] == [("a-0", 5), ("a-1", 6), ("b-0", 3), ("b-1", 4)]
    assert len(pixels()) == 4


def test_tags_of_benchmarks_and_kept_columns_reach_the_results(batch):
    Path("parti.tsv").write_text("Prompt\tCategory\tChallenge\tNote\ntwo\tAbstract\tBasic\t\n")
    Path("p.jsonl").write_text('{"prompt": "two", "source": ["x", 1]}')
    batch(file="parti.tsv")
    batch("--keep", "source", file="p.jsonl", output="other")
    assert lines()[0]["tags"] == {"category": "Abstract", "challenge": "Basic"}
    assert lines("other")[0]["tags"] == {"source": ["x", 1]} == read_settings("other/images/00000.png")["tags"]


def test_folder_of_prompts_is_read_as_by_eval(batch):
    Path("dpg").mkdir()
    for name, text in (("2", "red\n"), ("10", " two\nstars\n")):
        Path("dpg", f"{name}.txt").write_text(text)
    assert batch(file="dpg") == (0, "")
    assert [(line["prompt"], line["tags"]) for line in lines()] == [
        ("red", {"item_id": "2"}),
        ("two stars", {"item_id": "10"}),
    ]


def test_progress_is_shown_on_a_terminal(batch, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    _, said = batch()
    assert "5/5" in said
    assert "images/s" in said


def refused(batch, *arguments: str, **places: str) -> str:
    before = sorted(Path().rglob("*")), contents()
    code, said = batch(*arguments, **places)
    assert code == 2
    assert said.startswith("fewpass: ")
    assert said.count("\n") == 1
    assert (sorted(Path().rglob("*")), contents()) == before
    return said


BAD = [
    ("p.csv", "id,prompt\na,two\na,red\n", ["p.csv:3: ", "'a'", "p.csv:2"]),
    ("p.csv", "id,prompt\nAb,two\naB,red\n", ["p.csv:3: ", "'aB'"]),
    ("p.csv", "id,prompt\n../a,two\n", ["p.csv:2: ", "'../a'"]),
    ("p.csv", "id,prompt\n,two\nb,red\n", ["p.csv:2: ", "id is missing"]),
    ("p.csv", "prompt,colour\ntwo,red\n", ["p.csv:2: ", "'colour'", "negative_prompt"]),
    ("p.csv", "prompt,seed\ntwo,1.5\n", ["p.csv:2: ", "seed", "'1.5'"]),
    ("p.csv", "prompt,seed\ntwo,-1\n", ["p.csv:2: ", "seed", "-1"]),
    ("p.csv", "prompt,guidance\ntwo,nan\n", ["p.csv:2: ", "guidance", "nan"]),
    ("p.csv", "prompt,top_p\ntwo,1\nred,2\n", ["p.csv:3: ", "top_p", "2"]),
    ("p.csv", "prompt,size\ntwo,big\n", ["p.csv:2: ", "size", "'big'"]),
    ("p.csv", "prompt,decoder\ntwo,sdj\n", ["p.csv:2: ", "'sdj'"]),
    ("p.csv", f"prompt,top_k\ntwo,{10**22}\n", ["p.csv:2: ", "top_k", str(10**22)]),
    ("p.csv", f"prompt,size\ntwo,{10**22}x8\n", ["p.csv:2: ", "size", f"{10**22}x8"]),
    ("p.jsonl", f'{{"prompt": "two", "top_k": {10**22}}}', ["p.jsonl:1: ", "top_k", str(10**22)]),
    ("p.jsonl", '{"prompt": "two", "top_k": true}', ["p.jsonl:1: ", "top_k", "True"]),
    ("p.csv", "prompt,guidance\ntwo,1e38", ["p.csv:2: ", "guidance", "1e+38"]),
    ("p.jsonl", '{"prompt": "two", "id": 1.5}', ["p.jsonl:1: ", "1.5"]),
    ("p.jsonl", '{"prompt": "two", "negative_prompt": 7}', ["p.jsonl:1: ", "negative_prompt", "7"]),
]


@pytest.mark.parametrize(("name", "content", "named"), BAD)
def test_bad_rows_are_named(batch, name, content, named):
    Path(name).write_text(content)
    said = refused(batch, file=name)
    assert all(part in said for part in named), said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--keep", "mood"], "'mood'"),
        (["--keep", "seed"], "'seed'"),
        (["--ray", ""], "--ray must be an address"),
        (["--batch-size", "0"], "'0'"),
        (["--guidance", "-2"], "-2"),
        (["--guidance", "1e38"], "guidance must be a number <= 1000000, got 1e+38"),
        (["--decoder", "sdj"], "'sdj'"),
        (["--size", "16x16"], "16x16"),
        (["--negative-prompt", "\udcff"], r"'\udcff'"),
        (["--count", str(10**12)], str(10**12)),
        (["--workers", "2"], "--ray"),
        (["--ray", "local", "--device", "cuda:1"], "'cuda:1'"),
    ],
)
def test_bad_options_are_named(batch, monkeypatch, arguments, named):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: name)
    assert named in refused(batch, *arguments)


def test_missing_package_is_named_with_its_extra(batch, monkeypatch):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: None)
    assert 'pip install "fewpass[ray]"' in refused(batch, "--ray", "local")


def test_folder_of_another_run_is_refused(batch):
    batch("--seed", "1")
    assert "its seed is 1, not 2" in refused(batch, "--seed", "2")
    assert "its model is 'emoji', not 'other'" in refused(batch, "--model", "other")
    assert "prompts" in refused(batch, "--top-k", "3")
    Path("p.csv").write_text(PROMPTS.replace("blue stars", "two stars"))
    assert "prompts" in refused(batch)


def test_folder_of_another_purpose_is_refused(batch):
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("all of it")
    assert "'out' is not empty" in refused(batch)
    assert "not a folder" in refused(batch, output="p.csv")
    assert "absent" in refused(batch, output="absent/out")
    assert "''" in refused(batch, output="")


def test_concurrent_run_in_one_folder_is_refused(batch):
    batch("--seed", "1")
    with FileLock("out/.lock"):
        assert "another run is at work in 'out'" in refused(batch, "--seed", "1")
    assert batch("--seed", "1") == (0, "")


def test_row_takes_precedence_over_the_options_of_all(tmp_path):
    path = tmp_path / "row.jsonl"
    path.write_text('{"prompt": "two", "size": [8, 8], "top_p": 0.5}')
    (entry,) = entries_of(read_rows(path), {"guidance": 2.0, "top_p": 1.0}, 3)
    assert entry.options == {"guidance": 2.0, "size": (8, 8), "top_p": 0.5}
