"""The two nodes: a loader and a sampler."""

import time
from pathlib import Path
from typing import Any, ClassVar

import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import torch
from torch import Tensor

import fewpass
from fewpass.core.canvas import Canvas

OWN = -1  # value of a widget that stands for the model's own
MODELS = "fewpass"  # folder of checkpoints in ComfyUI's `models`
PREVIEW = 512  # pixels
SEEDS = 2**63  # number of seeds; ComfyUI has 2**64
FIRST = "jacobi_ngram"  # in the list of decoders, which makes it the default
PREVIEW_EVERY = 1.0  # seconds


class Loader:
    """Node that loads a model by a name of `fewpass.load`, or the name of a folder in `models/fewpass`."""

    CATEGORY = "fewpass"
    DESCRIPTION = "Loads an autoregressive text-to-image model: a folder in transformers' format, or a hub repository."
    FUNCTION = "load"
    RETURN_TYPES = ("FEWPASS_PIPELINE",)
    RETURN_NAMES = ("pipeline",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """Widgets and inputs of the node."""
        tip = "emoji is the bundled model; else a folder, the name of one in models/fewpass, or a hub repository"
        return {
            "required": {
                "model": ("STRING", {"default": "emoji", "tooltip": tip}),
                "device": (["default", "cpu", "cuda"],),
                "dtype": (["default", "bfloat16", "float16", "float32"],),
            }
        }

    def load(self, model: str, device: str, dtype: str) -> tuple[fewpass.Pipeline]:
        """Load the model. Raises ValueError for one that is missing or of an unknown family."""
        own = Path(folder_paths.models_dir, MODELS, model)
        return (fewpass.load(own if own.is_dir() else model, _place(device), None if dtype == "default" else dtype),)


def _place(device: str) -> str | None:
    """The device chosen; by default that of ComfyUI, if fewpass supports it."""
    if device != "default":
        return device
    host = torch.device(comfy.model_management.get_torch_device())
    return str(host) if host.type in ("cpu", "cuda") else None


class Sampler:
    """Node that draws images of a prompt, with a preview, until they are finished or the user interrupts."""

    CATEGORY = "fewpass"
    DESCRIPTION = "Draws images of a prompt. -1 (for the size 0) is the model's own value."
    FUNCTION = "draw"
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("images", "cost")
    OUTPUT_TOOLTIPS: ClassVar = ("the images", "forward passes of each image")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """Widgets and inputs of the node."""
        names = sorted(fewpass.RECIPES, key=lambda name: name != FIRST)
        return {
            "required": {
                "pipeline": ("FEWPASS_PIPELINE",),
                "prompt": ("STRING", {"multiline": True, "default": "two stars on a blue background"}),
                "negative_prompt": ("STRING", {"multiline": True, "default": ""}),
                "seed": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 2**64 - 1,
                        "control_after_generate": True,
                        "tooltip": "taken modulo 2**63: fewpass has 63 bits",
                    },
                ),
                "images": (
                    "INT",
                    {"default": 1, "min": 1, "max": 256, "tooltip": "batch size; seeds count up"},
                ),
                "decoder": (names,),
                "decoder_options": ("STRING", {"default": "", "tooltip": "such as window=16, guess=left"}),
                "guidance": ("FLOAT", {"default": OWN, "min": OWN, "max": 100.0, "step": 0.1}),
                "temperature": ("FLOAT", {"default": OWN, "min": OWN, "max": 10.0, "step": 0.05}),
                "top_k": ("INT", {"default": OWN, "min": OWN, "max": 2**20}),
                "top_p": ("FLOAT", {"default": OWN, "min": OWN, "max": 1.0, "step": 0.01}),
                "width": ("INT", {"default": 0, "min": 0, "max": 8192, "step": 8}),
                "height": ("INT", {"default": 0, "min": 0, "max": 8192, "step": 8}),
            },
            "optional": {  # behind the others, and not needed by workflows of earlier versions
                "min_p": ("FLOAT", {"default": OWN, "min": OWN, "max": 1.0, "step": 0.01}),
            },
        }

    def draw(
        self,
        pipeline: fewpass.Pipeline,
        prompt: str,
        negative_prompt: str,
        seed: int,
        images: int,
        decoder: str,
        decoder_options: str,
        guidance: float,
        temperature: float,
        top_k: int,
        top_p: float,
        width: int,
        height: int,
        min_p: float = OWN,
    ) -> tuple[Tensor, str]:
        """Draw images: IMAGE [B, H, W, 3] float32 in 0..1. Raises ValueError naming the value that is out of range."""
        if (width == 0) != (height == 0):
            raise ValueError(f"give width and height, or 0 for both; not {width} and {height}")
        result = pipeline(
            prompt,
            decoder=f"{decoder}({decoder_options})" if decoder_options.strip() else decoder,
            guidance=_given(guidance),
            temperature=_given(temperature),
            top_k=None if top_k == OWN else top_k,
            top_p=_given(top_p),
            min_p=_given(min_p),
            seed=[(seed + i) % SEEDS for i in range(images)],
            size=(width, height) if width else None,
            negative_prompt=negative_prompt if negative_prompt.strip() else None,
            on_step=_Watcher(pipeline),
        )
        pixels = np.stack([np.asarray(image.convert("RGB")) for image in result.images])
        return torch.from_numpy(pixels).float() / 255, _cost(result)


def _given(value: float) -> float | None:
    return None if value == OWN else value


def _cost(result: fewpass.Result) -> str:
    """Forward passes, a line for each image."""
    trace, tokens = result.trace, result.tokens.shape[1]
    return "\n".join(
        f"seed {seed}: {passes} forward passes for {tokens} tokens, {tokens / passes:.2f} tokens per pass"
        for seed, passes in zip(result.seeds, trace.passes.tolist(), strict=True)
    )


class _Watcher:
    """Reports every pass to ComfyUI, and raises its interrupt."""

    def __init__(self, pipeline: fewpass.Pipeline):
        self.pipeline, self.bar, self.shown = pipeline, None, time.monotonic()

    def __call__(self, canvas: Canvas) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        done, total = int(canvas.final.sum()), canvas.final.numel()
        if self.bar is None:
            self.bar = comfy.utils.ProgressBar(total)
        preview = None
        if done < total and time.monotonic() - self.shown >= PREVIEW_EVERY:
            preview = ("JPEG", self.pipeline.render(canvas)[0], PREVIEW)
            self.shown = time.monotonic()
        self.bar.update_absolute(done, total, preview)
