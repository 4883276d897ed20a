"""`fewpass compare`, its sheet, and `fewpass decoders`."""

import inspect
import sys

import numpy as np
import pytest
from PIL import Image, ImageColor

from fewpass import RECIPES
from fewpass.cli import main
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.spec import recipe
from fewpass.decoders.zipar import ZipAR
from fewpass.io.png_metadata import read_settings
from fewpass.viz.colours import ANCHORS, colour
from fewpass.viz.sheet import GAP, MARGIN, PAPER, TILE, Column, draw_sheet

RED = Image.new("RGB", (8, 8), (200, 10, 10))


def column(spelling="sjd(window=15, guess=uniform)", passes=16, tokens=16):
    committed = np.linspace(1, passes, 16).astype(int).reshape(4, 4)
    return Column(spelling, True, RED, committed, tokens, 1.5)


def test_compare_writes_one_sheet(folder, tmp_path, capsys):
    path = tmp_path / "sheet.png"
    asked = "ar; sjd(window=4); ;sjdpp"
    assert main(["compare", "two", "-o", str(path), "--decoders", asked, "--model", str(folder), "--seed", "3"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    records = read_settings(path)["compared"]
    spellings = ["ar", "sjd(window=4, guess=uniform)", "sjdpp(window=32, threshold=0.1, guess=left_sample)"]
    assert [record["decoder"] for record in records] == [row[0] for row in rows] == spellings
    assert [str(record["trace"]["passes"]) for record in records] == [row[1] for row in rows]
    assert records[0]["trace"]["committed"] == list(range(1, 17))
    assert [row[4] for row in rows] == ["lossless", "lossless", "lossy"]
    assert {record["seed"] for record in records} == {3}
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]
    with Image.open(path) as sheet:
        assert sheet.width == 2 * MARGIN + 3 * TILE[0] + 2 * GAP


def test_all_recipes_can_be_compared(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "two", "--model", str(folder), "--top-k", "3", "--decoders", "all"]) == 0
    assert [line.split("(")[0].split("\t")[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    assert {record["top_k"] for record in read_settings("sheet.png")["compared"]} == {3}


def find(sheet, wanted):
    """Rows and columns where a colour is: (top, left, bottom, right)."""
    where = np.argwhere((np.array(sheet) == wanted).all(-1))
    return (*where.min(0), *(where.max(0) + 1))


def test_decoder_that_does_not_fit_is_refused_or_left_out_of_all(folder, tmp_path, monkeypatch, capsys):
    def unfit(self, info):
        raise ValueError("needs a grid of several rows")

    monkeypatch.setattr(ZipAR, "bind", unfit)
    monkeypatch.setattr("fewpass.decoders.recipes.RECIPES", {name: RECIPES[name] for name in ("ar", "zipar")})
    arguments = ["compare", "two", "-o", str(tmp_path / "sheet.png"), "--model", str(folder), "--decoders"]
    assert main([*arguments, "ar; zipar"]) == 2
    assert "zipar(window=16, adaptive=False): needs a grid" in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
    assert main([*arguments, "all"]) == 0
    said = capsys.readouterr()
    assert "left out: zipar(window=16, adaptive=False): needs a grid of several rows." in said.err
    assert [line.split("\t")[0] for line in said.out.splitlines()] == ["ar"]


def test_sheet_scales_images_to_their_column():
    top, left, bottom, right = find(draw_sheet("two", "", [column()]), RED.getpixel((0, 0)))
    assert (left, right - left, bottom - top) == (MARGIN, TILE[0], TILE[0])


def test_heat_has_one_scale_for_all_decoders():
    slow, fast = column(passes=16), column(passes=4)
    sheet = np.array(draw_sheet("two", "", [slow, fast]))
    top = find(draw_sheet("two", "", [slow, fast]), RED.getpixel((0, 0)))[2]
    cell = TILE[0] // 4
    for number, each in enumerate((slow, fast)):
        left = MARGIN + number * (TILE[0] + GAP)
        heat = sheet[top:, left : left + TILE[0]]
        first = np.argwhere((heat[:, cell // 2] == ANCHORS[0]).all(-1))[0, 0]  # pass 1 is the darkest colour
        middles = heat[first + cell // 2 : first + 4 * cell : cell, cell // 2 : 4 * cell : cell]
        assert (middles == colour(((each.committed - 1) / 15) ** 0.5)).all()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_sheet_cuts_no_text(width):
    long = "a prompt of very many words " * 4
    options = "window=32, threshold=0.3, guess=left_sample, more=options, than=fit"
    sheet = np.array(draw_sheet(long, "a subtitle that is long " * 3, [column(f"sjdpp({options})")] * width))
    edge = MARGIN // 2
    assert (sheet[:, -edge:] == ImageColor.getrgb(PAPER)).all()
    assert (sheet[-edge // 2 :] == ImageColor.getrgb(PAPER)).all()
    assert (sheet[:edge] == ImageColor.getrgb(PAPER)).all()


def test_sheet_spreads_decoders_evenly_over_lines():
    six, three = (draw_sheet("two", "", [column()] * n) for n in (6, 3))
    assert six.width == three.width
    assert six.height > 1.5 * three.height


def test_colour_scale_grows_lighter():
    lightness = colour(np.linspace(0, 1, 200)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1).all()
    assert lightness[-1] - lightness[0] > 150
    assert (colour(np.array([0.0, 1.0])) == ANCHORS[[0, -1]]).all()
    assert (colour(np.array(0.5 / (len(ANCHORS) - 1))) == ANCHORS[:2].mean(0).round()).all()


@recipe("a test", lossless=False)
def brand_new(window: int, speed: float = 2.5) -> Jacobi:
    """Does
    something new."""
    return Jacobi(window)


def test_decoders_are_listed_from_their_signatures(monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "brand_new", brand_new)
    assert main(["decoders"]) == 0
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()}
    assert list(rows) == list(RECIPES)
    assert rows["brand_new"] == ["window, speed=2.5", "lossy", "a test", "Does something new."]
    for name, made in RECIPES.items():
        assert rows[name][2:] == [made.source, " ".join(inspect.getdoc(made).split("\n\n")[0].split())]
        assert rows[name][1] == ("lossless" if made.lossless else "lossy")


def test_decoders_are_a_table_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["decoders"]) == 0
    said = capsys.readouterr().out
    assert "description" in said
    assert "\t" not in said
    assert all(name in said for name in RECIPES)


@pytest.mark.parametrize(
    "title", ["$x^{$ \\frac{", "木" * 400, "a\n\nb\tc", "<b>&amp;</b>", "🦊 fox", "x" * 5000, "\u202e\x07"]
)
def test_any_prompt_fits_on_the_sheet(title):
    sheet = draw_sheet(title, "", [column()])
    margin = np.array(sheet)[:, sheet.width - MARGIN // 2 :]
    assert (margin == ImageColor.getrgb(PAPER)).all()
