"""Forward passes and seconds of every decoder against `ar`, and against transformers' own `generate`.

Temperature 1, every code allowed; from the prompt's text to pixels. The decoders take turns on each prompt,
so that a slow minute of the machine slows them all. A figure is the median over all images; a ratio is the median of
the ratios between two drawings of the same image. `fewpass bench` measures more; this prints a table in Markdown.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

import fewpass
from fewpass.bench.results import conditions, decoder_rows, ratio
from fewpass.bench.run import Benchmark
from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, draw
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.engine.trace import now
from fewpass.models.emoji import evaluation_prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--prompts", type=int, default=20, help="number of held-out prompts")
    parser.add_argument("--repetitions", type=int, default=1, help="drawings of each prompt")
    parser.add_argument("--decoders", default="; ".join(fewpass.RECIPES), help="spellings separated by ;")
    parser.add_argument("--windows", default="", help="windows for every decoder, such as '8 16 32'")
    parser.add_argument("--json", type=Path, help="file for the figures of every image")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = fewpass.load(options.model, options.device).model
    every = evaluation_prompts()
    prompts = [every[i * len(every) // options.prompts] for i in range(options.prompts)]
    task = Task(bind(model, GenerationOptions(guidance=options.guidance, temperature=1.0, top_k=0, top_p=1.0)), prompts)
    chosen = [fewpass.decoder(spelling) for spelling in spellings(options.decoders, options.windows)]
    bench, baseline = Benchmark(task, chosen, (), (), options.repetitions, 0), list[Drawn]()
    for number in range(-1, options.repetitions * options.prompts):
        print("warm-up" if number < 0 else f"image {number + 1}", flush=True)
        for decoder in chosen:
            bench.drawn[str(decoder)].append(draw(task, decoder, [max(number, 0)]))
        baseline.append(generate(task, max(number, 0)))
    for drawn in (*bench.drawn.values(), baseline):
        del drawn[0]  # the warm-up
    rows = [*decoder_rows(bench), baseline_row(bench, baseline)]
    for row, drawn in zip(rows, (*bench.drawn.values(), baseline), strict=True):
        row["faster_than_transformers"] = ratio(baseline, drawn, lambda d: d.seconds)
    print("", conditions(bench), "", table(rows), sep="\n")
    if options.json:
        options.json.write_text(json.dumps({"conditions": conditions(bench), "decoders": rows}, indent=1))


@torch.inference_mode()
def generate(task: Task, number: int) -> Drawn:
    """Draw an image with transformers' `generate` for Janus and the same weights."""
    s, network, device = task.settings, task.model.model, task.model.device
    prompt = task.prompts[number % len(task.prompts)]
    torch.manual_seed(number)
    began = now(device)
    ids = task.model.read(prompt, None, s.grid, 1)[0][None]
    sampling = {"do_sample": True, "attention_mask": torch.ones_like(ids), **asdict(s.sampling)}
    codes = network.generate(ids, generation_mode="image", guidance_scale=s.guidance, **sampling)
    drawn = now(device)
    network.decode_image_tokens(codes).cpu()
    return Drawn(codes.shape[1], 0.0, drawn - began, now(device) - drawn, None)


def baseline_row(bench: Benchmark, baseline: list[Drawn]) -> dict:
    """The row of transformers."""
    ar, seconds = bench.drawn["ar"], [d.seconds for d in baseline]
    return {
        "decoder": "transformers",
        "passes": baseline[0].passes,
        "seconds": median(seconds),
        "fewer_passes_than_ar": ratio(ar, baseline, lambda d: d.passes),
        "faster_than_ar": ratio(ar, baseline, lambda d: d.seconds),
    }


def spellings(decoders: str, windows: str) -> list[str]:
    """`ar` and the decoders listed; with `windows`, each decoder that has a window with each of them."""
    chosen = [str(fewpass.decoder(name)) for name in decoders.split(";")]
    if windows:
        names = [spelling.partition("(")[0] for spelling in chosen]
        windowed = [name for name in names if "window" in fewpass.RECIPES[name].parameters]
        chosen = [str(fewpass.decoder(f"{name}(window={w})")) for name in windowed for w in windows.split()]
    return list(dict.fromkeys(["ar", *chosen]))


def table(rows: list[dict]) -> str:
    """The table in Markdown; a ratio above 1 is an advantage of the decoder."""
    lines = ["| decoder | passes | fewer than ar | seconds | faster than ar | faster than transformers |"]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        kinds = ("fewer_passes_than_ar", "faster_than_ar", "faster_than_transformers")
        ratios = [f"{row[kind]:.2f}x" for kind in kinds]
        passes, seconds = row["passes"], row["seconds"]
        lines.append(f"| {row['decoder']} | {passes:g} | {ratios[0]} | {seconds:.2f} | {ratios[1]} | {ratios[2]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
