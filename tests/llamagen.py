"""LlamaGen as its paper (arXiv 2406.06525) and its files have it: weights by their published names, no cache."""

from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from tests.vqgan import Attention, Residual

CODES, LABELS, WIDTH, LAYERS, HIDDEN = 24, 5, 128, 2, 96
SLOTS, FEATURES = 12, 16
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "fox", "in", "the", "snow", ",", "-", "dog"]
CHANNELS, LATENT, DIM = (64, 32), 32, 8  # of the image tokenizer's decoder, coarse to fine


def gpt_weights(captions: bool, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    matrix = lambda *shape: torch.randn(*shape) / shape[-1] ** 0.5  # noqa: E731
    weights = {"tok_embeddings.weight": torch.randn(CODES, WIDTH), "output.weight": 3 * matrix(CODES, WIDTH)}
    weights["norm.weight"] = 1 + 0.3 * torch.randn(WIDTH)
    for n in range(LAYERS):
        layer = {
            "attention.wqkv": 2 * matrix(3 * WIDTH, WIDTH),
            "attention.wo": matrix(WIDTH, WIDTH),
            "feed_forward.w1": matrix(HIDDEN, WIDTH),
            "feed_forward.w3": matrix(HIDDEN, WIDTH),
            "feed_forward.w2": matrix(WIDTH, HIDDEN),
            "attention_norm": 1 + 0.3 * torch.randn(WIDTH),
            "ffn_norm": 1 + 0.3 * torch.randn(WIDTH),
        }
        weights |= {f"layers.{n}.{name}.weight": tensor for name, tensor in layer.items()}
    if not captions:
        return weights | {"cls_embedding.embedding_table.weight": 2 * torch.randn(LABELS + 1, WIDTH)}
    return weights | {
        "cls_embedding.uncond_embedding": torch.randn(SLOTS, FEATURES),
        "cls_embedding.cap_proj.fc1.weight": 2 * matrix(WIDTH, FEATURES),
        "cls_embedding.cap_proj.fc2.weight": 2 * matrix(WIDTH, WIDTH),
    }


def vq_weights(seed: int = 0) -> dict[str, Tensor]:
    """Two levels, so that a code is 2 x 2 pixels; the encoder is there and does nothing."""
    torch.manual_seed(seed + 1)
    weights = {"quantize.embedding.weight": torch.randn(CODES, DIM), "quantize.codebook_used": torch.zeros(8)}
    weights |= {"encoder.conv_in.weight": torch.zeros(4, 3, 3, 3), "quant_conv.bias": torch.zeros(DIM)}
    parts = {"post_quant_conv": torch.nn.Conv2d(DIM, LATENT, 1)}
    parts |= {"decoder.conv_in": torch.nn.Conv2d(LATENT, CHANNELS[0], 3, padding=1)}
    parts |= {f"decoder.mid.{n}": kind(CHANNELS[0]) for n, kind in enumerate((Residual, Attention, Residual))}
    before = CHANNELS[0]
    for level, width in enumerate(CHANNELS):
        for n in range(2):
            block = Residual(width)
            if before != width:
                block.norm1, block.conv1 = torch.nn.GroupNorm(32, before), torch.nn.Conv2d(before, width, 3, padding=1)
                block.nin_shortcut = torch.nn.Conv2d(before, width, 1)
            parts[f"decoder.conv_blocks.{level}.res.{n}"], before = block, width
            if level == 0:
                parts[f"decoder.conv_blocks.{level}.attn.{n}"] = Attention(width)
        if level + 1 < len(CHANNELS):
            parts[f"decoder.conv_blocks.{level}.upsample.conv"] = torch.nn.Conv2d(width, width, 3, padding=1)
    parts |= {"decoder.norm_out": torch.nn.GroupNorm(32, before), "decoder.conv_out": torch.nn.Conv2d(before, 3, 3)}
    stored = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    varied = {
        name: value + 0.2 * torch.randn_like(value) if "norm" in name else value for name, value in stored.items()
    }
    return weights | varied


def write_c2i(folder: Path, seed: int = 0, name: str = "c2i_B.pt") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save({"model": gpt_weights(False, seed)}, folder / name)
    torch.save({"model": vq_weights(seed)}, folder / "vq_ds16_c2i.pt")
    return folder


def write_t2i(folder: Path, seed: int = 0, name: str = "t2i_XL.pt") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save({"module": gpt_weights(True, seed)}, folder / name)
    torch.save({"model": vq_weights(seed)}, folder / "vq_ds16_t2i.pt")
    torch.manual_seed(seed)
    config = T5Config(vocab_size=len(WORDS), d_model=FEATURES, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    encoder = T5EncoderModel(config)
    for weight in encoder.parameters():
        weight.data.add_(0.3 * torch.randn_like(weight))
    encoder.save_pretrained(folder / "t5")
    core = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", padding_side="right"
    )
    tokenizer.save_pretrained(folder / "t5")
    return folder


def rotary(side: int, slots: int, width: int) -> Tensor:
    """A complex factor for each pair: zero for `slots` slots, then the rows' and the columns' turns. [S, width / 2]"""
    speed = 10000.0 ** (-torch.arange(0, width // 2, 2) / (width // 2))
    row, col = (index.flatten()[:, None] * speed for index in torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij"))
    angle = torch.cat([row, col], 1)
    return torch.cat([torch.zeros(slots, width // 2), torch.polar(torch.ones_like(angle), angle)])


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return weight * x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()


def logits(weights: dict[str, Tensor], condition: Tensor, seen: Tensor, codes: Tensor, side: int) -> Tensor:
    """The logits of codes 0 to n of one image: [n + 1, codes].

    `condition` are the slots of the prompt [S, D]; those that are not `seen` [S] are nobody's but their own.
    """
    x = torch.cat([condition, weights["tok_embeddings.weight"][codes]])
    turn = rotary(side, len(condition), 64)[: len(x), None]
    visible = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    visible[:, : len(condition)] &= seen
    visible |= torch.eye(len(x), dtype=torch.bool)
    for n in range(LAYERS):
        own = {name.removeprefix(f"layers.{n}."): w for name, w in weights.items() if name.startswith(f"layers.{n}.")}
        q, k, v = (norm(x, own["attention_norm.weight"]) @ own["attention.wqkv.weight"].T).split(WIDTH, 1)
        q, k, v = (part.view(len(x), -1, 64) for part in (q, k, v))
        q, k = (torch.view_as_real(torch.view_as_complex(p.unflatten(-1, (-1, 2)).contiguous()) * turn) for p in (q, k))
        scores = torch.einsum("ihd,jhd->hij", q.flatten(-2), k.flatten(-2)) / 8
        mixed = torch.einsum("hij,jhd->ihd", scores.masked_fill(~visible, -torch.inf).softmax(-1), v).flatten(1)
        x = x + mixed @ own["attention.wo.weight"].T
        h = norm(x, own["ffn_norm.weight"])
        gate = F.silu(h @ own["feed_forward.w1.weight"].T) * (h @ own["feed_forward.w3.weight"].T)
        x = x + gate @ own["feed_forward.w2.weight"].T
    return (norm(x, weights["norm.weight"]) @ weights["output.weight"].T)[len(condition) - 1 :]


def project(weights: dict[str, Tensor], features: Tensor) -> Tensor:
    hidden = F.gelu(features @ weights["cls_embedding.cap_proj.fc1.weight"].T, approximate="tanh")
    return hidden @ weights["cls_embedding.cap_proj.fc2.weight"].T


def picture(weights: dict[str, Tensor], codes: Tensor) -> Tensor:
    """Codes [rows, cols] as colours [3, H, W] in -1..1."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = weights[f"{name}.weight"]
        return F.conv2d(x, weight, weights[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def grouped(x: Tensor, name: str) -> Tensor:
        return F.group_norm(x, 32, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def residual(x: Tensor, name: str) -> Tensor:
        h = conv(F.silu(grouped(x, f"{name}.norm1")), f"{name}.conv1")
        h = conv(F.silu(grouped(h, f"{name}.norm2")), f"{name}.conv2")
        return h + (conv(x, f"{name}.nin_shortcut") if f"{name}.nin_shortcut.weight" in weights else x)

    def attention(x: Tensor, name: str) -> Tensor:
        q, k, v = (conv(grouped(x, f"{name}.norm"), f"{name}.{part}").flatten(2)[0] for part in "qkv")
        mixed = v @ (q.T @ k / len(q) ** 0.5).softmax(1).T
        return x + conv(mixed.view_as(x), f"{name}.proj_out")

    x = F.normalize(weights["quantize.embedding.weight"], dim=1)[codes].permute(2, 0, 1)[None]
    x = conv(conv(x, "post_quant_conv"), "decoder.conv_in")
    x = residual(attention(residual(x, "decoder.mid.0"), "decoder.mid.1"), "decoder.mid.2")
    for level in range(len(CHANNELS)):
        for n in range(2):
            x = residual(x, f"decoder.conv_blocks.{level}.res.{n}")
            x = attention(x, f"decoder.conv_blocks.{level}.attn.{n}") if level == 0 else x
        if level + 1 < len(CHANNELS):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = conv(x, f"decoder.conv_blocks.{level}.upsample.conv")
    return conv(F.silu(grouped(x, "decoder.norm_out")), "decoder.conv_out")[0]
