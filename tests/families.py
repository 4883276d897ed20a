"""Checkpoints in the formats of the published families, so small that a test can write them."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import nn
from transformers import (
    ChameleonConfig,
    ChameleonForConditionalGeneration,
    Emu3Config,
    Emu3ForConditionalGeneration,
    GenerationConfig,
    GlmImageConfig,
    GlmImageForConditionalGeneration,
    JanusConfig,
    JanusForConditionalGeneration,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from tests.vqgan import PaperDecoder

WORDS = ["a", "cat", "dog", "on", "the", "moon", "of", "x", "*", *"0123456789"]
WORDS += ["Generate", "an", "image", "according", "to", "following", "prompt", ":"]
TEXT = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 4}
CODES = 24
KNOWN = ("bos_token", "eos_token", "pad_token", "sep_token")
NORMS = ("q_norm.weight", "q_norm.bias", "k_norm.weight", "k_norm.bias")


def tokenizer_of(vocabulary: dict[str, int], **special: str) -> PreTrainedTokenizerFast:
    """Word by word, numbers digit by digit."""
    core = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    apart = pre_tokenizers.Split(Regex(r"\d|[*x:]"), "isolated")
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), apart])
    known = {name: special.pop(name) for name in list(special) if name in KNOWN}
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", padding_side="left", **known, extra_special_tokens=special
    )


def numbered(*words: str) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


def sharpened(model: nn.Module, seed: int) -> None:
    """Weights as they come make all laws nearly uniform, and norms do nothing. Pairs of heads share theirs."""
    torch.manual_seed(seed + 1)
    with torch.no_grad():
        model.lm_head.weight.mul_(60)
        for name, parameter in model.named_parameters():
            if name.endswith(NORMS):
                parameter.add_(0.3 * torch.randn(2, parameter.shape[1]).repeat_interleave(len(parameter) // 2, 0))


def write_emu3(folder: Path, seed: int = 0) -> Path:
    vocabulary = numbered(
        *WORDS,
        *("<unk>", "<pad>", "<|extra_203|>", "<|extra_204|>", "<image>", "<|image token|>", "<|image start|>"),
        *("<|image end|>", "<|extra_200|>", "<|extra_201|>"),
        *(f"<|visual token {code:06d}|>" for code in range(CODES)),
    )
    ends = {
        "pad_token_id": vocabulary["<pad>"],
        "bos_token_id": vocabulary["<|extra_203|>"],
        "eos_token_id": vocabulary["<|extra_204|>"],
    }
    size = {"vocab_size": len(vocabulary), "num_key_value_heads": 2, "max_position_embeddings": 128}
    vq = {"codebook_size": CODES, "base_channels": 32, "channel_multiplier": [1, 1, 1, 1], "num_res_blocks": 1}
    torch.manual_seed(seed)
    model = Emu3ForConditionalGeneration(
        Emu3Config(
            vocabulary_map=vocabulary,
            text_config={**TEXT, **size, **ends},
            vq_config={**vq, "hidden_size": 32, "attn_resolutions": [3]},
        )
    )
    sharpened(model, seed)
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer_of(
        vocabulary,
        bos_token="<|extra_203|>",
        eos_token="<|extra_204|>",
        pad_token="<pad>",
        image_token="<image>",
        boi_token="<|image start|>",
        eoi_token="<|image end|>",
        image_wrapper_token="<|image token|>",
        eof_token="<|extra_201|>",
    ).save_pretrained(folder)
    return folder


def chameleon_words() -> dict[str, int]:
    """Meta's vocabulary in small: its first words are as published; image tokens spell their codes, in no order."""
    letters = [f"IMGIMG{''.join(chr(ord('A') + int(digit)) for digit in str(code))}Z" for code in range(CODES)]
    reserved = [f"<reserved{number:05d}>" for number in (8706, 8799, *range(8801, 8813))]
    return numbered(
        "<s>", "<pad>", "</s>", "<unk>", *letters[::-1], "<eoss>", "<racm3:break>", "<image>", *reserved, *WORDS
    )


def write_chameleon(folder: Path, seed: int = 0) -> Path:
    """Meta's: an encoder, no decoder."""
    vocabulary = chameleon_words()
    torch.manual_seed(seed)
    vq = {"embed_dim": 8, "num_embeddings": CODES, "latent_channels": 32, "resolution": 64, "base_channels": 32}
    model = ChameleonForConditionalGeneration(
        ChameleonConfig(
            **TEXT,
            vocab_size=len(vocabulary),
            num_key_value_heads=4,
            max_position_embeddings=160,
            vocabulary_map=vocabulary,
            vq_config={**vq, "channel_multiplier": [1, 1, 1, 1, 1], "num_res_blocks": 1},
        )
    )
    sharpened(model, seed)
    model.save_pretrained(folder)
    tokenizer_of(
        vocabulary,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        sep_token="<reserved08706>",
        image_token="<image>",
        boi_token="<racm3:break>",
        eoi_token="<eoss>",
    ).save_pretrained(folder)
    return folder


def decoder_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed + 2)
    return PaperDecoder(levels=5, channels=32, latent=32).state_dict()


def write_anole(folder: Path, seed: int = 0) -> Path:
    """Chameleon with the decoder that transformers has no place for."""
    write_chameleon(folder, seed)
    decoder = {f"model.vqmodel.decoder.{name}": tensor for name, tensor in decoder_weights(seed).items()}
    rewrite(folder, lambda weights: weights | decoder)
    return folder


