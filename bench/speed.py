"""Forward passes and seconds of every decoder against autoregression, and against transformers' own `generate`.

Guidance 3, temperature 1, every code allowed; from the prompt's text to pixels. The contestants take turns on each
prompt, so that a slow minute of the machine slows them all. A figure is the median over all drawings; a ratio is the
median of the ratios between two drawings of the same prompt.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from transformers import AutoTokenizer

import fewpass
from fewpass.models import BUNDLED
from fewpass.models.emoji.scenes import held_out_prompts

GUIDANCE = 3.0
Contestant = Callable[[str, int], int]  # draws a prompt with a seed; how many forward passes it took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--prompts", type=int, default=20, help="how many, spread over the held-out ones")
    parser.add_argument("--repetitions", type=int, default=1, help="drawings of each prompt")
    parser.add_argument("--decoders", default="; ".join(fewpass.RECIPES), help="with ; between them")
    parser.add_argument("--windows", default="", help="such as '8 16 32': every decoder with each of these windows")
    parser.add_argument("--json", type=Path, help="a file for the figures of every drawing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipe = fewpass.load(options.model, options.device)
    every = held_out_prompts()
    prompts = [every[i * len(every) // options.prompts] for i in range(options.prompts)]
    contestants = {spelling: ours(pipe, spelling) for spelling in spellings(options.decoders, options.windows)}
    contestants["transformers"] = theirs(pipe, BUNDLED.get(options.model, options.model))
    for contestant in contestants.values():  # what a process does only once is not timed
        contestant(prompts[0], 0)
    drawings = []
    for number, prompt in enumerate(prompts):
        for seed in range(options.repetitions):
            for name, contestant in contestants.items():
                started = time.perf_counter()
                passes = contestant(prompt, seed)
                seconds = time.perf_counter() - started
                drawings.append({"name": name, "prompt": prompt, "seed": seed, "passes": passes, "seconds": seconds})
        print(f"{number + 1}/{len(prompts)} {prompt}", flush=True)
    where = machine(pipe)
    print("", ", ".join(f"{key}: {value}" for key, value in where.items()), "", table(drawings), sep="\n")
    if options.json:
        figures = {"machine": where, "model": options.model, "guidance": GUIDANCE, "drawings": drawings}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def spellings(decoders: str, windows: str) -> list[str]:
    """`ar`, and the decoders listed; if there are windows, those that have one with each of them."""
    chosen = [str(fewpass.decoder(name)) for name in decoders.split(";")]
    if windows:
        names = [spelling.partition("(")[0] for spelling in chosen]
        windowed = [name for name in names if "window" in fewpass.RECIPES[name].parameters]
        chosen = [str(fewpass.decoder(f"{name}(window={w})")) for name in windowed for w in windows.split()]
    return list(dict.fromkeys(["ar", *chosen]))


def ours(pipe: fewpass.Pipeline, spelling: str) -> Contestant:
    law = {"guidance": GUIDANCE, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return lambda prompt, seed: int(pipe(prompt, decoder=spelling, seed=seed, **law).trace.passes[0])


def theirs(pipe: fewpass.Pipeline, folder: str | Path) -> Contestant:
    """The same weights in the hands of transformers."""
    model, tokenizer = pipe.model.model, AutoTokenizer.from_pretrained(folder)
    begin = model.generation_config.generation_kwargs["boi_token_id"]
    law = {"do_sample": True, "guidance_scale": GUIDANCE, "temperature": 1.0, "top_k": 0, "top_p": 1.0}

    @torch.inference_mode()
    def draw(prompt: str, seed: int) -> int:
        torch.manual_seed(seed)
        ids = torch.tensor([[*tokenizer(prompt).input_ids, begin]], device=model.device)
        tokens = model.generate(ids, attention_mask=torch.ones_like(ids), generation_mode="image", **law)
        model.decode_image_tokens(tokens).cpu()
        return tokens.shape[1]

    return draw


def table(drawings: list[dict]) -> str:
    """In Markdown; the ratios say how many times less than the other a decoder needs."""
    by_name: dict[str, list[dict]] = {}
    for drawing in drawings:
        by_name.setdefault(drawing["name"], []).append(drawing)

    def ratio(name: str, other: str, what: str) -> str:
        return f"{median(b[what] / a[what] for a, b in zip(by_name[name], by_name[other], strict=True)):.2f}x"

    lines = ["| decoder | passes | fewer than ar | seconds | faster than ar | faster than transformers |"]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    for name, mine in by_name.items():
        passes, seconds = (median(drawing[what] for drawing in mine) for what in ("passes", "seconds"))
        ratios = [ratio(name, "ar", "passes"), ratio(name, "ar", "seconds"), ratio(name, "transformers", "seconds")]
        lines += [f"| {name} | {passes:g} | {ratios[0]} | {seconds:.2f} | {ratios[1]} | {ratios[2]} |"]
    return "\n".join(lines)


def machine(pipe: fewpass.Pipeline) -> dict[str, object]:
    cpus = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(": ")[1] for line in cpus.splitlines() if line.startswith("model name")]
    on_gpu = pipe.model.device.type == "cuda"
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(pipe.model.device) if on_gpu else "cpu",
        "torch": torch.__version__,
        "load of the machine": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
