"""Stage 1: train the image tokenizer.

python -m training.photo.autoencoder --pictures runs/photo/pictures --minutes 45 --out runs/photo/vq

An autoencoder with continuous latents comes first. Its latents are then clustered on the unit sphere (k-means), and
only the decoder is trained further, on the codes. So all codes are in use, and the tokens of a crop no longer change.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers.models.janus.configuration_janus import JanusVQVAEConfig

from fewpass.models.llamagen.network import NormalizedVq

from .. import checkpoint
from ..clock import Clock
from ..codebook import Codebook
from ..device import autocast, pick_device
from ..muon import Pair
from ..vq_blocks import Shortcut
from .crops import SIDE, Crops
from .shape import CODE_WIDTH, VQ

WHOLE = (0.4, 0.85)  # shares of the time from which crops are whole images: before and after k-means
PART = 64  # pixels of a smaller crop
CONTINUOUS = 0.5  # share of the time before k-means
RATE = 2e-3
NOISE = 0.15  # on continuous latents of length one, so that the decoder is smooth in them
FITTED = 400_000  # latents that the codes are fitted to


class Block(nn.Module):
    """A residual block without norms, which would remove flat colours."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class Encoder(nn.Module):
    """Pixels [B, 3, 8 h, 8 w] to latents [B, CODE_WIDTH, h, w] of length one. It is not exported."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 4, stride=4),
            Block(64),
            nn.Conv2d(64, 128, 2, stride=2),
            Block(128),
            Block(128),
            nn.SiLU(),
            nn.Conv2d(128, CODE_WIDTH, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.layers(x).float(), dim=1)


class Autoencoder(nn.Module):
    """The encoder, and codebook and decoder in LlamaGen's architecture."""

    def __init__(self) -> None:
        super().__init__()
        config = JanusVQVAEConfig(**VQ)
        self.encoder, self.vq = Encoder(), NormalizedVq(config)
        blocks = self.vq.decoder.up[-1].block  # a block at full resolution takes as long as all blocks at half
        blocks[0] = Shortcut(config, blocks[0].in_channels, blocks[0].out_channels)
        self.vq.quantize.embedding.weight.requires_grad_(False)
        keep_variance(self)

    def decode(self, latents: Tensor) -> Tensor:
        return self.vq.decoder(self.vq.post_quant_conv(latents)).float()

    def index(self, latents: Tensor) -> Tensor:
        """Indices [B, h, w] of the codes nearest to latents."""
        return torch.einsum("bdhw,vd->bhwv", latents, self.vq.codes).argmax(-1)

    def quantised(self, latents: Tensor) -> Tensor:
        return F.embedding(self.index(latents), self.vq.codes).permute(0, 3, 1, 2)


@torch.no_grad()
def keep_variance(model: Autoencoder) -> None:
    """Initialise weights so that activations have unit variance; residual branches and attention start small."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.orthogonal_(module.weight)
            nn.init.zeros_(module.bias)
            if name.endswith(("conv2", "proj_out")):
                module.weight.mul_(0.1)
    for module in model.modules():
        if isinstance(module, Shortcut):
            module.conv2.weight.zero_()
    model.vq.post_quant_conv.weight.mul_(CODE_WIDTH**0.5)  # latents have length one


def loss_of(y: Tensor, x: Tensor) -> Tensor:
    """L1 and L2 on pixels and on means of 8 x 8 pixels, for the colours; L1 on differences of pixels, for the edges."""
    error = y - x
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    coarse = F.avg_pool2d(error, 8)
    return error.abs().mean() + error.square().mean() + edges + coarse.abs().mean() + 4 * coarse.square().mean()


@torch.no_grad()
def fit(model: Autoencoder, crops: Crops, rng: np.random.Generator, device: torch.device) -> None:
    """Set the codes by k-means on latents of fresh crops."""
    size, found = 0, []
    while size < FITTED:
        with autocast(device):
            z = model.encoder(crops.batch(rng, 64)[0].to(device))
        found.append(z.permute(0, 2, 3, 1).reshape(-1, CODE_WIDTH))
        size += len(found[-1])
    book = Codebook(model.vq.quantize.embedding.weight.data)
    book.fit(torch.cat(found)[:FITTED], rounds=12)


@torch.no_grad()
def sheet(model: Autoencoder, crops: Crops, path: Path, device: torch.device, fitted: bool) -> float:
    """Write held-out crops above their reconstructions; returns the loss on them."""
    x = crops.held_out(32)[0].to(device)
    with autocast(device):
        z = model.encoder(x)
        y = model.decode(model.quantised(z) if fitted else z)
    rows = [torch.cat(list(part), dim=2) for i in range(0, 32, 8) for part in (x[i : i + 8], y[i : i + 8])]
    pixels = ((torch.cat(rows, dim=1).clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path)
    return float(loss_of(y, x))


def load(folder: Path) -> Autoencoder:
    """The model of a finished run. Raises FileNotFoundError."""
    saved = checkpoint.load(folder)
    if saved is None:
        raise FileNotFoundError(f"there is no checkpoint in {folder}")
    model = Autoencoder()
    model.load_state_dict(saved["model"])
    return model.eval()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=Path, required=True, help="folder that training.photo.fetch has filled")
    options.add_argument("--minutes", type=float, default=45.0, help="budget over all runs of this stage")
    options.add_argument(
        "--stop-after", type=float, default=None, help="minutes after which this run stops; the next run resumes it"
    )
    options.add_argument(
        "--batch", type=int, default=4, help="whole images in a step; of smaller crops four times as many"
    )
    options.add_argument("--out", type=Path, required=True, help="folder for log, sheets and checkpoint")
    given = options.parse_args()
    device = pick_device()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = Autoencoder().to(device, memory_format=torch.channels_last)
    weights = [w for w in model.parameters() if w.requires_grad]
    optimizer = Pair(
        [w for w in weights if w.ndim == 4 and w.shape[0] > 3], [w for w in weights if w.ndim != 4 or w.shape[0] <= 3]
    )
    saved = checkpoint.load(given.out / "last")
    fitted = False
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        fitted = saved["fitted"]
    clock = Clock(given.minutes, given.out, saved and saved["clock"], given.stop_after)
    crops, rng = Crops(given.pictures), np.random.default_rng([clock.step, 1])

    def save() -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "fitted": fitted}
        checkpoint.save(state | {"clock": clock.state()}, given.out / "last")

    while clock.running:
        if not fitted and clock.fraction >= CONTINUOUS:
            fit(model, crops, rng, device)
            model.encoder.requires_grad_(False)
            fitted = True
        whole = clock.fraction >= WHOLE[fitted]  # statistics of GroupNorm differ between whole images and parts
        side, count = (SIDE, given.batch) if whole else (PART, 4 * given.batch)
        x = crops.batch(rng, count, side)[0].to(device, memory_format=torch.channels_last)
        with autocast(device):
            with torch.set_grad_enabled(not fitted):
                z = model.encoder(x)
            z = model.quantised(z) if fitted else F.normalize(z + NOISE * torch.randn_like(z) / CODE_WIDTH**0.5, dim=1)
            y = model.decode(z)
        loss = loss_of(y, x)
        optimizer.update(loss, RATE * clock.rate())
        if clock.tick():
            clock.log(loss=float(loss.detach()), fitted=float(fitted))
        if clock.save_due():
            clock.log(held_out=sheet(model, crops, given.out / f"sheet-{clock.step:05d}.png", device, fitted))
            save()
    clock.log(held_out=sheet(model, crops, given.out / "sheet-last.png", device, fitted))
    save()


if __name__ == "__main__":
    main()
