"""Stage 3: export files in LlamaGen's format, and a notice of the photographs.

python -m training.photo.export --vq runs/photo/vq/last --transformer runs/photo/gpt/last --to DIR
"""

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor

from fewpass.models.llamagen.network import LlamaGenForImageGeneration
from fewpass.models.llamagen.weights import official

from .. import checkpoint
from . import autoencoder
from .crops import SIDE
from .shape import config
from .subjects import PHOTOGRAPHS, SUBJECTS

GUIDANCE = 3.0
GPT, VQ = "c2i_photo.pt", "vq_ds8_photo.pt"
LICENCES = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "public domain": "no known copyright",
}


def published(model: LlamaGenForImageGeneration) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of the transformer and of the image tokenizer with the names of LlamaGen's files, in bfloat16.

    Queries, keys and values are one matrix there, and the two channels of a rotary pair are adjacent.
    """
    heads, state, gpt, vq = model.config.num_attention_heads, model.state_dict(), {}, {}
    for name, weight in state.items():
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            continue
        if name.endswith("q_proj.weight"):
            q, k, v = (state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj"))
            weight = torch.cat([*(_in_pairs(part, heads) for part in (q, k)), v])
        part = vq if name.startswith("vqmodel.") else gpt
        part[official(name)] = weight.to(torch.bfloat16).contiguous().clone()
    return gpt, vq


def _in_pairs(weight: Tensor, heads: int) -> Tensor:
    """Rows in halves, as transformers rotates them, to pairs (0, 1), (2, 3), ..."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape_as(weight)


def assemble(vq: Path, transformer: Path) -> LlamaGenForImageGeneration:
    """The whole model from the stages' checkpoints."""
    saved = checkpoint.load(transformer)
    assert saved is not None, transformer
    model = LlamaGenForImageGeneration(config())
    missing, unexpected = model.load_state_dict(saved["average"], strict=False)
    assert not unexpected, unexpected
    assert all(name.startswith("vqmodel.") for name in missing), missing
    model.vqmodel.load_state_dict(autoencoder.load(vq).vq.state_dict())
    return model.eval()


def notice() -> str:
    """NOTICE.md: authors and licences of the photographs."""
    lines = [
        "# The photographs behind `photo`",
        "",
        "The weights in this folder were trained on random crops of these photographs, resized, mirrored and changed",
        "in colour. The photographs are not part of the package. The weights are licensed under Apache-2.0; their",
        "use is not endorsed by the authors of the photographs.",
        "",
        "| photograph | author | licence | taken from | subjects |",
        "|---|---|---|---|---|",
    ]
    for name, photograph in PHOTOGRAPHS.items():
        subjects = ", ".join(subject.name for subject in SUBJECTS if subject.photograph == name)
        package = photograph.package.partition(":")[2]
        lines.append(
            f"| {photograph.title} (`{Path(photograph.file).name}`) | {photograph.author} | {photograph.licence} |"
            f" `{package}` | {subjects} |"
        )
    lines += ["", *(f"* {licence}: {text}" for licence, text in LICENCES.items()), ""]
    return "\n".join(lines)


def description() -> dict:
    """fewpass.json: settings that the files of weights do not contain."""
    return {"size": SIDE, "classes": [subject.name for subject in SUBJECTS], "guidance": GUIDANCE, "top_k": 0}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vq", type=Path, required=True, help="checkpoint folder of stage 1")
    options.add_argument("--transformer", type=Path, required=True, help="checkpoint folder of stage 2")
    options.add_argument("--to", type=Path, required=True, help="folder for the files")
    given = options.parse_args()
    gpt, vq = published(assemble(given.vq, given.transformer))
    given.to.mkdir(parents=True, exist_ok=True)
    torch.save({"model": gpt}, given.to / GPT)
    torch.save({"model": vq}, given.to / VQ)
    (given.to / "fewpass.json").write_text(json.dumps(description(), indent=1) + "\n")
    (given.to / "NOTICE.md").write_text(notice())
    for file in sorted(given.to.iterdir()):
        print(f"{file.name}: {math.ceil(file.stat().st_size / 1000)} kB")


if __name__ == "__main__":
    main()
