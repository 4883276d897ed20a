"""Seconds of a pass of a small model on a CPU: the plain network, the fast path and `torch.compile`.

They take turns, a dozen passes each. The first few of a turn are not counted, as the processor's caches hold the
weights of others. Models of other layouts than Llama's have no fast path (`fewpass.runtime.cpu`): the plain network
runs instead.
"""

import argparse
import time
from statistics import median

import torch

from fewpass.core.protocol import Query
from fewpass.io.machine import machine
from fewpass.models import load_model
from fewpass.runtime.compiled import compiled
from fewpass.runtime.cpu import fast
from fewpass.runtime.session import PromptSession

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
    parser.add_argument("--compile", action="store_true", help="time a compiled network too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, torch.device("cpu"), torch.float32, {"attn_implementation": "sdpa"})
    networks = {"plain": model.network, "fast": fast(model.network)}
    if options.compile:
        networks["compiled"] = compiled(model.network)
    sessions = dict[str, PromptSession]()
    for name, network in networks.items():
        model.network = network
        sessions[name] = model.open([options.prompt], model.grid(None), options.guidance, [None])
    print(machine(torch.device("cpu")), "\n")
    print("| tokens |", *(f"ms, {name} |" for name in networks), *(f"least, {name} |" for name in networks))
    print("|--:" * (1 + 2 * len(networks)) + "|")
    for n in map(int, options.tokens.split()):
        seconds: dict[str, list[float]] = {name: [] for name in networks}
        for session in sessions.values():
            timed(session, n)  # compiles the compiled network
        for _ in range(options.turns):
            for name, session in sessions.items():
                seconds[name] += [timed(session, n) for _ in range(TURN)][WARM_UP:]
        cells = [1e3 * of(taken) for of in (median, min) for taken in seconds.values()]
        print(f"| {n} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


def timed(session: PromptSession, tokens: int) -> float:
    index = torch.arange(START, START + tokens)[None]
    began = time.perf_counter()
    session(Query(torch.zeros_like(index), index))
    return time.perf_counter() - began


if __name__ == "__main__":
    with torch.inference_mode():
        main()
