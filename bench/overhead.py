"""How much of a pass is not the model's: time outside the transformer's body and head, and in which part.

A LlamaGen of the chosen size with random weights: what a pass costs does not depend on them. The first passes, in which
memory is claimed and the prompt is read, are not counted.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from transformers.initialization import no_init_weights

import fewpass
from fewpass.models.llamagen import LlamaGen
from fewpass.models.llamagen_network import LlamaGenConfig, LlamaGenForImageGeneration
from fewpass.seeds import assign

# layers, heads, width
SIZES = {
    "small": (6, 8, 256),
    "B": (12, 12, 768),
    "L": (24, 16, 1024),
    "XL": (36, 20, 1280),
    "XXL": (48, 24, 1536),
}
VQ = {"num_embeddings": 16384, "channel_multiplier": [1, 1, 2, 2, 4]}
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="XL")
    parser.add_argument("--decoder", default="mc_sjd(window=15)", help="15 drafts and a token that is final")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--images", type=int, default=1, help="drawn together")
    parser.add_argument("--top-k", type=int, default=0, help="0 for every code")
    parser.add_argument("--guidance", type=float, default=7.5, help="1 for one row of the model an image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shares = measured(options)
    total = sum(shares.values())
    outside = total - shares["body"] - shares["head"]
    print(json.dumps({**vars(options), **{f"{part} seconds": round(each, 4) for part, each in shares.items()}}))
    print(f"outside the body and the head: {outside / total:.1%} of a pass of {total:.3f} s")


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds a pass spends in the body, in the head and elsewhere."""
    model = random_model(options)
    body, head = (Timed(part, model.device) for part in (model.network.body, model.network.head))
    model.network = replace(model.network, body=body, head=head)
    prompts = [model.random_prompt(1, torch.Generator().manual_seed(0))] * options.images
    passes: list[dict[str, float]] = []
    with torch.inference_mode():
        session = model.open(prompts, model.grid(None), options.guidance, [None] * options.images)
        seeds = torch.tensor(assign(0, options.images), device=model.device)
        started, before = now(model.device), (body.seconds, head.seconds)
        law = fewpass.Sampling(top_k=options.top_k)
        drawing = fewpass.decode(session, fewpass.decoder(options.decoder), law, seeds)
        for _canvas in drawing:
            took, inside = now(model.device) - started, (body.seconds - before[0], head.seconds - before[1])
            passes.append({"body": inside[0], "head": inside[1], "elsewhere": took - sum(inside)})
            started, before = now(model.device), (body.seconds, head.seconds)
            if len(passes) == WARM_UP + options.passes:
                break
    return {part: median(each[part] for each in passes[WARM_UP:]) for part in passes[0]}


def random_model(options: argparse.Namespace) -> LlamaGen:
    layers, heads, width = SIZES[options.size]
    hidden = -(-int(8 * width / 3) // 256) * 256
    shape = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": width}
    config = LlamaGenConfig(**shape, intermediate_size=hidden, vocab_size=16384, labels=1000, side=24, vq=VQ)
    config._attn_implementation = "sdpa"
    with no_init_weights():
        network = LlamaGenForImageGeneration(config).to(options.device, getattr(torch, options.dtype))
    chance = torch.Generator(options.device).manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.02, generator=chance)
    return LlamaGen(network, None, f"LlamaGen-{options.size} with random weights")


class Timed:
    def __init__(self, part: Callable, device: torch.device):
        self.part, self.device, self.seconds = part, device, 0.0

    def __call__(self, *inputs: object) -> torch.Tensor:
        started = now(self.device)
        result = self.part(*inputs)
        self.seconds += now(self.device) - started
        return result


def now(device: torch.device) -> float:
    """Seconds; on one thread those of the processor, which other users of the machine do not lengthen."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


if __name__ == "__main__":
    main()
