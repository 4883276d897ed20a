"""Stage 2: train the transformer.

python -m training.transformer --preset cpu --vq runs/vq/last --minutes 60 --out runs/janus
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import JanusForConditionalGeneration

from . import checkpoint
from .architecture import new_janus, new_vq
from .averaged import Averaged
from .clock import Clock
from .composed import ComposedScenes
from .device import autocast, pick_device
from .likelihood import loss_of
from .monitor import Monitor
from .object_tokens import ObjectTokens
from .pool import Pool
from .presets import PRESETS, Preset
from .sources import transformer_weights, vq_weights

GROUPS = 2  # batches of a step, each with prompts of one length
SAVE_EVERY = 300.0  # seconds; saving and the held-out loss take about ten
SHEET_EVERY = 3  # checkpoints
AVERAGE = 0.99  # decay of the weights' moving average
TABLES = ("embed_tokens", "generation_embeddings", "generation_aligner.fc1", "vision_head")  # for AdamW, not for Muon
UNTRAINED = ("model.vqmodel.", "model.vision_model.", "model.aligner.")


class Stage(Averaged):
    """The transformer in training, and its state in a checkpoint. Its image tokenizer is that of stage 1, frozen."""

    def __init__(self, preset: Preset, vq: Path, device: torch.device):
        torch.manual_seed(0)
        self.vq = new_vq(preset)
        self.vq.load_state_dict(vq_weights(vq))
        self.model = new_janus(preset, self.vq).to(device)
        self.vq = self.vq.to(device, memory_format=torch.channels_last).eval()
        trained = {n: p for n, p in self.model.named_parameters() if not n.startswith(UNTRAINED)}
        super().__init__(trained, TABLES)

    def step(self, scenes: Pool | ComposedScenes, batch: int, rate: float) -> float:
        device, losses = next(self.model.parameters()).device, []
        for _ in range(GROUPS):
            group = (each.to(device) for each in scenes.group(batch // GROUPS))
            with autocast(device):
                losses.append(loss_of(self.model, *group))
        loss = torch.stack(losses).mean()
        self.optimizer.update(loss, rate)
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.trained.values()], 1 - AVERAGE)
        return loss.item()

    @torch.no_grad()
    def averaged(self) -> JanusForConditionalGeneration:
        """A copy of the model with the averaged weights."""
        model = JanusForConditionalGeneration(self.model.config).to(next(self.model.parameters()).device)
        model.load_state_dict(self.model.state_dict())
        model.load_state_dict(self.average, strict=False)
        return model.eval()


def main() -> None:
    options = parse_options()
    preset, out, device = PRESETS[options.preset], options.out, pick_device()
    out.mkdir(parents=True, exist_ok=True)
    stage, saved = Stage(preset, options.vq, device), checkpoint.load(out / "last")
    if saved:
        stage.resume(saved)
    elif options.init:
        stage.start_from(transformer_weights(options.init))
    clock = Clock(options.minutes, out, saved, options.stop_after, SAVE_EVERY)
    rng = np.random.default_rng(clock.step + 1)
    object_tokens = ObjectTokens.cached(stage.vq, preset, out) if preset.on_lattice else None
    scenes = ComposedScenes(object_tokens, rng) if object_tokens else Pool(stage.vq, preset, rng)
    monitor = Monitor(stage.vq, preset, object_tokens, out)
    saves, recent = 0, []

    def save(final: bool) -> None:
        checkpoint.save(stage.state() | clock.state(), out / "last")
        model = stage.averaged()
        clock.log(held_out=monitor.loss(model))
        if final or saves % SHEET_EVERY == 0:
            monitor.sheet(model, f"sheet-{clock.step:06d}.png")

    while clock.running:
        recent.append(stage.step(scenes, preset.batch, options.rate * clock.rate()))
        if clock.tick():
            clock.log(loss=float(np.mean(recent)), rate=options.rate * clock.rate())
            recent.clear()
        if clock.save_due():
            saves += 1
            save(final=False)
    save(final=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--vq", type=Path, required=True, help="checkpoint folder of stage 1, or an exported model")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, log, sample sheets; resumed if there")
    parser.add_argument("--stop-after", type=float, help="minutes after which this run stops; the next run resumes it")
    parser.add_argument("--init", type=Path, help="a checkpoint folder, or an exported model, to start from")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    return parser.parse_args()


if __name__ == "__main__":
    main()
