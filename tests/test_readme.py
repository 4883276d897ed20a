"""The README says what is so."""

import re
import runpy
from pathlib import Path

import torch

import fewpass

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LAW = {True: "lossless", False: "lossy"}


def rows(heading):
    """The rows about decoders in the section under `heading`: their first cells, and the next two."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:3] for row in table}


def test_decoders_of_the_table_have_their_source_and_law():
    known = {name: [made.source, LAW[made.lossless]] for name, made in fewpass.RECIPES.items()}
    assert rows("Decoders") == known, "README.md, the table of decoders"
    assert f"**One loop, {len(fewpass.RECIPES)} decoders.**" in TEXT


def test_decoders_of_the_measurements_are_spelled_as_fewpass_spells_them():
    measured = rows("Passes and seconds")
    assert [str(fewpass.decoder(name)) for name in measured] == list(measured)
    assert [LAW[fewpass.decoder(name).lossless] for name in measured] == [images for images, _ in measured.values()]


def test_every_recipe_is_measured_or_listed_as_not_measured():
    unmeasured = runpy.run_path(str(ROOT / "bench" / "table.py"), run_name="not main")["UNMEASURED"]
    measured = {fewpass.decoder(name).recipe for name in rows("Passes and seconds")}
    assert measured == set(fewpass.RECIPES) - set(unmeasured), "UNMEASURED in bench/table.py"
    assert set(unmeasured) <= set(fewpass.RECIPES)


def test_the_python_example_runs(pipeline, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fewpass, "load", lambda name: pipeline)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)
    assert torch.equal(names["again"].tokens[0], names["result"].tokens[0])
    assert (tmp_path / "stars.png").is_file()
    assert "16 tokens are final" in capsys.readouterr().out


def test_the_two_commands_are_there():
    assert '\n    pip install . && fewpass generate "two stars on a blue background" -o stars.png\n' in TEXT
    assert '\n    pip install ".[test]" && pytest\n' in TEXT
