"""Stage 3: export a folder that transformers and fewpass load.

python -m training.export --vq runs/vq/last --transformer runs/janus/last --to DIR
"""

import argparse
import shutil
from pathlib import Path

import torch
from transformers import JanusForConditionalGeneration, JanusProcessor
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from . import checkpoint
from .architecture import adopt_vq, new_janus
from .presets import PRESETS, Preset
from .sources import transformer_weights, vq_weights
from .transformer import UNTRAINED
from .words import new_tokenizer

SHARD = "15MB"  # largest file of weights, for hosts that limit the size of a file


def export(model: JanusForConditionalGeneration, preset: Preset, folder: Path) -> None:
    """Write weights, configuration, tokenizer and processor; `folder` is replaced atomically."""
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh, max_shard_size=SHARD)
    images = JanusImageProcessorPil(
        size={"height": preset.image, "width": preset.image}, min_size=8, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    JanusProcessor(images, new_tokenizer(), num_image_tokens=preset.rows**2).save_pretrained(fresh)
    for file in fresh.iterdir():
        file.chmod(0o644)  # safetensors writes files that only the owner can read
    checkpoint.replace(fresh, folder, old)


def assemble(preset: Preset, vq: Path | None, transformer: Path | None) -> JanusForConditionalGeneration:
    """The whole model from the stages' checkpoint folders; random weights for a stage without a folder."""
    torch.manual_seed(0)
    model = new_janus(preset)
    if transformer is not None:
        weights = transformer_weights(transformer)
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert not unexpected, unexpected
        assert all(name.startswith((*UNTRAINED, "lm_head.")) for name in missing), missing  # lm_head is tied
    if vq is not None:
        adopt_vq(model, vq_weights(vq))
    return model.float().eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--vq", type=Path, help="checkpoint folder of stage 1")
    parser.add_argument("--transformer", type=Path, help="checkpoint folder of stage 2")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    preset = PRESETS[options.preset]
    export(assemble(preset, options.vq, options.transformer), preset, options.to)


if __name__ == "__main__":
    main()
