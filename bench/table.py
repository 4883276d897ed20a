"""The tables of the README: every decoder on a bundled model, by `fewpass eval` under several conditions.

    python bench/table.py --model photo

Seconds come from 8 images drawn one at a time and 8 drawn together, passes and distances from `--images` images, and
those at other guidance scales and top-k from `--few` images of some decoders. It resumes a stopped run; more images may
be requested later. Written are docs/tables/MODEL.md, docs/assets/MODEL-frontier.png, and the lines between the markers
of MODEL in README.md.
"""

import argparse
import json
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fewpass.cli import main as fewpass
from fewpass.decoders import decoder
from fewpass.decoders.recipes import RECIPES
from fewpass.evaluation.metrics import features_for, kernel_distance
from fewpass.viz.progress import spoken

ROOT = Path(__file__).parents[1]
GUIDANCE = {"photo": 3.0, "emoji": 1.25}
TIMED, BATCH = 8, 20  # images that are timed, and images drawn at a time otherwise
SPLITS = 400
LOSSY = (  # the codes of `photo` have squared distances of 5 and more in its embedding
    "jacobi_relaxed(48, 45, 0.25); jacobi_relaxed(48, 45, 0.5); jacobi_relaxed(48, 45, 1.0)",
    "sjdpp(threshold=0.5); sjdpp(threshold=0.1); sjdpp(threshold=0.02)",
    "gsd(distance=8.0); gsd(gap=1.0, distance=12.0)",
    "lantern(neighbours=10, delta=0.1); lantern(neighbours=100, delta=0.3)",
    "lantern_pp(neighbours=10); lantern_pp(neighbours=100, factor=5.0)",
    "cool_sd; cool_sd(delta=1.5, nu=0.1, floor=1.1)",
    "zipar(window=8); zipar(window=4); zipar(window=4, adaptive=True)",
    "pjd(context=12); pjd(context=6)",
)
# Recipes that the next run adds to the table of the README, which takes two hours.
UNMEASURED: tuple[str, ...] = ()
LOSSLESS = [str(make()) for make in RECIPES.values() if make.lossless]
BRANCHES = str(RECIPES["jacobi_ngram"](48, 45))
DECODERS = [*LOSSLESS, BRANCHES] + [str(decoder(spelling)) for line in LOSSY for spelling in line.split(";")]
SOME = [*(str(RECIPES[name]()) for name in ("ar", "mc_sjd", "sjd_pac", "jacobi_ngram")), BRANCHES]
Rows = dict[str, dict[str, Any]]  # of results.json, by decoder


@dataclass(frozen=True)
class Condition:
    """A run of `fewpass eval` with all decoders, or with some."""

    name: str
    options: dict[str, float]
    everything: bool = True


def conditions(model: str, images: int, few: int) -> list[Condition]:
    """All runs in their order: the table needs the first three."""
    usual = {"guidance": GUIDANCE[model], "temperature": 1, "top-k": 0, "top-p": 1, "batch-size": BATCH}
    found = [
        Condition("one", usual | {"limit": TIMED, "batch-size": 1}),
        Condition("eight", usual | {"limit": TIMED, "batch-size": TIMED}),
        Condition("main", usual | {"limit": images}),
    ]
    if model == "photo":
        others = {"guidance 1": {"guidance": 1}, "guidance 5": {"guidance": 5}, "top-k 1000": {"top-k": 1000}}
        found += [Condition(name, usual | {"limit": few} | other, False) for name, other in others.items()]
    return found


def draw(model: str, condition: Condition, decoders: list[str], folder: Path) -> None:
    """Run, or resume, an evaluation."""
    options = [text for name, value in condition.options.items() for text in (f"--{name}", f"{value:g}")]
    print(f"\n{model}, {condition.name}", flush=True)
    given = ["eval", "--model", model, "-o", str(folder), "--resume", "--decoders", "; ".join(decoders), *options]
    if code := fewpass(given):
        raise SystemExit(code)


def read(folder: Path) -> Rows:
    """The rows of a finished run, by decoder; none of an unfinished one."""
    path = folder / "results.json"
    return {row["decoder"]: row for row in json.loads(path.read_text())["decoders"]} if path.exists() else {}


def best_lossy(rows: Rows) -> str:
    """The lossy decoder of the fewest passes within two standard errors of the floor, or else the nearest."""
    lossy = {name: row for name, row in rows.items() if row["lossless"] is False}
    floor = rows["ar"]["kid"]["mean"]
    near = [name for name, row in lossy.items() if row["kid"]["mean"] - 2 * row["kid"]["error"] <= floor]
    if near:
        return min(near, key=lambda name: lossy[name]["passes"]["mean"])
    return min(lossy, key=lambda name: lossy[name]["kid"]["mean"])


def shown(estimate: dict[str, Any] | None, digits: int, error: bool = False) -> str:
    """A mean with so many decimals, and its standard error."""
    if not estimate or estimate["mean"] is None:
        return "-"
    more = f" ± {estimate['error']:.{digits}f}" if error and estimate["error"] is not None else ""
    return f"{estimate['mean']:.{digits}f}{more}"


