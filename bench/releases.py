"""The official code of LlamaGen, SJD and ZipAR, imported unchanged from checkouts, as functions that draw.

Names that the SJD release needs and that a CPU or the installed transformers lacks are supplied in memory; they are
listed in docs/comparison.md.
"""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.generation import logits_process

from fewpass.engine.result import Result
from fewpass.models.llamagen.weights import UNUSED
from fewpass.pipeline import Pipeline

Draw = Callable[[Sequence[int]], Tensor]  # classes [B] -> tokens [B, N]
Pixels = Callable[[Tensor], Tensor]  # tokens [B, N] -> uint8 [B, H, W, 3]


@dataclass
class Task:
    """A model, its files with their weights, and the options that all decoders share."""

    pipe: Pipeline
    files: tuple[Any, Any]
    guidance: float
    window: int

    def __post_init__(self) -> None:
        self.config = self.pipe.model.model.config
        self.tokens = self.config.side**2

    def fewpass(self, classes: Sequence[int], seed: int, decoder: str, temperature: float = 1.0) -> Result:
        seeds = [seed + i for i in range(len(classes))]
        sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
        return self.pipe(list(classes), seed=seeds, decoder=decoder, guidance=self.guidance, **sampling)


@contextmanager
def modules_of(checkout: Path) -> Iterator[Callable[[str], Any]]:
    """Import modules of a checkout, and forget their names afterwards: other checkouts have the same ones."""
    sys.path.insert(0, str(checkout))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(checkout))
        names = {path.stem for path in checkout.iterdir()}
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]


def transformer(gpt: Any, task: Task) -> nn.Module:
    """The official class with exactly the weights of the file."""
    config = task.config
    sizes = {"dim": config.hidden_size, "n_layer": config.num_hidden_layers, "n_head": config.num_attention_heads}
    sizes |= {"vocab_size": config.vocab_size, "num_classes": config.labels, "block_size": task.tokens}
    inner = config.intermediate_size  # the class rounds up to a multiple of it
    model = gpt.Transformer(
        gpt.ModelArgs(**sizes, multiple_of=inner, ffn_dim_multiplier=inner / config.hidden_size / 4)
    )
    model.load_state_dict(task.files[0][1], strict=True)
    return model.eval()


def llamagen(task: Task, checkout: Path, zipar_window: int = 0, sample: bool = True) -> tuple[nn.Module, Draw]:
    """LlamaGen's own code, or that of ZipAR, which is a copy of it with another `generate`."""
    with modules_of(checkout) as load:
        gpt = load("autoregressive.models.gpt")
        official = load(f"autoregressive.models.generate{'_zipar' * bool(zipar_window)}")
    model = transformer(gpt, task)
    sampling = {"cfg_scale": task.guidance, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "sample_logits": sample}

    def draw(classes: Sequence[int]) -> Tensor:
        if zipar_window:
            model.zipar_window_size = zipar_window
            model.reset_zipar()
        return official.generate(model, torch.tensor(classes), task.tokens, **sampling).long()

    return model, draw


def sjd(task: Task, checkout: Path) -> tuple[nn.Module, Draw]:
    """The release's path for LlamaGen. Its window counts inputs, one more than drafts."""
    supply_modules()
    with modules_of(checkout) as load:
        gpt, solver = load("llamagen.llamagen"), load("llamagen.llamagen_solver")
        jacobi = load("scheduler.jacobi_iteration_lumina_mgpt")
    solver.BackboneOutput = SimpleNamespace  # transformers' outputs now rename the cache
    model, inputs = transformer(gpt, task), task.window + 1
    model.img_vocab = torch.arange(task.config.vocab_size)
    settings = {
        "jacobi_loop_interval_r": task.tokens - inputs - 2,  # as in the release's script; behind it, one by one
        "max_num_new_tokens": inputs,
        "guidance_scale": task.guidance,
        "seed": None,
        "use_chameleon_tokenizer": False,
    }
    for renew in (solver.renew_llamagen, jacobi.renew_sampler):
        model.__class__ = renew(model.__class__)
        model._init_new_params(**settings)
    model.__class__ = type("Supplied", (SuppliedMethods, model.__class__), {})
    solving = solver.LlamaGenSolver(model, image_top_k=task.config.vocab_size, image_top_p=1.0)
    start = solving._init_model_kwargs
    solving._init_model_kwargs = lambda **given: start(**given) | {"past_key_values": ListCache()}

    def draw(classes: Sequence[int]) -> Tensor:
        with redirect_stdout(None), patch.multiple(torch.cuda, Event=MagicMock, synchronize=MagicMock()):
            return solving.generate(torch.tensor(classes), task.tokens, cfg_scale=task.guidance)

    return model, draw


def official_pixels(task: Task, checkout: Path) -> Pixels:
    """The official classes with exactly the weights of the file that decoding uses."""
    with modules_of(checkout) as load:
        vq = load("tokenizer.tokenizer_image.vq_model")
    shape, side = task.config.vq, task.config.side
    latents, width = shape["latent_channels"], shape["embed_dim"]
    sizes = {"ch": shape["base_channels"], "ch_mult": shape["channel_multiplier"], "z_channels": latents}
    quantize = vq.VectorQuantizer(shape["num_embeddings"], width, 0.25, 0.0, l2_norm=True, show_usage=False)
    decoder = vq.Decoder(num_res_blocks=shape["num_res_blocks"], **sizes)
    widen = nn.Conv2d(width, latents, 1)
    parts = nn.ModuleDict({"quantize": quantize, "post_quant_conv": widen, "decoder": decoder}).eval()
    weights = task.files[1][1]
    parts.load_state_dict({name: weights[name] for name in weights if not name.startswith(UNUSED)}, strict=True)

    def pixels(tokens: Tensor) -> Tensor:
        codes = quantize.get_codebook_entry(tokens, (len(tokens), width, side, side))
        image = 127.5 * (decoder(widen(codes)).clamp(-1, 1) + 1)
        return image.round().to(torch.uint8).permute(0, 2, 3, 1)

    return pixels


def supply_modules() -> None:
    """Modules and names that the release imports, where they are missing."""
    if not hasattr(logits_process, "LogitsWarper"):
        logits_process.LogitsWarper = logits_process.LogitsProcessor
    supplied = {"absl": {"logging": logging}, "transformers.modeling_attn_mask_utils": {"AttentionMaskConverter": None}}
    for name, contents in supplied.items():
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(contents)


class SuppliedMethods:
    """Methods of transformers' generation as they were in 4.47."""

    def _extract_past_from_model_output(self, outputs: Any) -> tuple[str, Any]:
        return "past_key_values", outputs.past_key_values

    def _has_unfinished_sequences(self, finished: Any, synced_gpus: bool, **_: object) -> bool:
        return not finished


class ListCache(DynamicCache):
    """Keys and values in one list each, by layer."""

    def __init__(self) -> None:
        super().__init__()
        self.key_cache: list[Tensor] = []
        self.value_cache: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.key_cache)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.key_cache[0].shape[-2] if self.key_cache else 0
