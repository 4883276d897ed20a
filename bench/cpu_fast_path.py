"""Seconds of a pass of a small model on a CPU: the plain network and the fast path (`fewpass.runtime.cpu`).

The two take turns, a dozen passes each. The first few of a turn find the other's weights in the caches: they do not
count.
"""

import argparse
import time
from statistics import median

import torch

from fewpass.core.protocol import Query
from fewpass.models import load_model
from fewpass.runtime.cpu import fast
from fewpass.runtime.session import PromptSession

TURN, LEFT_OUT = 12, 3
START = 100  # the first position asked about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--prompt", default="two stars on a blue background")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--tokens", default="1 17 33 65")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, torch.device("cpu"), torch.float32, {"attn_implementation": "sdpa"})
    given = [options.prompt], model.grid(None), options.guidance, [None]
    plain = model.open(*given)
    model.network = fast(model.network)
    fast_path = model.open(*given)
    print("| tokens | ms, plain | ms, fast | least, plain | least, fast |\n|--:|--:|--:|--:|--:|")
    for n in map(int, options.tokens.split()):
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.turns):
            for session, taken in zip((plain, fast_path), seconds, strict=True):
                taken += [timed(session, n) for _ in range(TURN)][LEFT_OUT:]
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
