"""Blocks of JanusVQVAE that training skips, and initial weights of the others.

The last layer of a skipped block is zero, so transformers' own classes compute the same function from the checkpoint.
"""

import torch
from torch import Tensor, nn
from transformers.models.janus.configuration_janus import JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAttnBlock, JanusVQVAEResnetBlock


class SkippedAttention(JanusVQVAEAttnBlock):
    """An attention block that is skipped: its output projection is zero."""

    def __init__(self, channels: int):
        super().__init__(channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        self.requires_grad_(False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states


class Shortcut(JanusVQVAEResnetBlock):
    """A residual block of which only the shortcut is computed: its branch is zero."""

    def __init__(self, config: JanusVQVAEConfig, in_channels: int, out_channels: int):
        super().__init__(config, in_channels, out_channels)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        self.requires_grad_(False)
        if in_channels != out_channels:
            self.nin_shortcut.requires_grad_(True)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states if self.in_channels == self.out_channels else self.nin_shortcut(hidden_states)


def skip_attention(model: JanusVQVAE) -> None:
    """Skip attention, so that a token depends on its surroundings only.

    Then an object has nearly the same tokens at all positions, and training on crops resembles training on images.
    """
    for parent in [m for m in model.modules() if not isinstance(m, JanusVQVAEAttnBlock)]:
        for name, child in parent.named_children():
            if isinstance(child, JanusVQVAEAttnBlock):
                setattr(parent, name, SkippedAttention(child.norm.num_channels))


def skip_full_resolution(model: JanusVQVAE) -> None:
    """Skip the residual blocks at full resolution: two thirds of the time for little quality."""
    for blocks in (model.encoder.down[0].block, model.decoder.up[-1].block):
        for number, block in enumerate(blocks):
            blocks[number] = Shortcut(model.config, block.in_channels, block.out_channels)


@torch.no_grad()
def keep_variance(model: JanusVQVAE) -> None:
    """Initialise weights so that activations have unit variance from pixels to codes and back.

    With PyTorch's own initial weights each layer divides them by three, and the constants of `anchor` would dominate.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and not name.endswith("proj_out"):
            nn.init.orthogonal_(module.weight)
            nn.init.zeros_(module.bias)
            if name.endswith("conv2"):
                module.weight.mul_(0.1)  # residual branches start small
    model.post_quant_conv.weight.mul_(model.config.embed_dim**0.5)  # codes have length one


@torch.no_grad()
def anchor(model: JanusVQVAE) -> None:
    """Initialise biases so that flat colour passes the last GroupNorm of encoder and decoder.

    GroupNorm maps a group with one value everywhere to zero, for every value. Two constant channels of opposite sign
    in the same group preserve the value; so a group needs at least three channels.
    """
    for layer, norm in (
        (model.encoder.mid.block_2.conv2, model.encoder.norm_out),
        (_last(model), model.decoder.norm_out),
    ):
        bias = layer.bias.view(norm.num_groups, -1)
        assert bias.shape[1] >= 3, f"a group of the norm must have at least 3 channels, got {bias.shape[1]}"
        bias[:, -1], bias[:, -2] = 2.0, -2.0


def _last(model: JanusVQVAE) -> nn.Module:
    block = model.decoder.up[-1].block[0]
    return block.nin_shortcut if block.in_channels != block.out_channels else block.conv2