def chance(folder: Path) -> float:
    """The KID that 95 % of random splits of the images of `ar` do not exceed; a split has each prompt on both sides."""
    network = features_for(folder.parent.name, None)
    names = sorted((folder / "images" / "ar").glob("*.png"))  # two of each prompt, one after the other
    pairs = network.of(Image.open(name) for name in names).unflatten(0, (-1, 2))
    which = torch.rand(SPLITS, len(pairs), generator=torch.Generator().manual_seed(0)) < 0.5
    halves = (torch.where(swap[:, None, None], pairs.flip(1), pairs) for swap in which)
    return float(np.quantile([kernel_distance(half[:, 0], half[:, 1]).mean for half in halves], 0.95))


def main_table(folder: Path, decoders: list[str]) -> str:
    """One row for each decoder."""
    rows, one, eight = (read(folder / name) for name in ("main", "one", "eight"))
    heading = ["decoder", "images", "passes", "tokens per pass", "seconds, one", "seconds, of eight", "nats per token"]
    lines = [[*heading, "KID", "FID"]]
    for name in decoders:
        if row := rows.get(name):
            cells = [f"`{name}`", "lossless" if row["lossless"] else "lossy", shown(row["passes"], 1)]
            cells += [shown(row["tokens_per_pass"], 2, error=True)]
            cells += [shown(timed.get(name, {}).get("seconds"), 2) for timed in (one, eight)]
            cells += [shown(row["nll"], 2), shown(row["kid"], 3, error=True)]
            cells += ["-" if row["fid"] is None else f"{row['fid']:.2f}"]
            lines.append(cells)
    found, ar = json.loads((folder / "main" / "results.json").read_text()), rows["ar"]
    notes = [
        found["conditions"],
        f"Entropy of the distribution along the images of `ar`: {shown(ar['entropy'], 2)} nats per token.",
        f"Distances (KID, FID) are those of {ar['images']} images from as many of `ar` with other seeds, on",
        f"{found['features']}; the row of `ar` is their size by chance, and of {SPLITS} random splits of the images of",
        f"`ar` 95 % have a KID of at most {chance(folder / 'main'):.3f}.",
        f"Seconds: {TIMED} images one at a time, and an image's share of a batch of {TIMED}.",
    ]
    return f"{' '.join(notes)}\n\n{markdown(lines)}"


def other_tables(folder: Path) -> str:
    """Passes, tokens per pass and KID at other guidance scales and with top-k."""
    others = {c.name: read(folder / c.name) for c in conditions(folder.name, 1, 1) if not c.everything}
    others = {name: rows for name, rows in others.items() if rows}
    if not others:
        return ""
    lines = [["decoder", *(f"{name}: {what}" for name in others for what in ("passes", "tokens per pass", "KID"))]]
    for name in next(iter(others.values())):
        each = [rows.get(name, {}) for rows in others.values()]
        digits = {"passes": 1, "tokens_per_pass": 2, "kid": 3}
        lines.append([f"`{name}`", *(shown(row.get(key), d, d > 1) for row in each for key, d in digits.items())])
    few = {str(rows["ar"]["images"]) for rows in others.values()}
    return f"\nThe same with other options, {' or '.join(sorted(few))} images of each decoder.\n\n{markdown(lines)}"


def markdown(lines: list[list[str]]) -> str:
    """A table; numbers are aligned to the right."""
    rule = ["---", *("---" if "lossless" in column or "lossy" in column else "--:" for column in lines[1][1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:])) + "\n"


def write(folder: Path) -> None:
    """Write docs/tables and the plot, and put the table between the markers of README.md if it has them."""
    model, readme = folder.name, ROOT / "README.md"
    table = main_table(folder, DECODERS)
    (ROOT / "docs" / "tables").mkdir(exist_ok=True)
    (ROOT / "docs" / "tables" / f"{model}.md").write_text(table + other_tables(folder))
    shutil.copy(folder / "main" / "figures" / "frontier.png", ROOT / "docs" / "assets" / f"{model}-frontier.png")
    marked = re.compile(rf"(<!-- {model}: [^\n]* -->\n).*?(<!-- end of {model} -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{table}{found[2]}", readme.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=GUIDANCE, default="photo")
    parser.add_argument("--images", type=int, default=200, help="images of every decoder")
    parser.add_argument("--few", type=int, default=40, help="images at other guidance scales and with top-k")
    parser.add_argument("--out", type=Path, default=Path("runs/table"), help="folder of the runs")
    options = parser.parse_args()
    folder, started = options.out / options.model, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    for condition in conditions(options.model, options.images, options.few):
        decoders = DECODERS if condition.everything else [*SOME, best_lossy(read(folder / "main"))]
        draw(options.model, condition, decoders, folder / condition.name)
        if (folder / "main" / "results.json").exists():
            write(folder)
    print(f"{options.model}: {spoken(time.monotonic() - started)}")


if __name__ == "__main__":
    main()
