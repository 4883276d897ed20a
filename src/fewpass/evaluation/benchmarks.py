"""Export of images in the layouts of benchmarks, with the commands of their scripts.

The layouts follow the benchmarks' repositories: GenEval (djghosh13/geneval), T2I-CompBench
(Karine-Huang/T2I-CompBench), DPG-Bench (TencentQQGYLab/ELLA) and HPSv2 (tgxs002/HPSv2).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fewpass.core.messages import meant
from fewpass.evaluation.folder import slug
from fewpass.evaluation.images import DecoderImages
from fewpass.io.prompt_rows import Row
from fewpass.viz.embed import encoded

TILES = 4  # images of a prompt that DPG-Bench sees


@dataclass(frozen=True)
class Exported:
    """A folder with the images of one decoder; `command` runs in a checkout of the benchmark's `repository`."""

    benchmark: str
    decoder: str
    folder: Path
    repository: str
    command: str


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: whether a prompt is one of its own, the files of its layout, and its command.

    In `command`, {folder} is the folder of the files, {side} the width of an image, and {count} the
    least number of images of a prompt, at most 4.
    """

    name: str
    repository: str
    source: str  # of the prompts
    fits: Callable[[Row], bool]
    files: Callable[[DecoderImages], Iterator[tuple[str, bytes]]]
    command: str

    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError for a prompt that is not the benchmark's."""
        for row in rows:
            if not self.fits(row):
                raise ValueError(f"{row.place}: this is not a prompt of {self.name}, which takes {self.source}")

    def export(self, images: DecoderImages) -> Exported:
        """Write the files. Returns the folder and the command."""
        name = slug(images.decoder)
        for file, data in self.files(images):
            images.folder.write(f"{self.name}/{name}/{file}", data)
        folder = (images.folder.path / self.name / name).resolve()
        count = min(TILES, *Counter(item.number for item in images.items).values())
        side = images.picture(0).width
        command = self.command.format(folder=folder, side=side, count=count)
        return Exported(self.name, images.decoder, folder, self.repository, command)


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
    shown: dict[int, list[Image.Image]] = {}
    for i, item in enumerate(images.items):
        shown.setdefault(item.number, []).append(images.picture(i))
    for item in images.items:
        if item.round == 0:
            yield f"{item.row.tags['item_id']}.png", encoded(_tiled(shown[item.number][:TILES]))


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
        "https://github.com/djghosh13/geneval",
        "the lines of its evaluation_metadata.jsonl",
        lambda row: "tag" in row.tags and "include" in row.tags,
        _geneval,
        'python evaluation/evaluate_images.py "{folder}" --outfile "{folder}.jsonl" --model-path DETECTOR_FOLDER'
        ' && python evaluation/summary_scores.py "{folder}.jsonl"',
    ),
    Benchmark(
        "t2i-compbench",
        "https://github.com/Karine-Huang/T2I-CompBench",
        "its lists of prompts, such as color_val.txt",
        lambda row: "/" not in row.prompt and len(row.prompt.encode()) < 200,
        _compbench,
        '(cd BLIPvqa_eval && python BLIP_vqa.py --out_dir="{folder}/")'
        ' && python CLIPScore_eval/CLIP_similarity.py --outpath="{folder}/"',
    ),
    Benchmark(
        "dpg-bench",
        "https://github.com/TencentQQGYLab/ELLA",
        "its folder dpg_bench/prompts of .txt files",
        lambda row: "item_id" in row.tags,
        _dpg_bench,
        'PIC_NUM={count} bash dpg_bench/dist_eval.sh "{folder}" {side}',
    ),
    Benchmark(
        "hpsv2",
        "https://github.com/tgxs002/HPSv2",
        "a folder of its styles: anime.json, concept-art.json, paintings.json, photo.json",
        lambda row: "style" in row.tags,
        _hpsv2,
        "python -c \"import hpsv2; hpsv2.evaluate('{folder}')\"",
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
