"""How near passes come to the least they can take, with a published shape, random weights and `compile=True`.

    python bench/device.py --shape janus-pro-7b           # a pass of one token against reading the weights once
    python bench/device.py --shape lumina-mgpt-7b-768     # an image against `ar` over the eager body

Meant for a GPU; with `--device cpu --shape llamagen-small --plain` it runs anywhere. One guided image. The bandwidth is
that of copying memory here. Random weights say what a pass costs and not how many there are: their number is once that
of 4.2 tokens a pass, as published for maximal coupling, and once what the bundled model wins here. Prompts and pictures
are not in the seconds.
"""

import argparse
from statistics import median

import torch
from torch import nn

import fewpass
from fewpass.bench.clock import now
from fewpass.bench.passes import time_passes
from fewpass.bench.shape import shape_names, untrained
from fewpass.bench.task import Task, random_prompts
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.io.machine import machine
from fewpass.models.base import Model
from fewpass.models.emoji.scenes import held_out_prompts
from fewpass.runtime.compiled import compiled
from fewpass.runtime.device import chosen_device

PUBLISHED = 4.2  # tokens a pass of maximal coupling, as its authors report them
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
    print("| what | ms | against |\n|---|--:|---|")
    print(f"| reading {read / 2**30:.2f} GiB of weights once | {1e3 * reading:.2f} | |")
    print(f"| a pass of one token | {1e3 * one:.2f} | {one / reading:.2f} times reading them |")
    print(f"| a pass of {options.window + 1} tokens | {1e3 * several:.2f} | {several / one:.2f} times one token |")
    print(f"| a pass of one token, eager | {1e3 * eager:.2f} | |")
    for source, won in (
        ("as published", PUBLISHED),
        ("as the bundled model wins them", tokens_per_pass(options.window)),
    ):
        taken = task.tokens / won * several
        print(
            f"| an image, {won:.1f} tokens a pass, {source} | {1e3 * taken:.0f} "
            f"| {task.tokens * eager / taken:.2f} times as fast as eager `ar` |"
        )


def seconds(task: Task, window: int, passes: int) -> float:
    """Of a pass with so many drafts; the first third, in which kernels are made and memory is claimed, is left out."""
    timed = [
        each.seconds for each in time_passes(task, fewpass.decoder(f"jacobi({window})"), passes) if each.body is None
    ]
    return median(timed[len(timed) // 3 :])


def weights(model: Model) -> int:
    """Bytes of the weights that a pass reads: those of the body, without its table of embeddings, and of the head."""
    network = model.network
    parts = [network.body.model, *([network.head] if isinstance(network.head, nn.Module) else [])]
    tables = {id(module.weight) for part in parts for module in part.modules() if isinstance(module, nn.Embedding)}
    read = {id(weight): weight.nbytes for part in parts for weight in part.parameters() if id(weight) not in tables}
    return sum(read.values())


def bandwidth(device: torch.device) -> float:
    """Bytes per second that are read and written when memory is copied."""
    source = torch.zeros(2**30 if device.type == "cuda" else 2**27, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    began = now(device)
    for _ in range(COPIES):
        target.copy_(source)
    return 2 * COPIES * source.nbytes / (now(device) - began)


def tokens_per_pass(window: int) -> float:
    """Of the bundled model with its fewest passes, over some held-out prompts."""
    pipe = fewpass.load("emoji", "cpu")
    return float(pipe(held_out_prompts()[:6], seed=0, decoder=f"jacobi_ngram({window})").trace.tokens_per_pass.mean())


if __name__ == "__main__":
    main()
