"""The documentation says what is so: its code runs, its diagrams and tables are up to date."""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

import fewpass
from fewpass.cli import main

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^(?P<why><!-- not run: \S.*? -->\n)?```(?P<kind>python|sh)\n(?P<text>.*?)^```$", re.M | re.S)

SCRIPT = re.compile(r"\b(?:bench|training)/\w+\.py\b")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def runnable(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page that are not said to need what a test has not: their language and their text."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(block["kind"], block["text"]) for block in found if not block["why"]]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runnable(page)], ids=lambda page: str(page.relative_to(DOCS))
)
def test_the_code_of_a_page_runs(page, pipeline, tmp_path, monkeypatch):
    """From top to bottom, with a small model in the place of the bundled one."""
    monkeypatch.chdir(tmp_path)
    for place in ("fewpass.load", "fewpass.loading.load"):
        monkeypatch.setattr(place, lambda name, *where, **options: pipeline)
    names = {"__name__": "page"}
    for kind, code in runnable(page):
        if kind == "python":
            exec(compile(code, f"{page.name}: {code[:40]!r}", "exec"), names)
            continue
        for command in code.splitlines():
            program, *arguments = shlex.split(command)
            assert program == "fewpass", f"{page.name}: {command!r} needs <!-- not run: why --> above it"
            assert main(arguments) == 0, command


def test_the_model_of_the_page_is_loaded_by_its_entry_point(tmp_path, monkeypatch):
    """The class as a package has it, and a folder that it has saved, with a tokenizer of two words."""
    classes, built = (code for _, code in runnable(DOCS / "add-a-model.md")[:2])
    info = tmp_path / "dots-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dots\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fewpass.models]\ndots = dots_of_the_page:Dots\n")
    (tmp_path / "dots_of_the_page.py").write_text(classes)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = vars(importlib.import_module("dots_of_the_page")).copy()
    exec(built, names)
    names["model"].model.save_pretrained(tmp_path / "saved")
    words = Tokenizer(WordLevel({"<unk>": 0, "two": 1, "dots": 2}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(tmp_path / "saved")
    drawn = fewpass.load(tmp_path / "saved", device="cpu")("dots", decoder="gsd", size=(4, 3), seed=1)
    assert type(names["model"]).__name__ == "Dots"
    assert drawn.images[0].size == (4, 3)
    sys.modules.pop("dots_of_the_page")


def test_blocks_that_run_are_told_from_those_that_do_not(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\na = 1\n```\n\n<!-- not run: it installs -->\n```sh\npip install .\n```\n```toml\n```\n")
    assert runnable(page) == [("python", "a = 1\n")]


def test_diagrams_are_what_their_script_draws():
    figures = drawn()
    assert {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "figures").glob("*.svg")} == figures
    assert all(f'"figures/{name}.svg"' in text("methods.md") for name in figures)


def drawn() -> dict[str, str]:
    figures = runpy.run_path(str(DOCS / "diagrams"), run_name="not main")["FIGURES"]
    return {name: draw().svg() for name, draw in figures.items()}


@pytest.mark.parametrize("name", [path.stem for path in sorted((DOCS / "figures").glob("*.svg"))])
def test_nothing_of_a_diagram_is_outside_of_it(name):
    svg = text(f"figures/{name}.svg")
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    for words in re.finditer(r'x="(\S+)" y="(\S+)" font-size="(\S+)" text-anchor="(\w+)">(.*?)<', svg):
        x, y, size = map(float, words.groups()[:3])
        wide = 0.6 * size * len(words[5].replace("&lt;", "<"))  # letters of the usual fonts are narrower
        left = x - {"start": 0, "middle": 0.5, "end": 1}[words[4]] * wide
        assert -2 <= left <= width - wide + 10, words[5]
        assert 0 < y < height, words[5]


def test_every_decoder_is_in_the_table_with_its_source_and_law():
    lines = [
        line.strip("|").split("|") for line in text("choose.md").splitlines() if re.match(r"\| `\w+` \| .*\|.*\|", line)
    ]
    rows = {row[0].strip(" `"): row[1:3] for row in lines if len(row) == 4}
    plain = {name: [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell).strip() for cell in row] for name, row in rows.items()}
    lossless = {True: "lossless", False: "lossy"}
    known = {name: [made.source, lossless[made.lossless]] for name, made in fewpass.RECIPES.items()}
    assert plain == known, "docs/choose.md, the table of decoders"


def test_every_decoder_is_explained_with_its_papers():
    for name, made in fewpass.RECIPES.items():
        assert name == "ar" or f"`{name}`" in text("methods.md"), f"docs/methods.md explains {name}"
        for paper in re.findall(r"\d{4}\.\d{5}", made.source):
            assert f"[arXiv {paper}](https://arxiv.org/abs/{paper})" in text("methods.md")


def test_the_lossless_value_of_every_option_is_one():
    rows = re.findall(r"^\| `(\w+)` \| .*?(?:faster|fewer).*? \| `?([^|`]+)`? \|$", text("choose.md"), re.M)
    lossy = {name for name, made in fewpass.RECIPES.items() if not made.lossless}
    assert {name for name, _ in rows} == lossy, 'docs/choose.md, the table under "How lossy"'


def test_every_measuring_script_on_a_page_exists():
    named = {
        script for page in [*PAGES, DOCS.parent / "README.md"] for script in SCRIPT.findall(page.read_text("utf-8"))
    }
    assert "bench/table.py" in named
    assert not [script for script in named if not (DOCS.parent / script).is_file()]


def test_a_change_is_listed_once():
    listed = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8").split("\n- ")[1:]
    twice = {item for item in listed if listed.count(item) > 1}
    assert len(listed) > 50
    assert not twice


def test_pages_fetch_nothing():
    fetched = runpy.run_path(str(DOCS / "offline_check.py"))["fetched"]
    for bad in (
        '<script defer src="https://unpkg.com/x.js">',
        '<link rel="stylesheet" href="//fonts.googleapis.com/css?family=Inter">',
        "@import 'https://example.org/a.css'",
        "a { background: url(https://example.org/a.png) }",
        '<img alt="" src="http://example.org/a.png">',
    ):
        assert fetched(bad), bad
    for good in ('<a href="https://arxiv.org/abs/1">', '<script src="assets/x.js">', "a { background: url(a.png) }"):
        assert not fetched(good), good