def write_lumina(folder: Path, seed: int = 0) -> Path:
    """No VQGAN among the weights, norms stored once for heads that share them, a configuration with trainer's marks.

    The VQGAN stands beside, in a folder of its own.
    """
    write_chameleon(folder, seed)
    weights = load_file(folder / "model.safetensors")
    vqgan = {n.removeprefix("model.vqmodel."): w for n, w in weights.items() if n.startswith("model.vqmodel.")}
    (folder / "vqgan").mkdir()
    decoder = {f"decoder.{name}": tensor for name, tensor in decoder_weights(seed).items()}
    save_file(vqgan | decoder, folder / "vqgan" / "model.safetensors", {"format": "pt"})

    def as_published(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kept = {name: tensor for name, tensor in weights.items() if not name.startswith("model.vqmodel.")}
        return {name: tensor[::2] if name.endswith(NORMS) else tensor for name, tensor in kept.items()}

    rewrite(folder, as_published)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["ChameleonXLLMXForConditionalGeneration"]
    config |= {"rope_theta": 10000.0, "rope_scaling": None, "dropout": 0.05, "mask_image_logits": False}
    config |= {"z_loss_weight": 1e-5, "transformers_version": "4.43.3"}
    del config["rope_parameters"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_glm_image(folder: Path, seed: int = 0) -> Path:
    """The codes are the first words, then those that begin and end an image, and some that mean nothing."""
    special = ["<|dit_begin|>", "<|dit_end|>", *(f"<|empty {n}|>" for n in range(6)), "<unk>", "<pad>", "<image>"]
    vocabulary = numbered(*(f"<|code {n}|>" for n in range(CODES)), *special, "<sop>", "<eop>", "<|user|>", *WORDS)
    torch.manual_seed(seed)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    model = GlmImageForConditionalGeneration(
        GlmImageConfig(
            text_config={
                **TEXT,
                "vocab_size": len(vocabulary),
                "num_key_value_heads": 2,
                "max_position_embeddings": 1024,
                "vision_vocab_size": CODES + 8,
                "rope_parameters": rope,
                "pad_token_id": vocabulary["<pad>"],
                "eos_token_id": CODES + 1,
            },
            vision_config={"depth": 1, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32, "image_size": 64},
            vq_config={"embed_dim": 16, "num_embeddings": CODES, "latent_channels": 32},
            image_token_id=vocabulary["<image>"],
            image_start_token_id=CODES,
            image_end_token_id=CODES + 1,
        )
    )
    sharpened(model, seed)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.9, top_p=0.75, eos_token_id=CODES + 1, pad_token_id=vocabulary["<pad>"]
    )
    model.save_pretrained(folder)
    tokenizer = tokenizer_of(
        vocabulary,
        bos_token="<|dit_begin|>",
        eos_token="<|dit_end|>",
        pad_token="<pad>",
        image_token="<image>",
        grid_bos_token="<sop>",
        grid_eos_token="<eop>",
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|user|> {% for c in m.content %}{{ c.text }}{% endfor %} {% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    return folder


def write_janus(folder: Path, seed: int = 0) -> Path:
    special = ["<pad>", "<s>", "</s>", "<unk>", "<begin>", "<end>", "<image>"]
    vocabulary = numbered(*special, *WORDS)
    torch.manual_seed(seed)
    size = {"vocab_size": len(vocabulary), "num_key_value_heads": 2, "max_position_embeddings": 64}
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "depth": 1, "num_image_tokens": 16}
    vq = {"embed_dim": 8, "num_embeddings": CODES, "latent_channels": 32, "base_channels": 32, "num_res_blocks": 1}
    model = JanusForConditionalGeneration(
        JanusConfig(
            text_config=LlamaConfig(**TEXT, **size, bos_token_id=1, eos_token_id=2, pad_token_id=0),
            vision_config={**vision, "mlp_ratio": 1.0, "image_size": 8, "patch_size": 2, "projection_dim": 32},
            vq_config={**vq, "channel_multiplier": [1, 1], "projection_dim": 32, "image_token_embed_dim": 32},
            image_token_id=6,
        )
    )
    with torch.no_grad():
        model.model.generation_head.vision_head.weight.mul_(500)
    model.generation_config = GenerationConfig(
        bos_token_id=1, eos_token_id=2, pad_token_id=0, generation_kwargs={"boi_token_id": 4}
    )
    model.save_pretrained(folder)
    tokenizer_of(vocabulary, bos_token="<s>", eos_token="</s>", pad_token="<pad>").save_pretrained(folder)
    return folder


def write_glm_pipeline(folder: Path, seed: int = 0) -> Path:
    """The folder of the diffusers pipeline that the family is published as, without its diffusion."""
    whole = write_glm_image(folder / "vision_language_encoder", seed)
    (folder / "processor").mkdir()
    for path in whole.iterdir():
        if path.name.startswith(("tokenizer", "special", "chat")):
            path.rename(folder / "processor" / path.name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "GlmImagePipeline"}))
    return folder


def pickled(folder: Path) -> Path:
    """The weights of a checkpoint as older versions of transformers saved them, in two files, not as safetensors."""
    for path in sorted(folder.rglob("model.safetensors")):
        weights = load_file(path)
        names = sorted(weights)
        shards = {f"pytorch_model-0000{n + 1}-of-00002.bin": names[n::2] for n in range(2)}
        for file, part in shards.items():
            torch.save({name: weights[name] for name in part}, path.with_name(file))
        index = {"metadata": {}, "weight_map": {name: file for file, part in shards.items() for name in part}}
        path.with_name("pytorch_model.bin.index.json").write_text(json.dumps(index))
        path.unlink()
    return folder


def rewrite(folder: Path, change) -> None:
    """Change the weights of a checkpoint."""
    path = folder / "model.safetensors"
    save_file({name: tensor.clone() for name, tensor in change(load_file(path)).items()}, path, {"format": "pt"})
