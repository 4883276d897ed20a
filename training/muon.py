"""Muon (Keller Jordan 2024): momentum, orthogonalised, for hidden matrices.

In float32: bfloat16 is emulated on many CPUs.
"""

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Updates have the size of Adam's (0.2 per entry and unit rate), so both optimizers share one learning rate."""

    def __init__(self, params, lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                m = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(m, group["momentum"]).flatten(1))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-0.2 * group["lr"] * max(update.shape) ** 0.5)


class Pair:
    """Muon for the matrices and AdamW for the rest, with one learning rate."""

    def __init__(self, matrices: list[Tensor], rest: list[Tensor], weight_decay: float = 0.0):
        self.rest = rest
        adam = torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=0.0)
        self.parts = (Muon(matrices, weight_decay=weight_decay), adam)

    def update(self, loss: Tensor, rate: float) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)
            for group in part.param_groups:
                group["lr"] = rate
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)  # the size of Muon's step does not depend on the gradient's
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        return {str(number): part.state_dict() for number, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict) -> None:
        for number, part in enumerate(self.parts):
            part.load_state_dict(state[str(number)])


def orthogonalise(g: Tensor, rounds: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, by the quintic Newton-Schulz iteration of the reference."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.shape[0] > g.shape[1] else x
