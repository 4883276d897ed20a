"""Seconds of the linear layers of a model, by the number of rows that are multiplied and by how.

With torch's linear layers; with the rows on the right of the weights; and with weights packed by oneDNN, as in
`fewpass.runtime.cpu.linear`. The ways take turns, ten times each, so that none finds its weights in the caches. A pass
over n tokens of one guided image multiplies 2 n rows.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

import fewpass
from fewpass.runtime.cpu.linear import packed

TURN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--rows", default="1 2 3 4 8 20 40 60 80 160")
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    body = fewpass.load(options.model, "cpu").model.network.body.model
    weights = [module.weight.detach() for module in body.modules() if type(module) is nn.Linear]
    in_panels = [packed(weight) for weight in weights]
    widths = [weight.shape[1] for weight in weights]
    print(f"{len(weights)} layers, torch {torch.__version__}, {options.threads} threads\n")
    print("| rows | ms, linear | ms, on the right | ms, packed |\n|--:|--:|--:|--:|")
    for n in map(int, options.rows.split()):
        x = {width: torch.randn(n, width) for width in set(widths)}
        inputs = [x[width] for width in widths]
        ways = ((linear, weights), (on_the_right, weights), (by_onednn, in_panels))
        seconds: list[list[float]] = [[] for _ in ways]
        for _ in range(options.turns):
            for (multiplied, given), taken in zip(ways, seconds, strict=True):
                taken += [timed(multiplied, inputs, given) for _ in range(TURN)]
        print(f"| {n} | " + " | ".join(f"{1e3 * median(taken):.2f}" for taken in seconds) + " |")


def on_the_right(x: Tensor, weight: Tensor) -> Tensor:
    return (weight @ x.t()).t().contiguous()


def by_onednn(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def timed(multiplied: Callable[[Tensor, Tensor], Tensor], inputs: list[Tensor], weights: list[Tensor]) -> float:
    began = time.perf_counter()
    for x, weight in zip(inputs, weights, strict=True):
        multiplied(x, weight)
    return time.perf_counter() - began


if __name__ == "__main__":
    with torch.inference_mode():
        main()
