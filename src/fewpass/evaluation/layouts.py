"""Folders as the scripts of benchmarks read them, and the command to run on each.

The layouts are those of the benchmarks' own repositories: GenEval (djghosh13/geneval), T2I-CompBench
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
from fewpass.evaluation.drawings import Drawings
from fewpass.evaluation.folder import slug
from fewpass.evaluation.items import Item
from fewpass.io.prompt_files import Row


@dataclass(frozen=True)
class Exported:
    """A folder with the images of one decoder; `command` runs in a checkout of the benchmark's `repository`."""

    benchmark: str
    decoder: str
    folder: Path
    repository: str
    command: str


class Layout(ABC):
    """How one benchmark wants its images."""

    name: ClassVar[str]
    repository: ClassVar[str]
    images: ClassVar[int]  # of each prompt, in the benchmark's own protocol
    wants: ClassVar[str]  # which prompts it is for

    @abstractmethod
    def fits(self, row: Row) -> bool:
        """Whether this is one of the benchmark's prompts."""

    @abstractmethod
    def files(self, drawings: Drawings) -> Iterator[tuple[str, bytes]]:
        """Paths in the folder, and what they hold."""

    @abstractmethod
    def command(self, folder: Path, drawings: Drawings) -> str: ...

    def check(self, rows: Sequence[Row]) -> None:
        """Raise ValueError for prompts that are not the benchmark's."""
        for row in rows:
            if not self.fits(row):
                raise ValueError(f"{row.place}: this is no prompt of {self.name}, which takes {self.wants}")

    def export(self, drawings: Drawings) -> Exported:
        folder = f"{self.name}/{slug(drawings.decoder)}"
        for name, data in self.files(drawings):
            drawings.folder.write(f"{folder}/{name}", data)
        where = (drawings.folder.path / folder).resolve()
        return Exported(self.name, drawings.decoder, where, self.repository, self.command(where, drawings))


class GenEval(Layout):
    name, images = "geneval", 4
    repository = "https://github.com/djghosh13/geneval"
    wants = "the lines of its evaluation_metadata.jsonl"

    def fits(self, row: Row) -> bool:
        return "tag" in row.tags and "include" in row.tags

    def files(self, drawings: Drawings) -> Iterator[tuple[str, bytes]]:
        for i, item in enumerate(drawings.items):
            about = {**item.row.tags, "prompt": item.row.prompt}
            yield f"{item.number:05d}/metadata.jsonl", json.dumps(about).encode() + b"\n"
            yield f"{item.number:05d}/samples/{item.round:04d}.png", _png(drawings.picture(i))

    def command(self, folder: Path, drawings: Drawings) -> str:
        results = folder.with_name(f"{folder.name}.jsonl")
        return (
            f'python evaluation/evaluate_images.py "{folder}" --outfile "{results}" --model-path DETECTOR_FOLDER'
            f' && python evaluation/summary_scores.py "{results}"'
        )


class CompBench(Layout):
    name, images = "t2i-compbench", 10
    repository = "https://github.com/Karine-Huang/T2I-CompBench"
    wants = "its lists of prompts, such as color_val.txt"

    def fits(self, row: Row) -> bool:
        return "/" not in row.prompt and len(row.prompt.encode()) < 200

    def files(self, drawings: Drawings) -> Iterator[tuple[str, bytes]]:
        number: Counter[str] = Counter()  # prompts may repeat, and their images count on
        for i, item in enumerate(drawings.items):
            yield f"samples/{item.row.prompt}_{number[item.row.prompt]:06d}.png", _png(drawings.picture(i))
            number[item.row.prompt] += 1

    def command(self, folder: Path, drawings: Drawings) -> str:
        return (
            f'(cd BLIPvqa_eval && python BLIP_vqa.py --out_dir="{folder}/")'
            f' && python CLIPScore_eval/CLIP_similarity.py --outpath="{folder}/"'
        )


class DpgBench(Layout):
    name, images = "dpg-bench", 4
    repository = "https://github.com/TencentQQGYLab/ELLA"
    wants = "its folder dpg_bench/prompts of .txt files"

    def fits(self, row: Row) -> bool:
        return "item_id" in row.tags

    def files(self, drawings: Drawings) -> Iterator[tuple[str, bytes]]:
        shown: dict[int, list[Image.Image]] = {}
        for i, item in enumerate(drawings.items):
            shown.setdefault(item.number, []).append(drawings.picture(i))
        for item in drawings.items:
            if item.round == 0:
                yield f"{item.row.tags['item_id']}.png", _png(_tiled(shown[item.number][: self.images]))

    def command(self, folder: Path, drawings: Drawings) -> str:
        side, shown = drawings.picture(0).width, min(self.images, _rounds(drawings.items))
        return f'PIC_NUM={shown} bash dpg_bench/dist_eval.sh "{folder}" {side}'


class Hpsv2(Layout):
    name, images = "hpsv2", 1
    repository = "https://github.com/tgxs002/HPSv2"
    wants = "a folder of its styles: anime.json, concept-art.json, paintings.json, photo.json"

    def fits(self, row: Row) -> bool:
        return "style" in row.tags

    def files(self, drawings: Drawings) -> Iterator[tuple[str, bytes]]:
        for i, item in enumerate(drawings.items):
            if item.round == 0:
                data = io.BytesIO()
                drawings.picture(i).save(data, "JPEG", quality=95)
                yield f"{item.row.tags['style']}/{item.row.tags['index']:05d}.jpg", data.getvalue()

    def command(self, folder: Path, drawings: Drawings) -> str:
        return f"python -c \"import hpsv2; hpsv2.evaluate('{folder}')\""


LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (GenEval(), CompBench(), DpgBench(), Hpsv2())}


def layouts_of(names: str) -> list[Layout]:
    """Layouts by name, with commas between them. Raises ValueError for one that is not known."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in LAYOUTS:
            raise ValueError(f"unknown benchmark {name!r}{meant(name, LAYOUTS)}; there are {', '.join(LAYOUTS)}")
    return [LAYOUTS[name] for name in dict.fromkeys(chosen)]


def _rounds(items: Sequence[Item]) -> int:
    """Images that every prompt has."""
    return min(Counter(item.number for item in items).values())


def _tiled(pictures: Sequence[Image.Image]) -> Image.Image:
    """Side by side, two in a row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * min(2, len(pictures)), height * math.ceil(len(pictures) / 2)))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % 2 * width, i // 2 * height))
    return sheet


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
