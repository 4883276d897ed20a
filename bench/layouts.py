"""Seconds of the linear layers of a model, by the number of rows that are multiplied and by how their weights lie.

Weights row by row, as torch keeps them, against weights column by column, which `fewpass.layouts` keeps for windows;
they take turns. A pass over n tokens of one guided image multiplies 2 n rows.
"""

import argparse
import time
from statistics import median

import torch
from torch import nn
from torch.nn.functional import linear

import fewpass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--rows", default="1 2 4 8 20 40 48 60 80 160")
    parser.add_argument("--repetitions", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    body = fewpass.load(options.model, "cpu").model.network.body.model
    by_rows = [module.weight.detach() for module in body.modules() if type(module) is nn.Linear]
    by_columns = [weight.t().contiguous().t() for weight in by_rows]
    print(f"{len(by_rows)} layers, torch {torch.__version__}, {options.threads} threads\n")
    print("| rows | ms, by rows | ms, by columns | time saved |\n|--:|--:|--:|--:|")
    for n in map(int, options.rows.split()):
        x = {width: torch.randn(n, width) for width in {weight.shape[1] for weight in by_rows}}
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.repetitions):
            for weights, taken in zip((by_rows, by_columns), seconds, strict=True):
                began = time.perf_counter()
                for weight in weights:
                    linear(x[weight.shape[1]], weight)
                taken.append(time.perf_counter() - began)
        rows, columns = (1e3 * median(taken) for taken in seconds)
        print(f"| {n} | {rows:.2f} | {columns:.2f} | {1 - columns / rows:.0%} |")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
