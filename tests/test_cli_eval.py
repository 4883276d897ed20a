"""`fewpass eval`: images that are drawn once, and a report that needs nothing else."""

import json
import re
import shutil
from html import escape
from types import SimpleNamespace

import pytest
from filelock import FileLock

import fewpass.evaluation.frontier
import fewpass.evaluation.report
import fewpass.io.extra
import fewpass.models.janus
from fewpass.cli import main
from fewpass.cli.prompts import own_prompts
from fewpass.io.png_metadata import read_settings
from fewpass.models.emoji import evaluation_prompts
from fewpass.models.features import features_file
from training.scenes import KINDS, held_out_prompts, parse

PROMPTS = ["two red stars", "one blue stars", "one red stars"]
DECODERS = "ar; sjd(window=3); sjdpp(window=3)"


@pytest.fixture(scope="module", autouse=True)
def coarse_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fewpass.evaluation.frontier, "DPI", 30)
        yield


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A small run that is done, and the arguments that made it. Tests leave it as it was."""
    path = tmp_path_factory.mktemp("eval")
    (path / "prompts.txt").write_text("\n".join(PROMPTS))
    out = path / "out"
    arguments = ["eval", "-o", str(out), "--model", str(folder), "--prompts", str(path / "prompts.txt")]
    arguments += ["--decoders", DECODERS, "--count", "2", "--batch-size", "2", "--benchmarks", "t2i-compbench"]
    assert main(arguments) == 0
    return out, arguments


def images(out):
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in (out / "images").rglob("*.png")}


def test_eval_draws_all_items_with_every_decoder(run):
    out, _ = run
    seeds = {}
    for path in (out / "images").rglob("*.png"):
        record = read_settings(path)
        seeds.setdefault(record["decoder"], {})[path.name] = (record["prompt"], record["seed"])
        assert len(record["logprobs"]) == len(record["entropy"]) == len(record["tokens"]) == 16
    assert len(seeds) == 3
    assert seeds["ar"] == seeds["sjd(window=3, guess=uniform)"]
    assert sorted(seeds["ar"].values()) == sorted((PROMPTS[n], n + second) for n in range(3) for second in (0, 10**6))


def test_results_equal_the_records_of_images(run):
    out, _ = run
    results = json.loads((out / "results.json").read_text())
    first, second, third = results["decoders"]
    assert [d["lossless"] for d in results["decoders"]] == [True, True, False]
    assert first["passes"] == {"mean": 16, "low": 16, "high": 16, "n": 6, "error": 0}
    records = [read_settings(path) for path in (out / "images" / "sjd-window-3-guess-uniform").iterdir()]
    assert second["passes"]["mean"] == sum(r["trace"]["passes"] for r in records) / 6
    nll = [-sum(r["logprobs"]) / 16 for r in records]
    assert second["nll"]["mean"] == pytest.approx(sum(nll) / 6)
    assert first["nll_difference"]["mean"] == 0
    assert third["nll_difference"]["n"] == 6
    table = (out / "table.md").read_text()
    assert "| `ar` | lossless | 16.0 | 1.00 ± 0.00 |" in table
    assert "3 prompts of prompts.txt" in table


def test_report_contains_all_sections(run):
    out, _ = run
    html = (out / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#|https://github)[^"]*"', html)
    assert "@import" not in html
    assert "{{" not in html
    for word in [
        "sjd",
        "2 images at a time",
        "CLIP score: the weights of",
        "no file",
        "--decoders",
        "Left out",
        *PROMPTS,
    ]:
        assert word in html
    command = re.search(r"<pre>(fewpass eval .*)</pre>", html)[1]
    assert "--batch-size 2" in command
    assert "--resume" not in command
    assert html.count("data:image/png") == len(list((out / "figures").iterdir())) == 1
    assert html.count("data:image/webp") == 3 * 3
    assert (out / "t2i-compbench" / "ar" / "samples" / "two red stars_000001.png").exists()


def test_resume_draws_missing_images_only(run, tmp_path, monkeypatch):
    out, arguments = tmp_path / "out", run[1]
    shutil.copytree(run[0], out)
    monkeypatch.setattr(fewpass.evaluation.report, "frontier", lambda summaries: b"")  # it takes long
    gone = out / "images" / "ar" / "00001-0.png"
    before, tokens = images(out), read_settings(gone)["tokens"]
    gone.unlink()
    assert main([*arguments, "--resume", "-o", str(out)]) == 0
    after = images(out)
    assert read_settings(gone)["tokens"] == tokens  # alone in its batch now
    assert {name for name in after if after[name] != before[name]} == {"images/ar/00001-0.png"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--resume"),
        (["--resume", "--seed", "5"], "seed 0, got 5"),
        (["--resume", "--top-k", "2"], "top_k 0, got 2"),
    ],
)
def test_resume_with_other_settings_is_refused(run, capsys, more, said):
    out, arguments = run
    before = images(out)
    assert main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert images(out) == before


BAD = [
    (["--decoders", "sdj"], "'sdj'"),
    (["--decoders", " ; "], "' ; '"),
    (["--prompts", "absent.txt"], "absent.txt"),
    (["--prompts", "columns.tsv"], "columns.tsv"),
    (["--prompts", "blank.csv"], "blank.csv:3"),
    (["--benchmarks", "geneval"], "geneval"),
    (["--benchmarks", "best"], "'best'"),
    (["--limit", "0"], "'0'"),
    (["--batch-size", "0"], "'0'"),
    (["--seed", "-1"], "-1"),
    (["--reference", "absent"], "'absent'"),
    (["--model", "absent"], "'absent'"),
    (["--size", "big"], "'big'"),
    (["-o", ""], "''"),
    (["-o", "absent/out"], "absent"),
    (["-o", "."], "empty folder"),
    (["-o", "blank.csv"], "not a folder"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_invalid_input_prints_one_line_and_creates_no_folder(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "columns.tsv").write_text("text\tkind\na cat\tanimal\n")
    (tmp_path / "blank.csv").write_text("prompt,id\na cat,1\n,2\n")
    assert main(["eval", "-o", "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blank.csv", "columns.tsv"]


def test_prompts_are_read_before_anything_is_drawn(folder, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("two\nred\nzebra")
    arguments = ["eval", "-o", str(tmp_path / "out"), "--model", str(folder), "--decoders", "ar"]
    arguments += ["--prompts", str(tmp_path / "prompts.txt")]
    assert main(arguments) == 2
    assert "prompts.txt:3: unknown to" in capsys.readouterr().err
    assert main([*arguments, "--limit", "4"]) == 2
    assert "--limit 4: there are 3 prompts" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_runs_in_one_folder_are_refused(run, capsys):
    out, arguments = run
    with FileLock(out / ".lock"):
        assert main([*arguments, "--resume"]) == 2
    assert f"another run is at work in {str(out)!r}" in capsys.readouterr().err


def test_named_decoder_must_work_with_the_model(folder, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("two")
    arguments = ["--model", str(folder), "--prompts", str(tmp_path / "prompts.txt"), "--decoders", "zipar(window=-1)"]
    assert main(["eval", "-o", str(tmp_path / "out"), *arguments]) == 2
    assert "-1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fewpass.io.extra, "find_spec", lambda name: None if name == "jinja2" else "it is there")
    assert main(["eval", "-o", str(tmp_path / "out")]) == 2
    assert 'jinja2 is not installed: pip install "fewpass[eval]"' in capsys.readouterr().err


ANY = [
    "$x^{$ costs",
    "\\\\frac{ $$",
    "a 🦊 and a 木" + "木" * 80,
    "<b>bold</b> &amp; <script>",
    "x" * 3000,
    "50% {of} it_^~",
]


@pytest.fixture
def any_prompts(folder, tmp_path, monkeypatch):
    """Arguments of a run whose prompts are as people write them; the small model reads unknown words as one."""
    monkeypatch.setattr(fewpass.models.janus, "check_known", lambda *arguments: None)
    (tmp_path / "prompts.txt").write_text("\n".join(ANY))
    arguments = ["eval", "-o", str(tmp_path / "out"), "--model", str(folder)]
    return [
        *arguments,
        "--prompts",
        str(tmp_path / "prompts.txt"),
        "--decoders",
        "ar; jacobi(window=3)",
    ]


def test_report_shows_prompts_verbatim(any_prompts, tmp_path):
    assert main(any_prompts) == 0
    html = (tmp_path / "out" / "report.html").read_text()
    for prompt in ANY:
        assert escape(prompt) in html
    assert "<script>" not in html
    assert "same images" in html
    same = [d["same_images"] for d in json.loads((tmp_path / "out" / "results.json").read_text())["decoders"]]
    assert same == [True, True]


def test_failed_figure_keeps_results_and_is_drawn_by_resume(any_prompts, tmp_path, monkeypatch):
    def broken(summaries):
        raise RuntimeError("no room for it")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(fewpass.evaluation.report, "frontier", broken)
        with pytest.raises(RuntimeError):
            main(any_prompts)
    assert (out / "results.json").exists()
    assert (out / "table.md").exists()
    before = images(out)
    assert main([*any_prompts, "--resume"]) == 0
    assert images(out) == before
    assert (out / "report.html").exists()


# --- the plan


def test_plan_is_printed_first(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fewpass.evaluation.report, "frontier", lambda summaries: b"")
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS[i % 3] for i in range(100)))
    arguments = ["--model", str(folder), "--prompts", str(tmp_path / "prompts.txt"), "--decoders", "ar; sjd(window=3)"]
    assert main(["eval", "-o", str(tmp_path / "out"), *arguments, "--limit", "4"]) == 0
    plan, *lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if not line.startswith("left out: ")]
    assert re.fullmatch(r"images of 4 prompts: 4 with each of 2 decoders", plan)
    assert lines == [str(tmp_path / "out" / "report.html")]
    assert len(images(tmp_path / "out")) == 8


# --- distances


def test_ar_is_drawn_again_for_distances(folder, tmp_path, capsys):
    """A model with features in its folder; counterparts have the prompts and the rounds of the images."""
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    shutil.copy(features_file("emoji"), model / "features.safetensors")
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS * 22))
    arguments = ["eval", "-o", str(tmp_path / "out"), "--model", str(model), "--prompts", str(tmp_path / "prompts.txt")]
    assert main([*arguments, "--decoders", "jacobi(window=3); ar", "--batch-size", "67"]) == 0
    assert "66 with each of 2 decoders, and 66 more with ar\n" in capsys.readouterr().err
    seeds = {read_settings(path)["seed"] for path in (tmp_path / "out" / "images" / "ar").iterdir()}
    own = {*range(66)}
    assert seeds == own | {seed + 10**12 for seed in own}
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    jacobi, ar = results["decoders"]
    assert jacobi["same_images"]
    assert jacobi["kid"] == ar["kid"]
    assert ar["kid"]["n"] == ar["images"] == 66
    assert ar["fid"] > 0
    assert "64 features" in results["features"]
    assert f"{ar['kid']['mean']:.4f} ± {ar['kid']['error']:.4f} |" in (tmp_path / "out" / "table.md").read_text()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "KID to ar" in report


def test_classes_are_prompts_in_turn(tmp_path):
    model = SimpleNamespace(name="classes", labels=4, classes=("crane", "cat", "Crane", "dog"))
    rows, source = own_prompts(model, 6)
    assert [row.prompt for row in rows] == ["0", "cat", "2", "dog", "0", "cat"]
    assert "in turn" in source
    assert len(own_prompts(model, None)[0]) == 500
    unnamed = SimpleNamespace(name="numbers", labels=2, classes=())
    assert [row.prompt for row in own_prompts(unnamed, 3)[0]] == ["0", "1", "0"]
    with pytest.raises(ValueError, match="--prompts"):
        own_prompts(SimpleNamespace(name="texts", labels=0), None)


# --- prompts of the bundled model


def test_evaluation_prompts_are_held_out_and_alternate_kinds():
    recipe = pytest.importorskip("training.prompts")
    listed = evaluation_prompts()
    scenes = [parse(prompt) for prompt in listed]
    assert len(set(listed)) == 500
    assert set(held_out_prompts()) <= set(listed)
    assert all(recipe.held_out(scene) and recipe.drawable(scene) for scene in scenes)
    assert [scene.kind for scene in scenes[:6]] == [*KINDS, *KINDS]
