"""The decoder of Chameleon's VQGAN (arXiv 2405.09818), which transformers lacks: codes to pixels."""

from pathlib import Path

import torch
from torch import nn
from transformers import ChameleonConfig, PreTrainedModel
from transformers.models.janus.configuration_janus import JanusVQVAEConfig

from fewpass.models.checkpoint import Checkpoint
from fewpass.models.files import reading
from fewpass.models.hub import fetch, loaded_revision
from fewpass.models.pixels import VqDecoder
from fewpass.runtime.transformer import input_device

FOLDER = "vqgan"  # where a checkpoint that has no decoder of its own may be given one
PUBLISHED = "leloy/Anole-7b-v0.1-vqvae-hf"
FIRST = "decoder.conv_in.weight"  # small, and in every decoder
SHAPE = ("num_embeddings", "embed_dim", "latent_channels", "base_channels", "channel_multiplier", "num_res_blocks")
PARTS = ("quantize.embedding.", "post_quant_conv.", "decoder.")


class Vqgan(VqDecoder):
    """Janus has the same decoder but for two things: attention between its first blocks, and the order of levels."""

    def __init__(self, config: ChameleonConfig):
        vq = config.vq_config
        super().__init__(JanusVQVAEConfig(**{name: getattr(vq, name) for name in SHAPE}))
        for level in self.decoder.up:
            level.attn = nn.ModuleList()


def find_vqgan(model: PreTrainedModel) -> Vqgan:
    """The decoder among the weights of the checkpoint that `model` comes from, or in the folder inside it.

    It is in float32 like its authors', for any dtype of the model, and beside the model: 4 bytes per weight.
    Raises ValueError if there is none, or one that does not fit the model.
    """
    name, device = model.config.name_or_path, input_device(model)
    with reading(f"the VQGAN decoder of {name} does not fit", Path(name)):
        folder = fetch(name, loaded_revision(model.config), local_files_only=True)
        home = vqgan_home(Checkpoint(name, folder or Path(name), device, model.dtype, {}))
        stored = home.tensors(lambda name: _short(name).startswith(PARTS))
        with torch.device("meta"):
            vqgan = Vqgan(model.config)
        levels = vqgan.decoder.up  # which checkpoints count from the finest, Janus from the coarsest
        vqgan.decoder.up = levels[::-1]
        vqgan.load_state_dict({_short(name): w.to(device, torch.float32) for name, w in stored.items()}, assign=True)
        vqgan.decoder.up = levels
        return vqgan.eval()


def vqgan_home(checkpoint: Checkpoint) -> Checkpoint:
    """Which has the decoder among its weights: the checkpoint itself, or the folder inside it.

    Raises ValueError if neither has.
    """
    for home in (checkpoint, checkpoint.inside(FOLDER)):
        if home.tensors(lambda name: _short(name) == FIRST):
            return home
    raise ValueError(
        f"{checkpoint.name} holds no VQGAN decoder (model.vqmodel.decoder): Meta's Chameleon does not draw, Anole does;"
        f" Lumina-mGPT needs {PUBLISHED} in its folder, as {FOLDER}/"
    )


def _short(name: str) -> str:
    """The name of a weight, be the checkpoint a whole model or only the VQGAN."""
    return name.removeprefix("model.").removeprefix("vqmodel.")
