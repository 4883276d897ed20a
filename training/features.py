"""Train the network whose features measure distances between sets of scenes: two minutes on one core.

python -m training.features --minutes 2
"""

import argparse
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from fewpass.models.features import SIDE, ImageFeatures, features_file
from training.scenes import Scene, vocabulary

from .clock import Clock
from .pool import pixels
from .presets import PRESETS
from .sampler import random_scene

BATCH, FRESH, KEPT = 64, 32, 16384  # images in a step, newly rendered ones in it, size of the buffer of older ones

# Rendered at the input size of the network, with objects at all positions and in the sizes of both presets.
SMALL = replace(PRESETS["cpu"], image=SIDE, align=1, one=(28, 30, 32, 33), many=(17, 18, 20), gap=3)


class Classifier(nn.Module):
    """A network of features with a linear head: logits of the given `sizes`, one for each property to classify."""

    def __init__(self, features: ImageFeatures, *sizes: int):
        super().__init__()
        self.features, self.sizes = features, sizes
        self.head = nn.Linear(features.num_features, sum(sizes))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.head(self.features(images).relu()).split(self.sizes, -1)


def scene_namer() -> Classifier:
    """Logits of the background [B, 10], of the number of objects [B, 4], and of each thing's presence [B, 86]."""
    words = vocabulary()
    return Classifier(
        ImageFeatures(24, 48, 96, 96), len(words.backgrounds), 1 + len(words.count_words), len(words.things)
    )


def targets(scenes: list[Scene]) -> tuple[Tensor, Tensor, Tensor]:
    """Targets: background [B], number of objects less one [B], equal shares of the things shown [B, 86]."""
    words = vocabulary()
    backgrounds, things = list(words.backgrounds), {thing: index for index, thing in enumerate(words.things)}
    present = torch.zeros(len(scenes), len(things))
    for row, scene in enumerate(scenes):
        present[row, [things[thing] for thing in scene.things]] = 1 / len(scene.things)
    where = torch.tensor([backgrounds.index(scene.background) for scene in scenes])
    return where, torch.tensor([len(scene.objects) - 1 for scene in scenes]), present


def loss_of(network: Classifier, images: Tensor, scenes: list[Scene]) -> Tensor:
    logits, wanted = network(images), targets(scenes)
    return sum((F.cross_entropy(t, w) for t, w in zip(logits, wanted, strict=True)), torch.zeros(()))


def accuracy(network: Classifier, images: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """Shares of images whose background, number and things are classified correctly."""
    with torch.inference_mode():
        logits, wanted = network.eval()(images), targets(scenes)
    things: list[bool] = []
    right = [logits[0].argmax(-1) == wanted[0], logits[1].argmax(-1) == wanted[1]]
    likeliest = logits[2].argsort(-1, descending=True)
    for row, number in enumerate((wanted[2] > 0).sum(-1).tolist()):
        likely = set(likeliest[row, :number].tolist())
        things.append(likely == set(wanted[2][row].nonzero()[:, 0].tolist()))
    right.append(torch.tensor(things))
    return dict(zip(("background", "number", "things"), (float(r.float().mean()) for r in right), strict=True))


def fresh(number: int, rng: np.random.Generator) -> tuple[Tensor, list[Scene]]:
    """Rendered scenes, uint8 [B, 3, H, W]."""
    scenes = [random_scene(rng) for _ in range(number)]
    return ((pixels(scenes, SMALL, rng) + 1) * 127.5).round().byte(), scenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("runs/features"), help="folder of the log")
    parser.add_argument("--to", type=Path, default=features_file("emoji"), help="file of the weights")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rng, network = np.random.default_rng(0), scene_namer()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    old: deque[tuple[Tensor, Scene]] = deque(maxlen=KEPT)
    clock, seen = Clock(options.minutes, options.out, None), 0
    while clock.running:
        images, scenes = fresh(FRESH, rng)
        seen += len(scenes)
        again = rng.integers(len(old), size=BATCH - FRESH) if old else ()
        batch = torch.cat([images, *(old[i][0][None] for i in again)])
        loss = loss_of(network.train(), batch, scenes + [old[i][1] for i in again])
        old.extend(zip(images, scenes, strict=True))
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * clock.rate()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clock.tick():
            clock.log(loss=float(loss.detach()), scenes=seen)
    save_file({name: value.contiguous() for name, value in network.features.state_dict().items()}, options.to)
    print(f"{options.to}: trained on {seen} scenes; accuracy on 500 others:", accuracy(network, *fresh(500, rng)))


if __name__ == "__main__":
    main()
