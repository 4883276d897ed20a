"""Scores of rendered scenes, of scenes decoded from tokens, and of drawn images; divergences of the distributions.

python -m training.score --model DIR --out DIR
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from transformers import JanusForConditionalGeneration

from training.scenes import held_out_prompts, parse

from .device import pick_device
from .draw import decode, draw, save_sheet
from .encoder import encode_images
from .likelihood import excess, logits_of
from .next_token import next_token_distribution
from .object_tokens import ObjectTokens
from .pool import pixels
from .presets import GUIDANCE, PRESETS, Preset
from .render import place
from .scorer import score
from .words import encode

BATCH = 25


def true_images(model: JanusForConditionalGeneration | None, prompts: list[str], preset: Preset) -> np.ndarray:
    """Rendered scenes, encoded and decoded if a model is given: uint8 [B, H, W, 3]."""
    images = pixels([parse(prompt) for prompt in prompts], preset, np.random.default_rng(11))
    if model is None:
        return ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return decode(model, encode_images(model.model.vqmodel, images))


def composed_images(model: JanusForConditionalGeneration, prompts: list[str], preset: Preset, out: Path) -> np.ndarray:
    """Decoded scenes whose tokens are composed of those of objects, as in the training of the transformer."""
    object_tokens, rng = ObjectTokens.cached(model.model.vqmodel, preset, out), np.random.default_rng(11)
    return decode(model, torch.stack([object_tokens.random_image(parse(prompt), rng) for prompt in prompts]))


@torch.no_grad()
def excess_nats(model: JanusForConditionalGeneration, prompts: list[str], preset: Preset, out: Path) -> dict:
    """Divergence of the model from the true distribution of training scenes: mean nats per image, by kind of prompt."""
    object_tokens, rng = ObjectTokens.cached(model.model.vqmodel, preset, out), np.random.default_rng(11)
    found: dict[str, list[tuple[float, float]]] = {}
    for prompt in prompts:
        scene = parse(prompt)
        placed = place(scene, preset, rng)
        tokens = object_tokens.compose(placed, scene.background)[None]
        target = [torch.from_numpy(each)[None] for each in next_token_distribution(scene, placed, object_tokens)]
        logits = logits_of(model, torch.tensor([encode(prompt)]), tokens)
        whether, which = (nats.sum().item() for nats in excess(logits, *target))
        found.setdefault(scene.kind, []).append((whether, which))
    means = {kind: np.mean(nats, axis=0).round(3).tolist() for kind, nats in found.items()}
    return {kind: {"whether": whether, "which": which} for kind, (whether, which) in means.items()}


def drawn_images(
    model: JanusForConditionalGeneration, prompts: list[str], guidance: float, temperature: float, seed: int
) -> np.ndarray:
    parts = [prompts[i : i + BATCH] for i in range(0, len(prompts), BATCH)]
    tokens = [draw(model, part, guidance, temperature, seed * 1000 + number) for number, part in enumerate(parts)]
    return decode(model, torch.cat(tokens))


def report(images: np.ndarray, prompts: list[str]) -> dict:
    """Shares of correct images per kind of prompt and per part of the verdict, and the objects seen in wrong images."""
    kinds = np.array([parse(prompt).kind for prompt in prompts])
    verdicts = [score(image, prompt) for image, prompt in zip(images, prompts, strict=True)]
    correct = np.array([verdict.correct for verdict in verdicts])
    shares = {kind: round(float(correct[kinds == kind].mean()), 4) for kind in dict.fromkeys(kinds.tolist())}
    parts = {
        part: float(np.mean([getattr(v, part) for v in verdicts]))
        for part in ("background", "objects", "count", "relation")
    }
    wrong = {prompt: v.seen for prompt, v in zip(prompts, verdicts, strict=True) if not v.correct}
    return {"all": round(float(correct.mean()), 4), **shares, "parts": parts, "wrong": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an exported model")
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-true", action="store_true", help="score rendered and decoded scenes, draw nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = JanusForConditionalGeneration.from_pretrained(options.model).to(pick_device()).eval()
    prompts, preset = list(held_out_prompts()), PRESETS[options.preset]
    pictures = {"rendered": true_images(None, prompts, preset), "reconstructed": true_images(model, prompts, preset)}
    if preset.on_lattice:
        pictures["composed"] = composed_images(model, prompts, preset, options.out)
        (options.out / "excess.json").write_text(json.dumps(excess_nats(model, prompts, preset, options.out), indent=1))
    if not options.only_true:
        pictures["drawn"] = drawn_images(model, prompts, options.guidance, options.temperature, options.seed)
    for name, images in pictures.items():
        save_sheet(images, options.out / f"{name}.png", columns=20)
        (options.out / f"{name}.json").write_text(json.dumps(report(images, prompts), indent=1))


if __name__ == "__main__":
    main()
