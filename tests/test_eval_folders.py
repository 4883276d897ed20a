"""The folder of a run, prompt files of benchmarks, and exports in their layouts."""

import json

import pytest
from PIL import Image

from fewpass.evaluation.benchmarks import BENCHMARKS, benchmarks_of
from fewpass.evaluation.folder import DecoderImages, RunFolder, items_of, slug
from fewpass.io.png_metadata import png
from fewpass.io.prompt_files import read_rows
from fewpass.io.prompt_rows import Row
from fewpass.io.targets import output_folder
from tests.damage import DEEP, huge

GENEVAL = {"tag": "counting", "include": [{"class": "cat", "count": 2}]}


def drawings(path, rows, count=1, decoder="sjd(window=3)", size=(4, 4)):
    """Images of as many greys as there are items."""
    folder, items, records = RunFolder(path), items_of(rows, count, 0), []
    for number, item in enumerate(items):
        record = {"decoder": decoder, "prompt": item.row.prompt, "seed": item.seed}
        record |= {"trace": {"committed": [1], "seconds": 1.0, "images_together": 1}}
        record |= {"tokens": [number], "entropy": [1.0], "logprobs": [-1.0]}
        data = png(Image.new("RGB", size, (number * 10,) * 3), record)
        folder.write(str(folder.image(decoder, item).relative_to(path)), data)
        records.append(folder.record(decoder, item))
    return DecoderImages(folder, decoder, True, items, records)


def grey(path, at=(0, 0)):
    with Image.open(path) as image:
        return image.convert("L").getpixel(at)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_run_folder_resumes_with_equal_settings_only(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check(resume=False)
    folder.begin({"seed": 1, "size": (2, 3)})
    with pytest.raises(ValueError, match="--resume"):
        folder.check(resume=False)
    folder.check(resume=True)
    folder.begin({"seed": 1, "size": (2, 3)})
    with pytest.raises(ValueError, match="seed 1, got 2"):
        folder.begin({"seed": 2, "size": (2, 3)})
    with pytest.raises(ValueError, match=r"min_p None, got 0\.0: choose another folder"):
        folder.begin({"seed": 1, "size": (2, 3), "min_p": 0.0})


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for resume in (False, True):
        with pytest.raises(ValueError, match="choose an empty folder"):
            RunFolder(tmp_path).check(resume)
    with pytest.raises(ValueError, match="absent"):
        output_folder(str(tmp_path / "absent" / "run"))


def test_image_of_another_prompt_or_damaged_is_refused(tmp_path):
    d = drawings(tmp_path, [Row("a cat", "")])
    (other,) = items_of([Row("a dog", "")], 1, 0)
    with pytest.raises(ValueError, match="'a cat', got 'a dog'"):
        d.folder.record(d.decoder, other)
    assert d.folder.record("ar", other) is None
    whole = d.folder.image(d.decoder, other).read_bytes()
    for damaged in (b"half", whole[:-30], huge()):
        d.folder.image(d.decoder, other).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"00000-0.*move it away"):
            d.folder.record(d.decoder, other)


def test_image_of_another_run_is_refused(tmp_path):
    """Its settings are in the file: an image of other settings would spoil the figures."""
    d = drawings(tmp_path, [Row("a cat", "")])
    (item,) = d.items
    path = d.folder.image(d.decoder, item)
    record = d.folder.record(d.decoder, item) | {"guidance": 1.0, "top_k": 0}
    d.folder.begin({"guidance": 3.0, "top_k": 0})
    path.write_bytes(png(Image.new("RGB", (4, 4)), record))
    with pytest.raises(ValueError, match=r"was drawn with guidance 1\.0, got 3\.0"):
        d.folder.record(d.decoder, item)
    path.write_bytes(png(Image.new("RGB", (4, 4)), record | {"guidance": 3.0}))
    assert d.folder.record(d.decoder, item)["guidance"] == 3.0
    del record["tokens"]  # as `fewpass generate` writes it
    path.write_bytes(png(Image.new("RGB", (4, 4)), record | {"guidance": 3.0}))
    with pytest.raises(ValueError, match="not an image drawn by fewpass eval"):
        d.folder.record(d.decoder, item)


def test_temporary_files_of_a_killed_run_are_swept(tmp_path):
    left = tmp_path / "images" / "ar" / f".{'0' * 16}.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / left.name).write_bytes(b"half")
    RunFolder(alone).check(resume=False)
    RunFolder(tmp_path).begin({"seed": 1})
    assert not left.exists()


