"""Stage 1b, for presets whose objects are aligned with the tokens: fine-tune the decoder on composed scenes.

python -m training.polish --preset cpu --init runs/vq/last --minutes 10 --out runs/polish

Encoder and codebook, and so all tokens, stay the same: this may run after the transformer's training, or beside it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import checkpoint
from .architecture import new_vq
from .clock import Clock
from .crops import OBJECT_WEIGHT
from .device import autocast, pick_device
from .draw import save_sheet
from .muon import Pair
from .object_tokens import ObjectTokens
from .presets import PRESETS, Preset
from .render import paint, place
from .sampler import random_scene
from .sources import vq_weights
from .vq import EDGES, reconstruction_loss

TRAINED = ("decoder.", "post_quant_conv.")


def batch(object_tokens: ObjectTokens, rng: np.random.Generator, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of composed scenes [B, N], their pixels in -1..1 [B, 3, H, W] and the loss weights [B, 1, H, W]."""
    tokens, pixels, weights = [], [], []
    for _ in range(number):
        scene = random_scene(rng)
        placed = place(scene, object_tokens.preset, rng)
        image, covered = paint(placed, scene.background, object_tokens.preset.image)
        tokens.append(object_tokens.compose(placed, scene.background))
        pixels.append(image)
        weights.append(covered)
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    w = 1 + (OBJECT_WEIGHT - 1) * torch.from_numpy(np.stack(weights)).float()[:, None]
    return torch.stack(tokens), x.to(memory_format=torch.channels_last), w / w.mean()


class Stage:
    """The decoder in training: model and optimizer, and their state in a checkpoint."""

    def __init__(self, preset: Preset, weights: dict[str, Tensor], device: torch.device):
        self.model = new_vq(preset)
        self.model.load_state_dict(weights)
        self.model = self.model.to(device, memory_format=torch.channels_last)
        for name, p in self.model.named_parameters():
            p.requires_grad_(p.requires_grad and name.startswith(TRAINED))
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        matrices = [p for name, p in trained.items() if p.ndim == 4 and name not in EDGES]
        rest = [p for name, p in trained.items() if p.ndim < 4 or name in EDGES]
        self.optimizer = Pair(matrices, rest)

    def state(self) -> dict:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def resume(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def loss(self, tokens: Tensor, x: Tensor, w: Tensor) -> Tensor:
        with autocast(x.device):
            y = self.model.decode(tokens)
        return reconstruction_loss(y.float(), x, w)

    @torch.no_grad()
    def sheet(self, object_tokens: ObjectTokens, path: Path) -> float:
        """Write reconstructions, always of the same scenes; returns the loss on them."""
        tokens, x, w = batch(object_tokens, np.random.default_rng(7), 16)
        y = self.model.decode(tokens)
        save_sheet(((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy(), path)
        return float(reconstruction_loss(y, x, w))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--init", type=Path, required=True, help="stage 1's checkpoint folder, or an exported model")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--stop-after", type=float, help="minutes after which this run stops; the next run resumes it")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, log, sample sheet; resumed if there")
    parser.add_argument("--rate", type=float, default=5e-4, help="peak learning rate")
    options = parser.parse_args()
    preset, out, device = PRESETS[options.preset], options.out, pick_device()
    out.mkdir(parents=True, exist_ok=True)
    stage, saved = Stage(preset, vq_weights(options.init), device), checkpoint.load(out / "last")
    object_tokens = ObjectTokens.cached(stage.model, preset, out)
    if saved:
        stage.resume(saved)
    clock = Clock(options.minutes, out, saved, options.stop_after)
    rng = np.random.default_rng(clock.step)

    def save() -> None:
        checkpoint.save(stage.state() | clock.state(), out / "last")
        clock.log(sheet=stage.sheet(object_tokens, out / "sheet.png"))

    while clock.running:
        loss = stage.loss(*(t.to(device) for t in batch(object_tokens, rng, preset.vq_batch)))
        stage.optimizer.update(loss, options.rate * clock.rate())
        if clock.tick():
            clock.log(loss=loss.item())
        if clock.save_due():
            save()
    save()


if __name__ == "__main__":
    main()
