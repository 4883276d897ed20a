"""bench/official.py: one line for a wrong path, figures between the marks of the page."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def official(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("official")


@pytest.fixture
def arguments(official, tmp_path) -> dict[str, Path]:
    """Options with folders that pass for checkouts, and a model folder without files."""
    for name, (_, file) in official.CHECKOUTS.items():
        (tmp_path / name / file).parent.mkdir(parents=True)
        (tmp_path / name / file).touch()
    (tmp_path / "model").mkdir()
    return {name: tmp_path / name for name in ("model", *official.CHECKOUTS)}


def line_of(official, arguments: dict[str, object], monkeypatch) -> str:
    given = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["official.py", *given])
    with pytest.raises(SystemExit) as exit:
        official.main()
    return exit.value.code


@pytest.mark.parametrize("name", ["llamagen", "sjd", "zipar"])
def test_wrong_checkout_is_named_in_one_line(official, arguments, name, monkeypatch):
    repository, file = official.CHECKOUTS[name]
    line = line_of(official, arguments | {name: "/nowhere"}, monkeypatch)
    assert line == f"official.py: --{name} must be a checkout of {repository}, got /nowhere: it has no {file}"


def test_wrong_model_and_count_are_named_in_one_line(official, arguments, monkeypatch):
    line = line_of(official, arguments | {"model": "/nowhere"}, monkeypatch)
    expected = "--model must be a folder of LlamaGen's .pt files, got /nowhere: there is no such folder"
    assert line == f"official.py: {expected}"
    assert "there is no language model" in line_of(official, arguments, monkeypatch)
    assert "--images" in line_of(official, arguments | {"images": 0}, monkeypatch)


def test_figures_replace_those_between_the_marks_of_the_page(official):
    page = official.PAGE.read_text(encoding="utf-8")
    assert page.count(official.BEGIN) == page.count(official.END) == 1
    new = official.rewritten(official.rewritten(page, "| old |"), "| new |")
    assert "| new |" in new
    assert "| old |" not in new
    assert new.startswith(page.partition(official.BEGIN)[0])
    assert new.endswith(page.partition(official.END)[2])
