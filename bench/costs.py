"""Passes by window and branches, and the speed-up over `ar` for several costs of a pass.

    python bench/costs.py --model photo --guidance 3 --images 28

A pass over n positions costs 1 + n / c: c is infinite on a GPU that is limited by memory bandwidth, 64 or 16 where
arithmetic takes the time. Passes do not depend on the machine.
"""

import argparse
import math

import torch

import fewpass
from fewpass.cli.prompts import own_prompts
from fewpass.evaluation.statistics import mean
from fewpass.testing import Toy

NGRAMS = ((4, 3), (8, 0), (8, 3), (8, 6), (16, 0), (16, 3), (16, 6), (16, 12), (32, 0), (32, 9), (32, 18))
NGRAMS += ((48, 18), (48, 45), (64, 0), (64, 30), (96, 90))
OTHERS = ("mc_sjd(16, above_sample)", "mc_sjd(32, above_sample)", "mc_sjd(64, above_sample)")
COSTS = (math.inf, 64.0, 16.0)
BATCH = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--guidance", type=float, help="guidance scale, by default that of the model")
    parser.add_argument("--images", type=int, default=28)
    options = parser.parse_args()
    pipe = fewpass.load(options.model)
    prompts = [row.prompt for row in own_prompts(pipe.model, options.images)[0]]
    given = {} if options.guidance is None else {"guidance": options.guidance}
    print("| decoder | positions | passes | 1 | 1 + n/64 | 1 + n/16 |\n|---|--:|--:|--:|--:|--:|")
    for decoder in (*(fewpass.jacobi_ngram(*each) for each in NGRAMS), *map(fewpass.decoder, OTHERS)):
        passes = []
        for start in range(0, len(prompts), BATCH):
            seeds = list(range(start, min(start + BATCH, len(prompts))))
            part = pipe(prompts[start : start + BATCH], seed=seeds, decoder=decoder, **given)
            passes += part.trace.passes.tolist()
        found, n, size = mean(passes), positions(decoder, pipe.model.grid(None)), part.tokens.shape[1]
        saved = [size * (1 + 1 / c) / (found.mean * (1 + n / c)) for c in COSTS]
        cells = [f"`{decoder}`", f"{n}", f"{found.mean:.1f} ± {found.error:.1f}", *(f"{times:.1f}" for times in saved)]
        print(f"| {' | '.join(cells)} |", flush=True)


def positions(decoder: fewpass.Decoder, grid: fewpass.Grid) -> int:
    """The positions of the first pass behind the prompt, of which no later one has more."""
    drawing = fewpass.Drawing(Toy(1, grid), decoder, fewpass.Sampling(), torch.zeros(1, dtype=torch.long))
    return drawing.decoder.draft(drawing.canvas, drawing.state).tokens.shape[1]


if __name__ == "__main__":
    main()
