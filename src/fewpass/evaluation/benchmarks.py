"""Export of images in the layouts of benchmarks.

The layouts follow the benchmarks' repositories: GenEval (djghosh13/geneval), T2I-CompBench
(Karine-Huang/T2I-CompBench), DPG-Bench (TencentQQGYLab/ELLA) and HPSv2 (tgxs002/HPSv2).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from fewpass.core.messages import meant
from fewpass.evaluation.folder import DecoderImages, slug
from fewpass.io.prompt_rows import Row
from fewpass.viz.encode import encoded

TILES = 4  # images of a prompt that DPG-Bench sees


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: the source of its prompts, whether a prompt is one of them, and the files of its layout."""

    name: str
    source: str
    fits: Callable[[Row], bool]
    files: Callable[[DecoderImages], Iterator[tuple[str, bytes]]]

    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError for a prompt that is not the benchmark's."""
        for row in rows:
            if not self.fits(row):
                raise ValueError(f"{row.place}: this is not a prompt of {self.name}, which takes {self.source}")

    def export(self, images: DecoderImages) -> Path:
        """Write the files of a decoder, and return their folder."""
        name = f"{self.name}/{slug(images.decoder)}"
        for file, data in self.files(images):
            images.folder.write(f"{name}/{file}", data)
        return (images.folder.path / name).resolve()


def _geneval(images: DecoderImages) -> Iterator[tuple[str, bytes]]:
    for i, item in enumerate(images.items):
        about = {**item.row.tags, "prompt": item.row.prompt}
        yield f"{item.number:05d}/metadata.jsonl", json.dumps(about).encode() + b"\n"
        yield f"{item.number:05d}/samples/{item.round:04d}.png", encoded(images.picture(i))


def _compbench(images: DecoderImages) -> Iterator[tuple[str, bytes]]:
    number: Counter[str] = Counter()  # the images of a repeated prompt count on
    for i, item in enumerate(images.items):
        yield f"samples/{item.row.prompt}_{number[item.row.prompt]:06d}.png", encoded(images.picture(i))
        number[item.row.prompt] += 1


def _dpg_bench(images: DecoderImages) -> Iterator[tuple[str, bytes]]:
    for item_id, of_prompt in groupby(range(len(images.items)), lambda i: images.items[i].row.tags["item_id"]):
        yield f"{item_id}.png", encoded(_tiled([images.picture(i) for i in of_prompt][:TILES]))


def _hpsv2(images: DecoderImages) -> Iterator[tuple[str, bytes]]:
    for i, item in enumerate(images.items):
        if item.round == 0:
            name = f"{item.row.tags['style']}/{item.row.tags['index']:05d}.jpg"
            yield name, encoded(images.picture(i), "JPEG", quality=95)


def _tiled(pictures: Sequence[Image.Image]) -> Image.Image:
    """Images side by side, two in a row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * min(2, len(pictures)), height * math.ceil(len(pictures) / 2)))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % 2 * width, i // 2 * height))
    return sheet


ALL = (
    Benchmark(
        "geneval",
        "the lines of its evaluation_metadata.jsonl",
        lambda row: "tag" in row.tags and "include" in row.tags,
        _geneval,
    ),
    Benchmark(
        "t2i-compbench",
        "its lists of prompts, such as color_val.txt",
        lambda row: "/" not in row.prompt and len(row.prompt.encode()) < 200,
        _compbench,
    ),
    Benchmark(
        "dpg-bench",
        "its folder dpg_bench/prompts of .txt files",
        lambda row: "item_id" in row.tags,
        _dpg_bench,
    ),
    Benchmark(
        "hpsv2",
        "a folder of its styles: anime.json, concept-art.json, paintings.json, photo.json",
        lambda row: "style" in row.tags,
        _hpsv2,
    ),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in ALL}


def benchmarks_of(names: str) -> list[Benchmark]:
    """Benchmarks by name, separated by commas. Raises ValueError for an unknown one."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in BENCHMARKS:
            raise ValueError(f"unknown benchmark {name!r}{meant(name, BENCHMARKS)}; there are {', '.join(BENCHMARKS)}")
    return [BENCHMARKS[name] for name in dict.fromkeys(chosen)]
