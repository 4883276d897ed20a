"""A Janus checkpoint with random weights that takes milliseconds, in the format of the real ones."""

import os
from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    GenerationConfig,
    JanusConfig,
    JanusForConditionalGeneration,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

SIDE = 4
CODES = 32
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<begin_of_image>")
WORDS = ("one", "two", "red", "blue", "stars", "a", "on", "background")
PAD, BOS, EOS, UNKNOWN, BEGIN = range(len(SPECIAL))


def write(folder: Path) -> Path:
    """Puts the checkpoint into `folder`, its weights in two shards."""
    janus().save_pretrained(folder, max_shard_size="300KB")
    tokenizer().save_pretrained(folder)
    return folder


def janus() -> JanusForConditionalGeneration:
    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        initializer_range=0.3,  # laws that differ with the context, and not too sharp
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "mlp_ratio": 1.0, "depth": 1}
    vision |= {"image_size": 2 * SIDE, "patch_size": 2, "projection_dim": 32, "num_image_tokens": SIDE**2}
    vq = {"num_embeddings": CODES, "embed_dim": 4, "latent_channels": 32, "base_channels": 32, "num_res_blocks": 1}
    vq |= {"channel_multiplier": [1, 1], "num_patches": SIDE, "projection_dim": 32, "image_token_embed_dim": 32}
    model = JanusForConditionalGeneration(JanusConfig(text_config=text, vision_config=vision, vq_config=vq))
    for name, weight in model.named_parameters():
        if "generation" in name and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    model.generation_config = GenerationConfig(
        guidance_scale=3.0,
        max_length=64,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        generation_kwargs={"boi_token_id": BEGIN},
    )
    return model.eval()


def tokenizer() -> PreTrainedTokenizerFast:
    ids = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    core = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", BOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens={"boi_token": "<begin_of_image>"},
    )


def shards(folder: Path) -> list[Path]:
    return sorted(Path(folder, name) for name in os.listdir(folder) if name.endswith(".safetensors"))
