"""Weights in training, with their optimizer, their moving average and their state in a checkpoint."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .muon import Pair


class Averaged:
    """`trained` weights by name; AdamW updates vectors and names with a part in `tables`, Muon all other matrices."""

    def __init__(self, trained: dict[str, nn.Parameter], tables: Sequence[str]):
        self.trained = trained
        matrices = [p for n, p in trained.items() if p.ndim == 2 and not any(t in n for t in tables)]
        rest = [p for n, p in trained.items() if p.ndim < 2 or any(t in n for t in tables)]
        self.optimizer = Pair(matrices, rest, weight_decay=0.05)
        self.average = {n: p.detach().clone() for n, p in trained.items()}

    def state(self) -> dict:
        weights = {n: p.detach() for n, p in self.trained.items()}
        return {"model": weights, "average": self.average, "optimizer": self.optimizer.state_dict()}

    @torch.no_grad()
    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Copy weights only: the optimizer state of another run does not fit the new schedule."""
        for name, p in self.trained.items():
            p.copy_(weights[name])
            self.average[name].copy_(weights[name])

    def resume(self, state: dict) -> None:
        self.start_from(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, p in state["average"].items():
            self.average[name].copy_(p)
