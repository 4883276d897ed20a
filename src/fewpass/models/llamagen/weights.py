"""LlamaGen's published files: the model's shape and weights, under the names of their authors."""

import re
from pathlib import Path

import torch
from torch import Tensor

from fewpass.models.checkpoint import Checkpoint
from fewpass.models.files import read_weights
from fewpass.models.hub import saved_by_torch
from fewpass.models.layout import side_in
from fewpass.models.llamagen.network import LlamaGenConfig, LlamaGenForImageGeneration

Weights = dict[str, Tensor]
IMAGE = "tok_embeddings.weight"  # only language models have it
CODEBOOK = "quantize.embedding.weight"  # only image tokenizers have it
LABELS = "cls_embedding.embedding_table.weight"  # only models of classes have it
File = tuple[Path, Weights]
HEAD = 64  # wide, except in
SIDES = (256, 384, 512)  # that LlamaGen is published for
HEADS = {3200: 32, 4096: 32}  # 3B and 7B, by their width
RENAMED = (  # our names for the language model's weights -> the authors'
    (r"language_model\.embed_tokens", "tok_embeddings"),
    (r"language_model\.norm", "norm"),
    (r"lm_head", "output"),
    (r"labels", "cls_embedding.embedding_table"),
    (r"captions\.nothing", "cls_embedding.uncond_embedding"),
    (r"captions\.", "cls_embedding.cap_proj."),
    (r"language_model\.(layers\.\d+)\.self_attn\.[qkv]_proj", r"\1.attention.wqkv"),
    (r"language_model\.(layers\.\d+)\.self_attn\.o_proj", r"\1.attention.wo"),
    (r"language_model\.(layers\.\d+)\.mlp\.gate_proj", r"\1.feed_forward.w1"),
    (r"language_model\.(layers\.\d+)\.mlp\.up_proj", r"\1.feed_forward.w3"),
    (r"language_model\.(layers\.\d+)\.mlp\.down_proj", r"\1.feed_forward.w2"),
    (r"language_model\.(layers\.\d+)\.input_layernorm", r"\1.attention_norm"),
    (r"language_model\.(layers\.\d+)\.post_attention_layernorm", r"\1.ffn_norm"),
    (r"vqmodel\.decoder\.mid\.block_1", "decoder.mid.0"),
    (r"vqmodel\.decoder\.mid\.attn_1", "decoder.mid.1"),
    (r"vqmodel\.decoder\.mid\.block_2", "decoder.mid.2"),
    (r"vqmodel\.decoder\.up\.(\d+)\.block", r"decoder.conv_blocks.\1.res"),
    (r"vqmodel\.decoder\.up\.(\d+)", r"decoder.conv_blocks.\1"),
    (r"vqmodel\.", ""),
)
UNUSED = ("freqs_cis", "encoder.", "quant_conv.", "quantize.codebook_used")  # a table, and the encoder of images


def load_llamagen(checkpoint: Checkpoint) -> LlamaGenForImageGeneration:
    """The model in a folder of the authors' `.pt` files, or in one of them with the image tokenizer beside it.

    Raises:
        ValueError: A file or a weight is missing, unknown or of the wrong shape.
    """
    drawing, pictures = files_of(checkpoint.folder)
    config = config_of(*drawing, *pictures)
    both = {**drawing[1], **pictures[1]}
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in LlamaGenForImageGeneration(config).state_dict().items()}
    stored = {name: official(name) for name in shapes}
    _check_names(checkpoint.name, stored, both)
    found = {name: _arranged(name, both[stored[name]], config) for name in shapes}
    wrong = {stored[name] for name, shape in shapes.items() if found[name].shape != shape}
    if wrong:
        raise ValueError(f"{checkpoint.name}: weights of the wrong shape: {', '.join(sorted(wrong)[:5])}")
    model = checkpoint.built(LlamaGenForImageGeneration, config, found)
    model.config.name_or_path = config.name_or_path  # transformers writes "None": it has read no files
    return model


def official(name: str) -> str:
    """The authors' name of the weight `name`."""
    for ours, theirs in RENAMED:
        renamed, found = re.subn(f"^{ours}", theirs, name)
        if found:
            return renamed.removesuffix(".weight") if theirs.endswith("uncond_embedding") else renamed
    raise KeyError(name)


def _check_names(name: str, stored: dict[str, str], weights: Weights) -> None:
    needed = set(stored.values())
    strangers = {weight for weight in weights if weight not in needed and not weight.startswith(UNUSED)}
    for what, which in (("missing weights", needed - set(weights)), ("weights that LlamaGen has not", strangers)):
        if which:
            raise ValueError(f"{name}: {what}: {', '.join(sorted(which)[:5])}")


