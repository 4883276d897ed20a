"""fewpass beside the official code of LlamaGen, SJD and ZipAR, on the same model files: figures of docs/comparison.md.

    python bench/official.py --model FOLDER --llamagen CHECKOUT --sjd CHECKOUT --zipar CHECKOUT

The model is a class-conditional one in LlamaGen's format. The modules of the checkouts are imported unchanged; names
that they need and that a CPU or the installed transformers lacks are supplied in memory.

First the official code of LlamaGen must read both files and agree with fewpass on the likeliest tokens and on the
pixels. Then all decoders take turns on each image, from the number of its class to its pixels, in float32, at
temperature 1 with all codes. A figure is the median over all images, a ratio the median of the ratios between two
drawings of the same image. Seconds of one thread are the processor's own, which other programs lengthen only by
sharing caches and memory.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

import torch
from releases import Draw, Pixels, Task, llamagen, official_pixels, sjd
from torch import nn

import fewpass
from fewpass.io.machine import machine, versions
from fewpass.models.llamagen import LlamaGen
from fewpass.models.llamagen.weights import files_of

PAGE = Path(__file__).parent.parent / "docs" / "comparison.md"
BEGIN, END = "<!-- figures of bench/official.py -->\n", "<!-- end of the figures -->\n"
CHECKOUTS = {  # option: repository, and a file that every checkout of it has
    "llamagen": ("FoundationVision/LlamaGen", "autoregressive/models/generate.py"),
    "sjd": ("tyshiwo1/Accelerating-T2I-AR-with-SJD", "llamagen/llamagen_solver.py"),
    "zipar": ("ThisisBillhe/ZipAR", "LlamaGen-ZipAR/autoregressive/models/generate_zipar.py"),
}
GREEDY = 4  # classes whose likeliest tokens are compared
ZIPAR_WINDOWS = (4, 8)


@dataclass
class Entry:
    """A decoder, `draw` from a class and a seed to its number of passes, and the figures of all images."""

    code: str
    decoder: str
    draw: Callable[[int, int], int]
    passes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def check(task: Task, draw: Draw, pixels: Pixels) -> str:
    """A sentence on the agreement of official LlamaGen code with fewpass. Exits where they disagree."""
    classes = [i * task.config.labels // GREEDY for i in range(GREEDY)]
    ours, theirs = task.fewpass(classes, 0, "ar", temperature=0.0).tokens, draw(classes)
    if not ours.equal(theirs):
        stop(f"{int((ours != theirs).sum())} of the likeliest tokens differ between the official code and fewpass")
    model = task.pipe.model
    levels = (model.pixels(ours, model.grid(None)).int() - pixels(ours).int()).abs().max().item()
    if levels > 1:
        stop(f"pixels of the same tokens differ by {levels} of 255 levels between the official code and fewpass")
    return (
        f"The likeliest tokens of the classes {', '.join(map(str, classes))} at guidance {task.guidance:g} are the same"
        f" in LlamaGen's code and in fewpass, {ours.numel()} of {ours.numel()}. Pixels of the same tokens differ by at"
        f" most {levels} of 255 levels."
    )


def entries_of(task: Task, checkouts: dict[str, Path], pixels: Pixels) -> list[Entry]:
    def official(code: str, decoder: str, model: nn.Module, draw: Draw) -> Entry:
        passes: list[None] = []
        model.norm.register_forward_hook(lambda *_: passes.append(None))  # runs once in a pass

        def drawn(label: int, seed: int) -> int:
            torch.manual_seed(seed)
            passes.clear()
            pixels(draw([label]))
            return len(passes)

        return Entry(code, decoder, drawn)

    def own(decoder: str) -> Entry:
        def drawn(label: int, seed: int) -> int:
            return int(task.fewpass([label], seed, decoder).trace.passes)

        return Entry("fewpass", f"`{decoder}`", drawn)

    window = f"(window={task.window})"
    found = [official("LlamaGen", "`generate`", *llamagen(task, checkouts["llamagen"])), own("ar")]
    found += [official("SJD", f"{task.window + 1} inputs", *sjd(task, checkouts["sjd"]))]
    found += [own(name + window) for name in ("sjd", "mc_sjd", "jacobi_ngram")]
    for head in ZIPAR_WINDOWS:
        found += [official("ZipAR", f"window {head}", *llamagen(task, checkouts["zipar"] / "LlamaGen-ZipAR", head))]
        found += [own(f"zipar(window={head})")]
    return found


def measure(task: Task, entries: list[Entry], images: int) -> None:
    """Let the entries take turns on each image, in alternating order, after one image of warm-up."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for i in range(-1, images):
        for entry in entries[:: 1 - 2 * (i % 2)]:
            began = clock()
            passes = entry.draw(max(i, 0) * task.config.labels // images, i + 1)
            if i >= 0:
                entry.passes.append(passes)
                entry.seconds.append(clock() - began)
        print(f"{i + 1} of {images} images", flush=True)


def conditions(task: Task, checkouts: dict[str, Path], images: int) -> str:
    config, (gpt, vq) = task.config, (file.name for file, _ in task.files)
    installed = {"fewpass": fewpass.__version__} | versions()
    used = [f"{name} {installed[name]}" for name in ("fewpass", "python", "torch", "transformers")]
    used += [f"{repository} {commit(checkouts[name])}".strip() for name, (repository, _) in CHECKOUTS.items()]
    return (
        f"`{gpt}` and `{vq}`: {config.side} x {config.side} tokens of {config.vocab_size} codes. Guidance"
        f" {task.guidance:g}, temperature 1, all codes, float32; medians of {images} images."
        f" {machine(torch.device('cpu'))}; {', '.join(used)}; {date.today().isoformat()}."
    )


def table(entries: list[Entry]) -> str:
    lines = ["| code | decoder | passes | seconds | times as fast as LlamaGen's code |", "|---|---|--:|--:|--:|"]
    for entry in entries:
        faster = median(base / own for base, own in zip(entries[0].seconds, entry.seconds, strict=True))
        figures = f"{median(entry.passes):g} | {median(entry.seconds):.2f} | {faster:.2f}"
        lines.append(f"| {entry.code} | {entry.decoder} | {figures} |")
    return "\n".join(lines)


def commit(checkout: Path) -> str:
    """The short hash of the commit, or nothing for a folder that is no clone."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    found = (checkout / ".git").exists() and subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found else ""


def rewritten(page: str, figures: str) -> str:
    """The page with `figures` between its two marks."""
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    return f"{before}{BEGIN}\n{figures}\n\n{END}{after}"


def stop(message: str) -> None:
    sys.exit(f"official.py: {message}")


def task_of(options: argparse.Namespace) -> Task:
    """The model and its files. Exits with one line where a path or an option is wrong."""
    for name, (repository, file) in CHECKOUTS.items():
        if not (getattr(options, name) / file).is_file():
            stop(f"--{name} must be a checkout of {repository}, got {getattr(options, name)}: it has no {file}")
    if min(options.images, options.threads, options.window) < 1:
        stop("--images, --threads and --window must be at least 1")
    if not options.model.is_dir():
        stop(f"--model must be a folder of LlamaGen's .pt files, got {options.model}: there is no such folder")
    try:
        files, pipe = files_of(options.model), fewpass.load(options.model, "cpu", "float32")
    except ValueError as error:
        stop(f"--model: {error}")
    if not isinstance(pipe.model, LlamaGen) or not pipe.model.labels:
        stop(f"--model must be a class-conditional LlamaGen, got {options.model}")
    return Task(pipe, files, options.guidance, options.window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of LlamaGen's .pt files")
    for name, (repository, _) in CHECKOUTS.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"checkout of {repository}")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--window", type=int, default=15, help="drafts in a pass of the Jacobi decoders")
    options = parser.parse_args()
    task, checkouts = task_of(options), {name: getattr(options, name) for name in CHECKOUTS}
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", FutureWarning)  # of names in the official code that torch will remove
    pixels = official_pixels(task, checkouts["llamagen"])
    agreement = check(task, llamagen(task, checkouts["llamagen"], sample=False)[1], pixels)
    entries = entries_of(task, checkouts, pixels)
    measure(task, entries, options.images)
    figures = "\n\n".join([conditions(task, checkouts, options.images), agreement, table(entries)])
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    print(figures)


if __name__ == "__main__":
    with torch.no_grad():
        main()
