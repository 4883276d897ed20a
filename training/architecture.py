"""The bundled model's shape, as a configuration of transformers' Janus."""

import torch
from torch.nn import functional
from transformers import GenerationConfig, JanusConfig, JanusForConditionalGeneration
from transformers.models.janus.configuration_janus import JanusVisionConfig, JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAE
from transformers.models.llama.configuration_llama import LlamaConfig

from .heads import look_at_neighbours
from .presets import GUIDANCE, Preset
from .vq_blocks import anchor, keep_variance, skip_attention, skip_full_resolution
from .words import BOI, BOS, EOS, IMAGE, PAD, token_ids

HEAD = 64  # width of an attention head
ROPE_THETA = 100.0  # period of the slowest rotation: about 500 tokens, two images; that of the default is far longer


def vq_config(preset: Preset) -> JanusVQVAEConfig:
    return JanusVQVAEConfig(
        embed_dim=preset.code_dim,
        num_embeddings=preset.codes,
        latent_channels=64,
        base_channels=preset.vq_channels,
        channel_multiplier=list(preset.vq_multipliers),
        num_res_blocks=1,
        num_patches=preset.rows,
        projection_dim=preset.width,
        image_token_embed_dim=preset.width,
    )


def new_vq(preset: Preset) -> JanusVQVAE:
    model = JanusVQVAE(vq_config(preset))
    keep_variance(model)
    skip_attention(model)
    if preset.vq_skip_full_resolution:
        skip_full_resolution(model)
    anchor(model)
    codes = model.quantize.embedding.weight.requires_grad_(False)  # Codebook updates it
    codes.copy_(functional.normalize(codes, dim=-1))
    return model


def janus_config(preset: Preset) -> JanusConfig:
    ids = token_ids()
    text = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=preset.width,
        intermediate_size=preset.mlp,
        num_hidden_layers=preset.layers,
        num_attention_heads=preset.width // HEAD,
        num_key_value_heads=preset.width // HEAD,
        max_position_embeddings=2 * preset.rows**2,
        bos_token_id=ids[BOS],
        eos_token_id=ids[EOS],
        pad_token_id=ids[PAD],
        tie_word_embeddings=True,
        attention_bias=True,  # see heads.py
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
    )
    vision = JanusVisionConfig(
        # Janus has a vision tower. This one is minimal and never trained.
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        mlp_ratio=1.0,
        image_size=preset.image,
        patch_size=8,
        projection_dim=preset.width,
        depth=1,
        num_image_tokens=preset.rows**2,
    )
    return JanusConfig(text_config=text, vision_config=vision, vq_config=vq_config(preset), image_token_id=ids[IMAGE])


def new_janus(preset: Preset, vq: JanusVQVAE | None = None) -> JanusForConditionalGeneration:
    """New model; with `vq`, it contains this image tokenizer, and the generation embeddings start as its codes."""
    model = JanusForConditionalGeneration(janus_config(preset))
    look_at_neighbours(model.model.language_model, preset.rows)
    model.generation_config = GenerationConfig(
        do_sample=True,
        max_length=2 * preset.rows**2,
        temperature=1.0,
        top_k=0,  # transformers' default of 50 would truncate the distribution silently
        top_p=1.0,
        guidance_scale=GUIDANCE,
        bos_token_id=token_ids()[BOS],
        eos_token_id=token_ids()[EOS],
        pad_token_id=token_ids()[PAD],
        generation_kwargs={"boi_token_id": token_ids()[BOI]},
    )
    if vq is not None:
        adopt_vq(model, vq.state_dict())
        with torch.no_grad():
            model.model.generation_embeddings.weight.copy_(vq.quantize.embedding.weight)
    return model


def adopt_vq(model: JanusForConditionalGeneration, weights: dict) -> None:
    model.model.vqmodel.load_state_dict(weights)
    model.model.vqmodel.requires_grad_(False)
