"""Seconds of passes against the time to read the weights once, with a published shape and `compile=True`.

    python bench/device.py --shape janus-pro-7b           # a pass of one token against reading the weights once
    python bench/device.py --shape lumina-mgpt-7b-768     # an image against `ar` over the eager body

Meant for a GPU; `--device cpu --shape llamagen-small --plain` runs anywhere. One guided image. The bandwidth is
measured by copying memory. Random weights give the seconds of a pass only; the number of passes is computed
from 4.2 tokens per pass, as published for maximal coupling, and from the tokens per pass of the bundled model.
Prefill and pixels are not in the seconds.
"""

import argparse
from statistics import median

import torch
from torch import nn

import fewpass
from fewpass.bench.shape import shape_names, untrained
from fewpass.bench.task import Task, random_prompts
from fewpass.bench.timing import time_passes
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.engine.trace import now
from fewpass.io.machine import machine
from fewpass.models.base import Model
from fewpass.models.emoji import evaluation_prompts
from fewpass.runtime.compiled import compiled
from fewpass.runtime.device import chosen_device

PUBLISHED = 4.2  # tokens per pass of maximal coupling (arXiv 2510.24211)
COPIES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=shape_names(), default="janus-pro-7b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--passes", type=int, default=32)
    parser.add_argument("--plain", action="store_true", help="without torch.compile")
    options = parser.parse_args()
    try:
        device = chosen_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    model = untrained(options.shape, device, getattr(torch, options.dtype))
    task = Task(bind(model, GenerationOptions(temperature=1.0, top_k=0, top_p=1.0)), random_prompts(model, 1))
    eager, read = seconds(task, 0, options.passes), weights(model)
    reading = read / bandwidth(device)
    if not options.plain:
        model.network = compiled(model.network)
    one, several = (seconds(task, window, options.passes) for window in (0, options.window))
    print(f"{options.shape}, {options.dtype}, {'eager' if options.plain else 'compiled'}; {machine(device)}\n")
    print("| measured | ms | against |\n|---|--:|---|")
    print(f"| reading {read / 2**30:.2f} GiB of weights once | {1e3 * reading:.2f} | |")
    print(f"| a pass of one token | {1e3 * one:.2f} | {one / reading:.2f} times reading them |")
    print(f"| a pass of {options.window + 1} tokens | {1e3 * several:.2f} | {several / one:.2f} times one token |")
    print(f"| a pass of one token, eager | {1e3 * eager:.2f} | |")
    for source, tokens in (
        ("as published", PUBLISHED),
        ("of the bundled model", tokens_per_pass(options.window)),
    ):
        taken = task.tokens / tokens * several
        print(
            f"| an image, {tokens:.1f} tokens a pass, {source} | {1e3 * taken:.0f} "
            f"| {task.tokens * eager / taken:.2f} times as fast as eager `ar` |"
        )


def seconds(task: Task, window: int, passes: int) -> float:
    """Seconds of a pass with `window` drafts; the first third is the warm-up."""
    timed = [each.seconds for each in time_passes(task, fewpass.decoder(f"jacobi({window})"), passes)]
    return median(timed[len(timed) // 3 :])


def weights(model: Model) -> int:
    """Bytes of the weights that a pass reads: body without embedding table, and head."""
    network = model.network
    parts = [network.body.model, *([network.head] if isinstance(network.head, nn.Module) else [])]
    tables = {id(module.weight) for part in parts for module in part.modules() if isinstance(module, nn.Embedding)}
    read = {id(weight): weight.nbytes for part in parts for weight in part.parameters() if id(weight) not in tables}
    return sum(read.values())


def bandwidth(device: torch.device) -> float:
    """Bytes per second read and written by a copy of memory."""
    source = torch.zeros(2**30 if device.type == "cuda" else 2**27, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    began = now(device)
    for _ in range(COPIES):
        target.copy_(source)
    return 2 * COPIES * source.nbytes / (now(device) - began)


def tokens_per_pass(window: int) -> float:
    """Tokens per pass of the bundled model on some held-out prompts."""
    pipe = fewpass.load("emoji", "cpu")
    return float(pipe(evaluation_prompts()[:6], seed=0, decoder=f"jacobi_ngram({window})").trace.tokens_per_pass.mean())


if __name__ == "__main__":
    main()
