"""Seconds of a pass of a small model on the CPU, without and with the fast path (`fewpass.runtime.cpu`).

The two take turns, a dozen passes each. The first few of a turn, without their weights in the caches, are the warm-up.
"""

import argparse
import time
from dataclasses import fields
from statistics import median

import torch

import fewpass
from fewpass.core.protocol import Query
from fewpass.runtime.session import Network, PromptSession

TURN, WARM_UP = 12, 3
START = 100  # the first position of a pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--prompt", default="two stars on a blue background")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--tokens", default="1 17 33 65")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = fewpass.load(options.model, "cpu", "float32").model
    given = [options.prompt], model.grid(None), options.guidance, [None]
    own, lean = model.open(*given), model.open(*given)
    own.network = Network(**{part.name: getattr(own.network, part.name) for part in fields(Network)})
    print("| tokens | ms, plain | ms, fast path | least, plain | least, fast path |\n|--:|--:|--:|--:|--:|")
    for n in map(int, options.tokens.split()):
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.turns):
            for session, taken in zip((own, lean), seconds, strict=True):
                taken += [timed(session, n) for _ in range(TURN)][WARM_UP:]
        cells = [1e3 * of(taken) for of in (median, min) for taken in seconds]
        print(f"| {n} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")


def timed(session: PromptSession, tokens: int) -> float:
    index = torch.arange(START, START + tokens)[None]
    began = time.perf_counter()
    session(Query(torch.zeros_like(index), index))
    return time.perf_counter() - began


if __name__ == "__main__":
    with torch.inference_mode():
        main()
