"""Stage 2: train the class-conditional transformer.

python -m training.photo.transformer --pictures runs/photo/pictures --vq runs/photo/vq/last --out runs/photo/gpt
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewpass.models.llamagen.network import LlamaGenForImageGeneration

from .. import checkpoint
from ..averaged import Averaged
from ..clock import Clock
from ..device import autocast, pick_device
from . import autoencoder
from .crops import Crops
from .shape import GRID, config
from .subjects import SUBJECTS

UNCONDITIONAL = 0.1  # share of the crops trained on without their class, for guidance
RATE = 3e-3
AVERAGE = 0.99  # decay of the weights' moving average
FRESH = 64  # crops per call of the encoder
SAVE_EVERY = 240.0  # seconds
TABLES = ("embed_tokens", "lm_head", "labels")  # for AdamW, not for Muon


def new_model(codes: Tensor) -> LlamaGenForImageGeneration:
    """New model; similar codes have similar embeddings and similar logits from the start."""
    torch.manual_seed(0)
    model = LlamaGenForImageGeneration(config())
    with torch.no_grad():
        for table, scale in ((model.get_input_embeddings(), 0.3), (model.lm_head, 0.03)):
            table.weight.mul_(0.2).add_(codes @ torch.randn(codes.shape[1], table.weight.shape[1]), alpha=scale)
        for layer in model.language_model.layers:
            for projection in (layer.self_attn.o_proj, layer.mlp.down_proj):
                projection.weight.mul_(0.3)
    return model


def positions(device: torch.device) -> Tensor:
    """Rows and columns of the inputs, -1 for the class: [2, 1, N]."""
    index = torch.arange(-1, GRID**2 - 1, device=device)
    return torch.stack([index // GRID, index % GRID]).masked_fill(index < 0, -1)[:, None]


def logits_of(model: LlamaGenForImageGeneration, labels: Tensor, tokens: Tensor) -> Tensor:
    """Logits [B, N, V] of all tokens [B, N] of images of the classes `labels` [B]."""
    inputs = torch.cat([model.labels(labels)[:, None], model.get_input_embeddings()(tokens[:, :-1])], 1)
    mask = torch.ones(inputs.shape[1], inputs.shape[1], dtype=torch.bool, device=inputs.device).tril()
    hidden = model.language_model(
        inputs_embeds=inputs,
        attention_mask=mask.expand(len(inputs), 1, -1, -1),
        position_ids=positions(inputs.device).expand(-1, len(inputs), -1),
        use_cache=False,
    ).last_hidden_state
    return model.lm_head(hidden)


def loss_of(model: LlamaGenForImageGeneration, labels: Tensor, tokens: Tensor) -> Tensor:
    """Cross-entropy, in nats per token."""
    return F.cross_entropy(logits_of(model, labels, tokens).float().flatten(0, 1), tokens.flatten())


class Stage(Averaged):
    """The transformer in training, and its state in a checkpoint."""

    def __init__(self, vq: autoencoder.Autoencoder, device: torch.device):
        self.model = new_model(vq.vq.codes.detach()).to(device)
        trained = {n: p for n, p in self.model.named_parameters() if not n.startswith("vqmodel.")}
        super().__init__(trained, TABLES)

    def step(self, labels: Tensor, tokens: Tensor, rate: float) -> float:
        device = next(self.model.parameters()).device
        with autocast(device):
            loss = loss_of(self.model, labels.to(device), tokens.to(device))
        self.optimizer.update(loss, rate)
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.trained.values()], 1 - AVERAGE)
        return loss.item()

    @torch.no_grad()
    def averaged(self) -> LlamaGenForImageGeneration:
        """A copy of the model with the averaged weights."""
        model = LlamaGenForImageGeneration(config()).to(next(self.model.parameters()).device)
        model.load_state_dict(self.model.state_dict())
        model.load_state_dict(self.average, strict=False)
        return model.eval()


class Encoded:
    """Classes and tokens of fresh crops, each used once."""

    def __init__(self, vq: autoencoder.Autoencoder, crops: Crops, rng: np.random.Generator, device: torch.device):
        self.vq, self.crops, self.rng, self.device = vq.to(device), crops, rng, device
        self.labels, self.tokens = torch.zeros(0, dtype=torch.long), torch.zeros(0, GRID**2, dtype=torch.long)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens [B, N]."""
        with autocast(self.device):
            return self.vq.index(self.vq.encoder(pixels.to(self.device))).flatten(1).cpu()

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Classes [count], some of them dropped for guidance, and tokens [count, N]."""
        while len(self.labels) < count:
            pixels, labels = self.crops.batch(self.rng, FRESH)
            dropped = torch.from_numpy(self.rng.random(FRESH) < UNCONDITIONAL)
            self.labels = torch.cat([self.labels, labels.masked_fill(dropped, len(SUBJECTS))])
            self.tokens = torch.cat([self.tokens, self.encode(pixels)])
        taken = self.labels[:count], self.tokens[:count]
        self.labels, self.tokens = self.labels[count:], self.tokens[count:]
        return taken


def main() -> None:
    given = parse_options()
    device = pick_device()
    given.out.mkdir(parents=True, exist_ok=True)
    vq = autoencoder.load(given.vq)
    stage, saved = Stage(vq, device), checkpoint.load(given.out / "last")
    if saved:
        stage.resume(saved)
    elif given.init:
        initial = checkpoint.load(given.init)
        assert initial is not None, given.init
        stage.start_from(initial["average"])
    clock = Clock(given.minutes, given.out, saved and saved["clock"], given.stop_after, SAVE_EVERY)
    crops = Crops(given.pictures)
    encoded = Encoded(vq, crops, np.random.default_rng([clock.step, 2]), device)
    held_pixels, held_labels = crops.held_out(2 * len(SUBJECTS))
    held_tokens, recent = encoded.encode(held_pixels), list[float]()

    def save() -> None:
        checkpoint.save(stage.state() | {"clock": clock.state()}, given.out / "last")
        with torch.no_grad():
            clock.log(held_out=loss_of(stage.averaged(), held_labels.to(device), held_tokens.to(device)).item())

    while clock.running:
        recent.append(stage.step(*encoded.batch(given.batch), given.rate * clock.rate()))
        if clock.tick():
            clock.log(loss=float(np.mean(recent)), rate=given.rate * clock.rate())
            recent.clear()
        if clock.save_due():
            save()
    save()


def parse_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=Path, required=True, help="folder that training.photo.fetch has filled")
    options.add_argument("--vq", type=Path, required=True, help="checkpoint folder of stage 1")
    options.add_argument("--minutes", type=float, default=80.0, help="budget over all runs of this stage")
    options.add_argument("--stop-after", type=float, help="minutes after which this run stops; the next run resumes it")
    options.add_argument("--batch", type=int, default=16, help="images in a step")
    options.add_argument("--rate", type=float, default=RATE, help="peak learning rate")
    options.add_argument("--init", type=Path, help="checkpoint folder of a transformer to start from")
    options.add_argument("--out", type=Path, required=True, help="folder for log and checkpoint")
    return options.parse_args()


if __name__ == "__main__":
    main()
