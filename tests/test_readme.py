"""The README says what is so."""

import re
from pathlib import Path

import fewpass

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_decoder_is_in_the_table_with_its_source_and_law():
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line[:3] == "| `"]
    rows = {row[0].strip("`"): row[1:3] for row in table}
    lossless = {True: "lossless", False: "lossy"}
    assert rows == {name: [made.source, lossless[made.lossless]] for name, made in fewpass.RECIPES.items()}


def test_the_python_example_runs(pipeline, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fewpass, "load", lambda name: pipeline)
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], {})
    assert (tmp_path / "stars.png").is_file()
    assert "16 tokens are final" in capsys.readouterr().out


def test_the_two_commands_are_there():
    assert '\n    pip install . && fewpass generate "two stars on a blue background" -o stars.png\n' in TEXT
    assert '\n    pip install ".[test]" && pytest\n' in TEXT