@pytest.mark.parametrize("content", ["", "[1]", "[]", "{", DEEP])
def test_damaged_run_file_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run\.json' is damaged"):
        RunFolder(tmp_path).begin({"seed": 1})


def test_slug_is_unique_for_each_decoder():
    assert slug("sjdpp(window=32, threshold=0.1, guess=left)") == "sjdpp-window-32-threshold-0.1-guess-left"
    assert slug("ar") == "ar"
    long = [slug(f"mine(numbers={(*range(n),)})") for n in (99, 100)]
    assert long[0] != long[1]
    assert [len(name) for name in long] == [133, 133]


def test_geneval_export_has_its_layout(tmp_path):
    done = BENCHMARKS["geneval"].export(drawings(tmp_path, [Row("two cats", "", tags=GENEVAL)] * 2, count=2))
    names = ["metadata.jsonl", "samples/0000.png", "samples/0001.png"]
    assert files(done) == [f"0000{prompt}/{name}" for prompt in "01" for name in names]
    assert json.loads((done / "00000/metadata.jsonl").read_text()) == {**GENEVAL, "prompt": "two cats"}
    assert grey(done / "00001/samples/0001.png") == 30


def test_compbench_export_numbers_images_of_repeated_prompts(tmp_path):
    done = BENCHMARKS["t2i-compbench"].export(drawings(tmp_path, [Row("a red cat", ""), Row("a red cat", "")], count=2))
    assert files(done) == [f"samples/a red cat_00000{i}.png" for i in range(4)]
    assert [grey(done / f"samples/a red cat_00000{i}.png") for i in range(4)] == [0, 10, 20, 30]


def test_dpg_bench_export_tiles_images_of_a_prompt(tmp_path):
    rows = [Row("long", "", tags={"item_id": "partiprompts7"})]
    done = BENCHMARKS["dpg-bench"].export(drawings(tmp_path, rows, count=5, size=(6, 6)))
    assert files(done) == ["partiprompts7.png"]
    where = [(0, 0), (6, 0), (0, 6), (6, 6)]
    assert [grey(done / "partiprompts7.png", at) for at in where] == [0, 10, 20, 30]


def test_hpsv2_export_has_a_folder_per_style(tmp_path):
    rows = [Row("a", "", tags={"style": "anime", "index": 0}), Row("b", "", tags={"style": "photo", "index": 0})]
    done = BENCHMARKS["hpsv2"].export(drawings(tmp_path, rows, count=2))
    assert files(done) == ["anime/00000.jpg", "photo/00000.jpg"]
    assert abs(grey(done / "photo/00000.jpg") - 20) < 3  # the first image of the second prompt


@pytest.mark.parametrize("name", ["geneval", "dpg-bench", "hpsv2"])
def test_prompts_of_another_source_are_refused(name):
    with pytest.raises(ValueError, match=f"here:1.*{name}"):
        BENCHMARKS[name].check([Row("a cat", "here:1")])


def test_unknown_benchmark_is_refused():
    assert [benchmark.name for benchmark in benchmarks_of("geneval, hpsv2,geneval")] == ["geneval", "hpsv2"]
    with pytest.raises(ValueError, match="'gen'"):
        benchmarks_of("gen")


def test_read_rows_reads_folders_of_benchmarks(tmp_path):
    dpg, hps = tmp_path / "dpg", tmp_path / "hps"
    dpg.mkdir()
    hps.mkdir()
    for name in ("10", "9"):
        (dpg / f"{name}.txt").write_text(f"prompt\n{name}\n")
    (hps / "photo.json").write_text('["a", "b"]')
    assert [(row.prompt, row.tags) for row in read_rows(dpg)] == [
        ("prompt 9", {"item_id": "9"}),
        ("prompt 10", {"item_id": "10"}),
    ]
    assert [row.tags for row in read_rows(hps)] == [{"style": "photo", "index": 0}, {"style": "photo", "index": 1}]
    (dpg / "blank.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"blank\.txt"):
        read_rows(dpg)
    (hps / "photo.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="list of prompts"):
        read_rows(hps)
    (hps / "photo.json").write_text("[")
    with pytest.raises(ValueError, match="no JSON"):
        read_rows(hps)
    (hps / "photo.json").unlink()
    with pytest.raises(ValueError, match="neither"):
        read_rows(hps)
