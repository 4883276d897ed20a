"""The command that makes the tables of the README, on figures made up."""

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from fewpass.cli import main
from fewpass.evaluation.metrics import features_for, kernel_distance

SCRIPT = Path(__file__).parents[1] / "bench" / "table.py"


@pytest.fixture
def table():
    spec = importlib.util.spec_from_file_location("bench_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(decoder, lossless, passes, kid, error=0.1):
    one = {"mean": passes, "error": 0.5}
    about = {
        "decoder": decoder,
        "lossless": lossless,
        "images": 60,
        "passes": one,
        "tokens_per_pass": one,
        "seconds": one,
    }
    return about | {"nll": one, "entropy": one, "kid": {"mean": kid, "error": error}, "fid": None}


ROWS = [
    row("ar", True, 256, 0.0),
    row("near", False, 90, 0.2),
    row("nearer", False, 100, 0.1),
    row("far", False, 20, 9),
]


def stored(folder, rows):
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(
        json.dumps({"conditions": "60 prompts.", "features": "64 numbers", "decoders": rows})
    )


def test_best_lossy_has_the_fewest_passes_near_the_floor(table):
    rows = {one["decoder"]: one for one in ROWS}
    assert table.best_lossy(rows) == "near"
    sharp = {"near": row("near", False, 90, 0.2, 0.01), "nearer": row("nearer", False, 100, 0.1, 0.01)}
    assert table.best_lossy(rows | sharp) == "nearer"


def test_tables_are_written_from_results(table, tmp_path, monkeypatch):
    folder, root = tmp_path / "runs" / "photo", tmp_path / "root"
    for name, rows in {"main": ROWS, "one": ROWS[:1], "guidance 5": ROWS[:2]}.items():
        stored(folder / name, rows)
    (folder / "main" / "figures").mkdir()
    (folder / "main" / "figures" / "frontier.png").write_bytes(b"plot")
    (root / "docs" / "assets").mkdir(parents=True)
    (root / "README.md").write_text("a\n<!-- photo: by hand -->\nold\n<!-- end of photo -->\nz\n")
    monkeypatch.setattr(table, "ROOT", root)
    monkeypatch.setattr(table, "DECODERS", ["ar", "absent", "far"])
    monkeypatch.setattr(table, "chance", lambda folder: 0.25)
    table.write(folder)
    text = (root / "docs" / "tables" / "photo.md").read_text()
    assert "| `ar` | lossless | 256.0 | 256.00 ± 0.50 | 256.00 | - | 256.00 | 0.000 ± 0.100 | - |" in text
    assert "60 images from as many of `ar` with other seeds, on 64 numbers" in text
    assert "of 400 random splits of the images of `ar` 95 % have a KID of at most 0.250." in text
    assert "| `near` | 90.0 | 90.00 ± 0.50 | 0.200 ± 0.100 |" in text
    readme = (root / "README.md").read_text()
    assert readme.startswith("a\n<!-- photo: by hand -->\n60 prompts. Entropy")
    assert "old" not in readme
    assert readme.endswith("<!-- end of photo -->\nz\n")
    assert (root / "docs" / "assets" / "photo-frontier.png").read_bytes() == b"plot"


def test_every_condition_is_a_run_of_eval(table, folder, tmp_path, capsys):
    for condition in table.conditions("photo", 200, 40):
        options = [text for name, value in condition.options.items() for text in (f"--{name}", f"{value:g}")]
        assert main(["eval", "--model", "absent", "-o", str(tmp_path / "x"), *options]) == 2
        assert "unknown model 'absent'" in capsys.readouterr().err
    assert {decoder.partition("(")[0] for decoder in table.DECODERS} == set(table.RECIPES), "LOSSY in bench/table.py"


def test_splits_of_equal_pairs_have_the_distance_of_their_halves(table, tmp_path):
    folder = tmp_path / "photo" / "main"
    (folder / "images" / "ar").mkdir(parents=True)
    pictures = []
    for i in range(6):
        pictures.append(Image.effect_noise((32, 32), 20 * i + 1).convert("RGB"))
        for seed in (0, 1):
            pictures[-1].save(folder / "images" / "ar" / f"{i:05d}-{seed}.png")
    features = features_for("photo", None).of(pictures)
    assert table.chance(folder) == pytest.approx(kernel_distance(features, features).mean)
