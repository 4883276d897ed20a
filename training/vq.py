"""Stage 1: train the VQ tokenizer.

python -m training.vq --preset cpu --minutes 20 --out runs/vq
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers.models.janus.modeling_janus import JanusVQVAE

from . import checkpoint
from .architecture import new_vq
from .clock import Clock
from .codebook import Codebook
from .crops import batch
from .device import autocast, pick_device
from .muon import Pair
from .presets import PRESETS, Preset
from .sources import vq_weights

CONTINUOUS = 0.06  # share of the time in which latents are not quantised
WHOLE = 0.7  # share of the time after which batches are whole images instead of crops
COMMITMENT = 0.25
EDGES = ("encoder.conv_in.weight", "decoder.conv_out.weight")  # layers next to the pixels: for AdamW, not for Muon


def reconstruction_loss(y: Tensor, x: Tensor, w: Tensor) -> Tensor:
    """L1 + L2 on pixels, and L1 on differences of neighbouring pixels, for sharp edges."""
    error = y - x
    edges = (w[..., 1:] * error.diff(dim=-1).abs()).mean() + (w[..., 1:, :] * error.diff(dim=-2).abs()).mean()
    return (w * (error.abs() + error.square())).mean() + edges


def latents(model: JanusVQVAE, x: Tensor) -> Tensor:
    return F.normalize(model.quant_conv(model.encoder(x)).float(), dim=1)  # [B, D, h, w]


def flat(z: Tensor) -> Tensor:
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])


def quantise(z: Tensor, book: Codebook) -> tuple[Tensor, Tensor, Tensor]:
    """Codes with a straight-through gradient, the commitment loss, and the indices of the codes [B * h * w]."""
    index = book.index(flat(z.detach()))
    q = book.codes[index].view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2)
    return z + (q - z).detach(), (z - q).square().sum(1).mean(), index


@torch.no_grad()
def fit(book: Codebook, model: JanusVQVAE, preset: Preset, rng: np.random.Generator, device: torch.device) -> None:
    """Initialise the codebook by k-means on the latents of the continuous autoencoder."""
    parts = [batch(preset, rng, 64, preset.vq_crop)[0] for _ in range(8)]
    book.fit(torch.cat([flat(latents(model, x.to(device))) for x in parts]))


@torch.no_grad()
def sheet(model: JanusVQVAE, book: Codebook, preset: Preset, path: Path, device: torch.device) -> float:
    """Write images above their reconstructions, always of the same scenes; returns the loss on them."""
    x, w = batch(preset, np.random.default_rng(7), 16, preset.image)
    x, w = x.to(device), w.to(device)
    z, _, _ = quantise(latents(model, x), book)
    y = model.decoder(model.post_quant_conv(z)).float()
    rows = [torch.cat(list(part), dim=2) for part in (x[:8], y[:8], x[8:], y[8:])]
    pixels = ((torch.cat(rows, dim=1).clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path)
    return float(reconstruction_loss(y, x, w))


def step(model: JanusVQVAE, book: Codebook, x: Tensor, w: Tensor, fitted: bool) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch, and the values to log; updates the codebook."""
    with autocast(x.device):
        z = latents(model, x)
    q, commitment, index = quantise(z, book) if fitted else (z, torch.zeros(()), None)
    with autocast(x.device):
        y = model.decoder(model.post_quant_conv(q))
    pixels = reconstruction_loss(y.float(), x, w)
    if index is not None:
        book.update(flat(z.detach()), index)
    shown = {"loss": pixels.item(), "commitment": commitment.item(), "codes": (book.idle < 100).sum().item()}
    return pixels + COMMITMENT * commitment, shown


@torch.no_grad()
def whiten(model: JanusVQVAE, preset: Preset, rng: np.random.Generator, device: torch.device) -> None:
    """Initialise `quant_conv` as whitening of the encoder's features, so that latents differ from the start.

    The features of a random encoder share a large constant part; without whitening all latents would be nearly equal.
    """
    features = flat(model.encoder(batch(preset, rng, 64, preset.vq_crop)[0].to(device)))
    mean = features.mean(0)
    values, vectors = torch.linalg.eigh((features - mean).T.cov())
    top = (vectors / values.clamp(min=1e-8).sqrt()).T[-preset.code_dim :]  # [D, channels]
    model.quant_conv.weight.copy_(top[..., None, None])
    model.quant_conv.bias.copy_(-top @ mean)


class Stage:
    """The image tokenizer in training: model, codebook and optimizer, and their state in a checkpoint."""

    def __init__(self, preset: Preset, device: torch.device):
        torch.manual_seed(0)
        self.model = new_vq(preset).to(device, memory_format=torch.channels_last)
        self.book = Codebook(self.model.quantize.embedding.weight.data)
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        matrices = [p for name, p in trained.items() if p.ndim == 4 and name not in EDGES]
        rest = [p for name, p in trained.items() if p.ndim < 4 or name in EDGES]
        self.optimizer = Pair(matrices, rest)
        self.fitted = False

    def state(self) -> dict:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "book", "optimizer")}
        return parts | {"fitted": self.fitted}

    def resume(self, state: dict) -> None:
        for name in ("model", "book", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.fitted = state["fitted"]

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Copy weights only: the optimizer state of another run does not fit the new schedule."""
        self.model.load_state_dict(weights)
        self.book.total.copy_(self.book.codes)
        self.fitted = True


def main() -> None:
    options = parse_options()
    preset, out, device = PRESETS[options.preset], options.out, pick_device()
    out.mkdir(parents=True, exist_ok=True)
    stage, saved = Stage(preset, device), checkpoint.load(out / "last")
    if saved:
        stage.resume(saved)
    elif options.init:
        stage.start_from(vq_weights(options.init))
    else:
        whiten(stage.model, preset, np.random.default_rng(0), device)
    clock = Clock(options.minutes, out, saved, options.stop_after)
    rng = np.random.default_rng(clock.step)
    crops = preset.vq_batch * (preset.image // preset.vq_crop) ** 2

    def save() -> None:
        checkpoint.save(stage.state() | clock.state(), out / "last")
        clock.log(sheet=sheet(stage.model, stage.book, preset, out / "sheet.png", device))

    while clock.running:
        if not stage.fitted and clock.fraction > CONTINUOUS:
            fit(stage.book, stage.model, preset, rng, device)
            stage.fitted = True
        whole = clock.fraction > WHOLE
        side, number = (preset.image, preset.vq_batch) if whole else (preset.vq_crop, crops)
        x, w = (t.to(device) for t in batch(preset, rng, number, side))
        loss, shown = step(stage.model, stage.book, x, w, stage.fitted)
        stage.optimizer.update(loss, options.rate * clock.rate())
        if clock.tick():
            clock.log(side=side, **shown)
        if clock.save_due():
            save()
    save()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, log, sample sheet; resumed if there")
    parser.add_argument("--stop-after", type=float, help="minutes after which this run stops; the next run resumes it")
    parser.add_argument("--init", type=Path, help="a checkpoint folder, or an exported model, to start from")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    return parser.parse_args()


if __name__ == "__main__":
    main()
