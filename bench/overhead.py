"""Seconds of a pass inside the model, and outside it, where tokens are sampled and verified.

A LlamaGen of the chosen size with random weights, which have no effect on the seconds. The prefill and a warm-up pass
are not counted. `fewpass bench --random llamagen-xl` measures the same by window.
"""

import argparse
import json
from statistics import median

import torch

import fewpass
from fewpass.bench.shape import untrained
from fewpass.bench.task import Task, random_prompts
from fewpass.bench.timing import time_passes
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("small", "B", "L", "XL", "XXL", "3B"), default="XL")
    parser.add_argument("--decoder", default="mc_sjd(window=15)", help="spelling of a decoder")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=1, help="images in the batch")
    parser.add_argument("--top-k", type=int, default=0, help="0 is every code")
    parser.add_argument("--guidance", type=float, default=7.5, help="guidance scale; 1 is one row per image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    model = untrained(f"llamagen-{options.size.lower()}", device, getattr(torch, options.dtype))
    settings = bind(
        model, GenerationOptions(guidance=options.guidance, temperature=1.0, top_k=options.top_k, top_p=1.0)
    )
    task = Task(settings, random_prompts(model, 1))
    timed = time_passes(task, fewpass.decoder(options.decoder), options.passes, options.batch_size)
    total, inside = median(each.seconds for each in timed), median(each.model_seconds for each in timed)
    print(json.dumps({**vars(options), "seconds": round(total, 4), "model seconds": round(inside, 4)}))
    print(f"outside the model: {1 - inside / total:.1%} of a pass of {total:.3f} s")


if __name__ == "__main__":
    main()
