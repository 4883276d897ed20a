"""LlamaGen's network (arXiv 2406.06525) out of transformers' parts: a Llama whose positions have two dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaConfig, LlamaModel, PreTrainedModel
from transformers.models.janus.configuration_janus import JanusVQVAEConfig

from fewpass.models.pixels import VqDecoder


class LlamaGenConfig(LlamaConfig):
    """A Llama's, with as many `labels` as there are classes, or with captions: `caption_tokens` of `caption_dim`.

    `side` is that of the images in codes, 0 if it is not known; `vq` the arguments of a `JanusVQVAEConfig`.
    """

    model_type = "llamagen"
    labels: int = 0
    caption_tokens: int = 0
    caption_dim: int = 0
    side: int = 0
    vq: dict | None = None


class GridRotary(nn.Module):
    """Rotary embedding of rows and columns: half the pairs of a head turn with the one, half with the other.

    Position ids are [2, R, n], negative for slots before the image. There cosine and sine are both zero, so
    that queries and keys vanish: an image token attends to all of its prompt alike, and the prompt to itself.
    """

    def __init__(self, config: LlamaGenConfig):
        super().__init__()
        self.width, self.base = config.head_dim, float(config.rope_parameters["rope_theta"])

    def forward(self, like: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [R, n, head_dim], in transformers' order: the first of every pair, then the second."""
        half = self.width // 2
        speed = self.base ** (-torch.arange(0, half, 2, device=like.device).float() / half)
        angle = torch.cat([ids[..., None] * speed for ids in position_ids], -1).repeat(1, 1, 2)
        inside = (position_ids[0] >= 0)[..., None]
        return (angle.cos() * inside).to(like.dtype), (angle.sin() * inside).to(like.dtype)


class GridLlama(LlamaModel):
    """A Llama whose position ids are rows and columns."""

    def __init__(self, config: LlamaGenConfig):
        super().__init__(config)
        self.rotary_emb = GridRotary(config)


class Captions(nn.Module):
    """Features of a text encoder as inputs of the language model; `nothing` stands for no caption."""

    def __init__(self, config: LlamaGenConfig):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(config.caption_tokens, config.caption_dim))
        self.fc1 = nn.Linear(config.caption_dim, config.hidden_size, bias=False)
        self.fc2 = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """[..., caption_dim] -> [..., D]."""
        return self.fc2(F.gelu(self.fc1(features), approximate="tanh"))


class NormalizedVq(VqDecoder):
    """VQ-16: only the directions of its code vectors count."""

    @property
    def codes(self) -> Tensor:
        return F.normalize(super().codes, dim=-1)


class LlamaGenForImageGeneration(PreTrainedModel):
    """The language model, its embeddings of classes or captions, and the decoder of its image tokenizer."""

    config_class = LlamaGenConfig
    _supports_sdpa = True
    _no_split_modules = ("LlamaDecoderLayer",)
    _keep_in_fp32_modules = _keep_in_fp32_modules_strict = ("vqmodel",)  # as its authors decode
    _skip_keys_device_placement = ("cache", "past_key_values")

    def __init__(self, config: LlamaGenConfig):
        super().__init__(config)
        self.language_model = GridLlama(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.labels:
            self.labels = nn.Embedding(config.labels + 1, config.hidden_size)  # the last one stands for no class
        else:
            self.captions = Captions(config)
        self.vqmodel = NormalizedVq(JanusVQVAEConfig(**(config.vq or {})))
        self.generation_config = GenerationConfig()
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head
