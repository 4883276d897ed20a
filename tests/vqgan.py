"""The decoder of a VQGAN (arXiv 2012.09841) as the paper's figure has it, levels counted from the finest."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(32, channels, eps=1e-6) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Attention(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part(self.norm(x)).flatten(2) for part in (self.q, self.k, self.v))
        weights = torch.einsum("bci,bcj->bij", q, k).div(q.shape[1] ** 0.5).softmax(-1)
        return x + self.proj_out(torch.einsum("bij,bcj->bci", weights, v).view_as(x))


class PaperDecoder(nn.Module):
    """Every level has two residual blocks; all but the finest double the edges."""

    def __init__(self, levels: int, channels: int, latent: int):
        super().__init__()
        self.conv_in = nn.Conv2d(latent, channels, 3, padding=1)
        self.mid = nn.ModuleDict(
            {"block_1": Residual(channels), "attn_1": Attention(channels), "block_2": Residual(channels)}
        )
        self.up = nn.ModuleList(nn.Module() for _ in range(levels))
        for number, level in enumerate(self.up):
            level.block = nn.ModuleList(Residual(channels) for _ in range(2))
            if number > 0:
                level.upsample = nn.ModuleDict({"conv": nn.Conv2d(channels, channels, 3, padding=1)})
        self.norm_out = nn.GroupNorm(32, channels, eps=1e-6)
        self.conv_out = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for part in ("block_1", "attn_1", "block_2"):
            x = self.mid[part](x)
        for number, level in reversed(list(enumerate(self.up))):
            for block in level.block:
                x = block(x)
            if number > 0:
                x = level.upsample["conv"](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(x)))
