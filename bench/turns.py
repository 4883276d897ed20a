"""Seconds of decoders that take turns pass by pass, from the prefill to the last token, without pixels.

A slow moment of the machine slows all of them alike, so that differences of 1 % are measurable. The order within a
turn is random. All draw the same prompts with the same seeds; `ratio` is to the first decoder listed, over all batches
but the first, the warm-up.
"""

import argparse
import random
import time
from dataclasses import dataclass, field
from statistics import mean

import torch

import fewpass
from fewpass.core.loop import decode
from fewpass.core.protocol import Decoder
from fewpass.models.base import Model
from fewpass.models.emoji import evaluation_prompts


@dataclass
class Entry:
    """A decoder, its seconds for each batch, and the passes of its images."""

    decoder: Decoder
    seconds: list[float] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--rounds", type=int, default=12, help="batches of different prompts")
    parser.add_argument("--batch-size", type=int, default=1, help="images in a batch")
    parser.add_argument(
        "--decoders", default="ar; jacobi_ngram(8); jacobi_ngram(16); jacobi_ngram(32)", help="spellings separated by ;"
    )
    options = parser.parse_args()
    if min(options.rounds, options.batch_size) < 1:
        parser.error(f"--rounds {options.rounds}, --batch-size {options.batch_size}: at least 1 of each is needed")
    torch.set_num_threads(options.threads)
    model, every = fewpass.load(options.model, "cpu", options.dtype).model, evaluation_prompts()
    entries = [Entry(fewpass.decoder(spelling)) for spelling in options.decoders.split(";")]
    for batch in range(options.rounds + 1):
        prompts = [every[(batch * options.batch_size + i) % len(every)] for i in range(options.batch_size)]
        draw_in_turns(model, entries, prompts, torch.arange(options.batch_size) + batch * options.batch_size)
        print(f"batch {batch} of {options.rounds}", flush=True)
    print("", table(entries, options.batch_size), sep="\n")


@torch.inference_mode()
def draw_in_turns(model: Model, entries: list[Entry], prompts: list[str], seeds: torch.Tensor) -> None:
    """Draw these images once with every decoder, and note seconds and passes."""
    going = []
    for one in entries:
        session = model.open(prompts, model.grid(None), model.guidance, [None] * len(prompts))
        going.append((one, decode(session, one.decoder, model.sampling, seeds)))
        one.seconds.append(0.0)
    passes = {id(one): torch.ones_like(seeds) for one in entries}  # the last one, after which all images are finished
    while going:
        random.shuffle(going)
        for one, drawing in tuple(going):
            began = time.perf_counter()
            canvas = next(drawing, None)
            one.seconds[-1] += time.perf_counter() - began
            if canvas is None:
                going.remove((one, drawing))
                one.passes += passes[id(one)].tolist()
            else:
                passes[id(one)] += torch.tensor([not done for done in canvas.finished])


def table(entries: list[Entry], batch_size: int) -> str:
    """The table in Markdown. Passes include the prefill."""
    lines = ["| decoder | passes | seconds an image | ratio | least | largest | first batch |", "|---|" + "--:|" * 6]
    base = entries[0].seconds
    for one in entries:
        first, *ratios = (s / b for s, b in zip(one.seconds, base, strict=True))
        figures = (sum(one.seconds[1:]) / sum(base[1:]), min(ratios), max(ratios), first)
        cells = [f"{mean(one.passes):.1f}", f"{mean(one.seconds[1:]) / batch_size:.3f}", *(f"{x:.3f}" for x in figures)]
        lines.append(f"| {one.decoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