def _arranged(name: str, weight: Tensor, config: LlamaGenConfig) -> Tensor:
    """Queries, keys and values out of one matrix; where they turn, the pairs (0, 1), (2, 3), ... as halves."""
    for third, part in enumerate(("q_proj", "k_proj", "v_proj")):
        if part in name:
            if weight.ndim != 2 or len(weight) != 3 * config.hidden_size:
                return weight  # of the wrong shape
            rows = weight.chunk(3)[third]
            heads = rows.view(config.num_attention_heads, -1, 2, rows.shape[1])
            return rows if part == "v_proj" else heads.transpose(1, 2).reshape_as(rows)
    return weight


def config_of(file: Path, weights: Weights, vq_file: Path, vq_weights: Weights) -> LlamaGenConfig:
    """The shape of the model, read off its weights; the size of its images, off the name of its file."""
    codes, width = _shape(weights, IMAGE, 2)
    layers = _count(r"layers\.(\d+)\.", weights)
    if width % HEAD and width not in HEADS:
        raise ValueError(f"{file}: {layers} layers of width {width} are none of B, L, XL, XXL, 3B")
    vq = _vq_of(vq_weights)
    if vq["num_embeddings"] != codes:
        raise ValueError(f"{file} draws {codes} codes, and {vq_file} has {vq['num_embeddings']}")
    labels, tokens, dim = 0, 0, 0
    if LABELS in weights:
        labels = _shape(weights, LABELS, 2)[0] - 1
    else:
        tokens, dim = _shape(weights, "cls_embedding.uncond_embedding", 2)
    return LlamaGenConfig(
        name_or_path=str(file),
        vocab_size=codes,
        hidden_size=width,
        intermediate_size=_shape(weights, "layers.0.feed_forward.w1.weight", 2)[0],
        num_hidden_layers=layers,
        num_attention_heads=HEADS.get(width, width // HEAD),
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        labels=labels,
        caption_tokens=tokens,
        caption_dim=dim,
        side=side_in(file.stem, SIDES) // 2 ** (len(vq["channel_multiplier"]) - 1),
        vq=vq,
    )


def _vq_of(weights: Weights) -> dict:
    codes, dim = _shape(weights, CODEBOOK, 2)
    levels = range(max(1, _count(r"decoder\.conv_blocks\.(\d+)\.", weights)))
    widths = [_shape(weights, f"decoder.conv_blocks.{level}.res.0.conv1.weight", 4)[0] for level in levels]
    return {
        "num_embeddings": codes,
        "embed_dim": dim,
        "latent_channels": _shape(weights, "post_quant_conv.weight", 4)[0],
        "base_channels": widths[-1],
        "channel_multiplier": [width // widths[-1] for width in reversed(widths)],
        "num_res_blocks": _count(r"decoder\.conv_blocks\.0\.res\.(\d+)\.", weights) - 1,
    }


def _shape(weights: Weights, name: str, dimensions: int) -> torch.Size:
    if name not in weights:
        raise ValueError(f"missing weights: {name}")
    if weights[name].ndim != dimensions:
        raise ValueError(f"weights of the wrong shape: {name}")
    return weights[name].shape


def _count(numbered: str, weights: Weights) -> int:
    return 1 + max((int(found[1]) for name in weights if (found := re.match(numbered, name))), default=-1)


def files_of(path: Path) -> tuple[File, File]:
    """The language model and the image tokenizer among the `.pt` files of a folder, or beside the one given."""
    folder, stored = (path, saved_by_torch(path)) if path.is_dir() else (path.parent, saved_by_torch(path.parent))
    if path.is_file():  # beside it are image tokenizers, and other language models
        stored = [path, *(file for file in stored if file.name.startswith("vq") and file != path)]
    files = {file: read_weights(file) for file in stored}
    if path.is_file() and IMAGE not in files[path]:
        raise ValueError(f"{path} holds no language model: missing weights: {IMAGE}")
    models, tokenizers = ({f: w for f, w in files.items() if name in w} for name in (IMAGE, CODEBOOK))
    drawing = _only(folder, "language model", models, "name the one to draw with, as a file")
    # Of several image tokenizers the one that belongs to the language model by its name; all were trained on ds16.
    kind = drawing[0].name.partition("_")[0]
    named = {f: w for f, w in tokenizers.items() if kind in f.name and "ds16" in f.name}
    fitting = named if len(tokenizers) > 1 and named else tokenizers
    return drawing, _only(folder, "image tokenizer", fitting, "leave the one that belongs to it")


def _only(folder: Path, what: str, files: dict[Path, Weights], choice: str) -> File:
    if not files:
        raise ValueError(f"there is no {what} among the .pt and .pth files in {folder}")
    if len(files) > 1:
        raise ValueError(f"{folder} has several {what}s, {', '.join(file.name for file in files)}: {choice}")
    return next(iter(files.items()))
