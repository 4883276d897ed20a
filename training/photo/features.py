"""Train the network whose features measure distances between sets of images of `photo`.

It classifies the subject of a crop, and a kind of damage that is applied to it. The sets of images have the same
subjects in the same numbers, so that a distance between them must come from features of finer details.

python -m training.photo.features --pictures runs/photo/pictures --minutes 8 --out runs/photo/features
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from fewpass.models.features import FILE, ImageFeatures

from .. import checkpoint
from ..clock import Clock
from ..features import Classifier
from .crops import Crops
from .subjects import SUBJECTS

WIDTHS = (16, 32, 64, 80)  # 91 000 weights
BATCH, RATE = 64, 3e-3
HELD_OUT = 20 * len(SUBJECTS)
DAMAGES = 4  # none, blurred, patches of another crop, flat patches
PATCH, SHARE = 8, 0.25  # side of a patch in pixels, as of an image token; share of the patches that are damaged


def damaged(pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The crops, each with one kind of damage, and these kinds [B]."""
    kind = torch.randint(DAMAGES, (len(pixels),), generator=generator)
    small = F.avg_pool2d(pixels, PATCH)
    blurred = F.interpolate(F.avg_pool2d(pixels, 4), scale_factor=4, mode="bilinear")
    flat = F.interpolate(small, scale_factor=PATCH)
    hit = (torch.rand(small[:, :1].shape, generator=generator) < SHARE).float()
    hit = F.interpolate(hit, scale_factor=PATCH).bool()
    others = torch.where(hit, pixels.roll(1, 0), pixels)
    choices = torch.stack([pixels, blurred, others, torch.where(hit, flat, pixels)])
    return choices[kind, torch.arange(len(pixels))], kind


def images(pixels: Tensor) -> Tensor:
    """Crops in -1..1 as uint8, the input of the network."""
    return ((pixels + 1) * 127.5).round().byte()


@torch.inference_mode()
def accuracy(network: Classifier, crops: Crops) -> dict[str, float]:
    """Shares of held-out crops whose subject, and whose damage, is classified correctly."""
    pixels, labels = crops.held_out(HELD_OUT)
    pixels, damage = damaged(pixels, torch.Generator().manual_seed(0))
    logits = network.eval()(images(pixels))
    right = [(t.argmax(-1) == w).float().mean() for t, w in zip(logits, (labels, damage), strict=True)]
    return {"subject": float(right[0]), "damage": float(right[1])}


@torch.no_grad()
def standardise(features: ImageFeatures, crops: Crops) -> None:
    """Shift and scale each feature to mean 0 and variance 1 over held-out crops, so that all have the same weight."""
    values, last = features.eval()(images(crops.held_out(HELD_OUT)[0])), features.body[-1]
    last.bias.copy_((last.bias - values.mean(0)) / values.std(0))
    last.weight.div_(values.std(0)[:, None])


def export(features: ImageFeatures, path: Path) -> None:
    """Write the weights in float16; the batch counters of batch norm, which inference does not use, are zero."""
    state = features.state_dict()
    save_file({name: (v.half() if v.is_floating_point() else 0 * v).contiguous() for name, v in state.items()}, path)


def main() -> None:
    given = parse_options()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network, saved = Classifier(ImageFeatures(*WIDTHS), len(SUBJECTS), DAMAGES), checkpoint.load(given.out / "last")
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    if saved:
        network.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    clock, crops = Clock(given.minutes, given.out, saved and saved["clock"]), Crops(given.pictures)
    rng, generator = np.random.default_rng([clock.step, 3]), torch.Generator().manual_seed(clock.step)

    def save() -> None:
        state = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "clock": clock.state()}
        checkpoint.save(state, given.out / "last")
        clock.log(**accuracy(network, crops))

    while clock.running:
        pixels, labels = crops.batch(rng, BATCH)
        pixels, damage = damaged(pixels, generator)
        subject, seen = network.train()(images(pixels))
        loss = F.cross_entropy(subject, labels) + F.cross_entropy(seen, damage)
        for group in optimizer.param_groups:
            group["lr"] = RATE * clock.rate()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clock.tick():
            clock.log(loss=loss.item())
        if clock.save_due():
            save()
    save()
    print(f"{given.out / FILE}: accuracy on {HELD_OUT} held-out crops:", accuracy(network, crops))
    standardise(network.features, crops)
    export(network.features, given.out / FILE)


def parse_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=Path, required=True, help="folder that training.photo.fetch has filled")
    options.add_argument("--minutes", type=float, default=8.0, help="budget over all runs of this stage")
    options.add_argument("--out", type=Path, required=True, help="folder for weights, log and checkpoint")
    return options.parse_args()


if __name__ == "__main__":
    main()
