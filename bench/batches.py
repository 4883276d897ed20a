"""Seconds of the same images alone and in one batch, from the prompt's text to pixels, each at its best window.

In every round, `--together` prompts are drawn one by one and in one batch, with every window. Figures are medians
over the rounds; the ratio is that of the best windows.
"""

import argparse
import time
from collections import defaultdict
from statistics import median

import torch

import fewpass
from fewpass.models.emoji import evaluation_prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8, help="images in a batch")
    parser.add_argument("--windows", default="8 16 32", help="of jacobi_ngram")
    options = parser.parse_args()
    if min(options.rounds, options.batch_size) < 1 or not options.windows.split():
        parser.error(f"{options.rounds} rounds, {options.batch_size} images, windows {options.windows!r}: none is left")
    torch.set_num_threads(options.threads)
    pipe, every, n = fewpass.load("emoji", "cpu", options.dtype), evaluation_prompts(), options.batch_size
    pipe(every[:n], decoder="jacobi_ngram")
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        prompts, seeds = [every[(turn * n + i) % len(every)] for i in range(n)], [turn * n + i for i in range(n)]
        for window in map(int, options.windows.split()):
            decoder, began = f"jacobi_ngram({window})", time.perf_counter()
            together = pipe(prompts, seed=seeds, decoder=decoder).tokens
            between = time.perf_counter()
            alone = [
                pipe(prompt, seed=seed, decoder=decoder).tokens for prompt, seed in zip(prompts, seeds, strict=True)
            ]
            found["together", window].append((between - began) / n)
            found["alone", window].append((time.perf_counter() - between) / n)
            if not torch.equal(torch.cat(alone), together):
                print(f"round {turn + 1}, window {window}: some tokens differ, as sums were rounded differently")
        print(f"round {turn + 1} of {options.rounds}", flush=True)
    print("\n| window | seconds an image alone | together |\n|--:|--:|--:|")
    for window in map(int, options.windows.split()):
        print(
            f"| {window} | " + " | ".join(f"{median(found[way, window]):.3f}" for way in ("alone", "together")) + " |"
        )
    best = {way: min(median(taken) for (one, _), taken in found.items() if one == way) for way, _ in found}
    print(f"\n{options.dtype}, {options.threads} threads: {best['alone'] / best['together']:.2f} times as many images")


if __name__ == "__main__":
    main()
