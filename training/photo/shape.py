"""Configuration of `photo`, in LlamaGen's terms."""

from fewpass.models.llamagen.network import LlamaGenConfig

from .crops import SIDE
from .subjects import SUBJECTS

CODES, CODE_WIDTH = 4096, 8
LATENTS = 32  # channels behind the codebook; 256 in the published models
MULTIPLIERS = (1, 2, 2, 4)
GRID = SIDE // 2 ** (len(MULTIPLIERS) - 1)  # 16 x 16 tokens

VQ = {
    "num_embeddings": CODES,
    "embed_dim": CODE_WIDTH,
    "latent_channels": LATENTS,
    "base_channels": 32,
    "channel_multiplier": list(MULTIPLIERS),
    "num_res_blocks": 1,
}


def config() -> LlamaGenConfig:
    """The configuration that fewpass derives from the exported files."""
    return LlamaGenConfig(
        vocab_size=CODES,
        hidden_size=256,
        intermediate_size=448,
        num_hidden_layers=6,
        num_attention_heads=4,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        labels=len(SUBJECTS),
        side=GRID,
        vq=VQ,
    )
