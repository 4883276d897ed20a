"""The convolutional decoder that Janus, LlamaGen and Chameleon share: codes become pixels."""

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.janus.configuration_janus import JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAEDecoder


class VqDecoder(nn.Module):
    """A codebook and the decoder behind it, for grids of any size: Janus' own class draws one size only."""

    def __init__(self, config: JanusVQVAEConfig):
        super().__init__()
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(config.num_embeddings, config.embed_dim)})
        self.post_quant_conv = nn.Conv2d(config.embed_dim, config.latent_channels, 1)
        self.decoder = JanusVQVAEDecoder(config)

    @property
    def codes(self) -> Tensor:
        """What the codes stand for: [codes, D]."""
        return self.get_parameter("quantize.embedding.weight")

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [B, rows, cols] as colours [B, 3, H, W] in -1..1."""
        latents = F.embedding(codes, self.codes).permute(0, 3, 1, 2)
        return self.decoder(self.post_quant_conv(latents))
