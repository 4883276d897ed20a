"""Export of images in the layouts of benchmarks, with the commands of their scripts.

The layouts follow the benchmarks' repositories: GenEval (djghosh13/geneval), T2I-CompBench
(Karine-Huang/T2I-CompBench), DPG-Bench (TencentQQGYLab/ELLA) and HPSv2 (tgxs002/HPSv2).
"""

import io
import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PIL import Image

from fewpass.core.messages import meant
from fewpass.evaluation.folder import Item, slug
from fewpass.evaluation.images import DecoderImages
from fewpass.io.prompt_files import Row


@dataclass(frozen=True)
class Exported:
    """A folder with the images of one decoder; `command` runs in a checkout of the benchmark's `repository`."""

    benchmark: str
    decoder: str
    folder: Path
    repository: str
    command: str


class Benchmark(ABC):
    """The layout and the command of one benchmark."""

    name: ClassVar[str]
    repository: ClassVar[str]
    images: ClassVar[int]  # of each prompt
    wants: ClassVar[str]  # the source of its prompts

    @abstractmethod
    def fits(self, row: Row) -> bool:
        """Whether a prompt is one of the benchmark's."""

    @abstractmethod
    def files(self, images: DecoderImages) -> Iterator[tuple[str, bytes]]:
        """Paths in the folder, and contents."""

    @abstractmethod
    def command(self, folder: Path, images: DecoderImages) -> str: ...

    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError for a prompt that is not the benchmark's."""
        for row in rows:
            if not self.fits(row):
                raise ValueError(f"{row.place}: this is not a prompt of {self.name}, which takes {self.wants}")

    def export(self, images: DecoderImages) -> Exported:
        """Write the files. Returns the folder and the command."""
        folder = f"{self.name}/{slug(images.decoder)}"
        for name, data in self.files(images):
            images.folder.write(f"{folder}/{name}", data)
        where = (images.folder.path / folder).resolve()
        return Exported(self.name, images.decoder, where, self.repository, self.command(where, images))


class GenEval(Benchmark):
    name, images = "geneval", 4
    repository = "https://github.com/djghosh13/geneval"
    wants = "the lines of its evaluation_metadata.jsonl"

    def fits(self, row: Row) -> bool:
        return "tag" in row.tags and "include" in row.tags

    def files(self, images: DecoderImages) -> Iterator[tuple[str, bytes]]:
        for i, item in enumerate(images.items):
            about = {**item.row.tags, "prompt": item.row.prompt}
            yield f"{item.number:05d}/metadata.jsonl", json.dumps(about).encode() + b"\n"
            yield f"{item.number:05d}/samples/{item.round:04d}.png", _png(images.picture(i))

    def command(self, folder: Path, images: DecoderImages) -> str:
        results = folder.with_name(f"{folder.name}.jsonl")
        return (
            f'python evaluation/evaluate_images.py "{folder}" --outfile "{results}" --model-path DETECTOR_FOLDER'
            f' && python evaluation/summary_scores.py "{results}"'
        )


class CompBench(Benchmark):
    name, images = "t2i-compbench", 10
    repository = "https://github.com/Karine-Huang/T2I-CompBench"
    wants = "its lists of prompts, such as color_val.txt"

    def fits(self, row: Row) -> bool:
        return "/" not in row.prompt and len(row.prompt.encode()) < 200

    def files(self, images: DecoderImages) -> Iterator[tuple[str, bytes]]:
        number: Counter[str] = Counter()  # the images of a repeated prompt count on
        for i, item in enumerate(images.items):
            yield f"samples/{item.row.prompt}_{number[item.row.prompt]:06d}.png", _png(images.picture(i))
            number[item.row.prompt] += 1

    def command(self, folder: Path, images: DecoderImages) -> str:
        return (
            f'(cd BLIPvqa_eval && python BLIP_vqa.py --out_dir="{folder}/")'
            f' && python CLIPScore_eval/CLIP_similarity.py --outpath="{folder}/"'
        )


class DpgBench(Benchmark):
    name, images = "dpg-bench", 4
    repository = "https://github.com/TencentQQGYLab/ELLA"
    wants = "its folder dpg_bench/prompts of .txt files"

    def fits(self, row: Row) -> bool:
        return "item_id" in row.tags

    def files(self, images: DecoderImages) -> Iterator[tuple[str, bytes]]:
        shown: dict[int, list[Image.Image]] = {}
        for i, item in enumerate(images.items):
            shown.setdefault(item.number, []).append(images.picture(i))
        for item in images.items:
            if item.round == 0:
                yield f"{item.row.tags['item_id']}.png", _png(_tiled(shown[item.number][: self.images]))

    def command(self, folder: Path, images: DecoderImages) -> str:
        side, shown = images.picture(0).width, min(self.images, _rounds(images.items))
        return f'PIC_NUM={shown} bash dpg_bench/dist_eval.sh "{folder}" {side}'


class Hpsv2(Benchmark):
    name, images = "hpsv2", 1
    repository = "https://github.com/tgxs002/HPSv2"
    wants = "a folder of its styles: anime.json, concept-art.json, paintings.json, photo.json"

    def fits(self, row: Row) -> bool:
        return "style" in row.tags

    def files(self, images: DecoderImages) -> Iterator[tuple[str, bytes]]:
        for i, item in enumerate(images.items):
            if item.round == 0:
                data = io.BytesIO()
                images.picture(i).save(data, "JPEG", quality=95)
                yield f"{item.row.tags['style']}/{item.row.tags['index']:05d}.jpg", data.getvalue()

    def command(self, folder: Path, images: DecoderImages) -> str:
        return f"python -c \"import hpsv2; hpsv2.evaluate('{folder}')\""


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for benchmark in (GenEval(), CompBench(), DpgBench(), Hpsv2())
}


def benchmarks_of(names: str) -> list[Benchmark]:
    """Benchmarks by name, separated by commas. Raises ValueError for an unknown one."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in BENCHMARKS:
            raise ValueError(f"unknown benchmark {name!r}{meant(name, BENCHMARKS)}; there are {', '.join(BENCHMARKS)}")
    return [BENCHMARKS[name] for name in dict.fromkeys(chosen)]


def _rounds(items: Sequence[Item]) -> int:
    """The least number of images of a prompt."""
    return min(Counter(item.number for item in items).values())


def _tiled(pictures: Sequence[Image.Image]) -> Image.Image:
    """Images side by side, two in a row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * min(2, len(pictures)), height * math.ceil(len(pictures) / 2)))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % 2 * width, i // 2 * height))
    return sheet


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
