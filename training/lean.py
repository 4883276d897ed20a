"""Parts of JanusVQVAE that are present in the checkpoint, add exactly nothing, and cost nothing to train.

Their last layer is zero, so transformers' own classes compute the same function from the same weights.
"""

import torch
from torch import Tensor, nn
from transformers.models.janus.configuration_janus import JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEAttnBlock, JanusVQVAEResnetBlock


class Silent(JanusVQVAEAttnBlock):
    """An attention block with a zero projection."""

    def __init__(self, channels: int):
        super().__init__(channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        self.requires_grad_(False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states


class Shortcut(JanusVQVAEResnetBlock):
    """A residual block whose branch is zero: the shortcut alone."""

    def __init__(self, config: JanusVQVAEConfig, in_channels: int, out_channels: int):
        super().__init__(config, in_channels, out_channels)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        self.requires_grad_(False)
        if in_channels != out_channels:
            self.nin_shortcut.requires_grad_(True)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states if self.in_channels == self.out_channels else self.nin_shortcut(hidden_states)


def silence_attention(model: JanusVQVAE) -> None:
    """A token should depend on its surroundings only: then one object is spelled the same wherever it stands,
    and training on crops is training on images."""
    for parent in [m for m in model.modules() if not isinstance(m, JanusVQVAEAttnBlock)]:
        for name, child in parent.named_children():
            if isinstance(child, JanusVQVAEAttnBlock):
                setattr(parent, name, Silent(child.norm.num_channels))


def skip_full_resolution(model: JanusVQVAE) -> None:
    """Residual blocks at full resolution are two thirds of the cost and little of the quality."""
    for blocks in (model.encoder.down[0].block, model.decoder.up[-1].block):
        for number, block in enumerate(blocks):
            blocks[number] = Shortcut(model.config, block.in_channels, block.out_channels)


@torch.no_grad()
def keep_variance(model: JanusVQVAE) -> None:
    """Signals of unit size from pixels to codes and back. PyTorch's own initial weights shrink them threefold a layer,
    and beside the anchors nothing would be left of them."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and not name.endswith("proj_out"):
            nn.init.orthogonal_(module.weight)
            nn.init.zeros_(module.bias)
            if name.endswith("conv2"):
                module.weight.mul_(0.1)  # residual branches start small
    model.post_quant_conv.weight.mul_(model.config.embed_dim**0.5)  # codes have length one


@torch.no_grad()
def anchor(model: JanusVQVAE) -> None:
    """Lets flat colour through the last GroupNorm of encoder and decoder.

    A group that holds one value everywhere comes out of GroupNorm as zero, whatever the value. With constants of
    either sign beside it in its group, the value survives; so there must be three channels per group or more.
    """
    for layer, norm in (
        (model.encoder.mid.block_2.conv2, model.encoder.norm_out),
        (_last(model), model.decoder.norm_out),
    ):
        bias = layer.bias.view(norm.num_groups, -1)
        assert bias.shape[1] >= 3, f"{norm.num_channels} channels leave no room for anchors"
        bias[:, -1], bias[:, -2] = 2.0, -2.0


def _last(model: JanusVQVAE) -> nn.Module:
    block = model.decoder.up[-1].block[0]
    return block.nin_shortcut if block.in_channels != block.out_channels else block.conv2
