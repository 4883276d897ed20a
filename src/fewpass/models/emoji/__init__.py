"""`emoji`, a bundled model: a small Janus that draws emoji; `training/scenes.py` parses its prompts."""

from pathlib import Path


def evaluation_prompts() -> list[str]:
    """500 prompts that were held out of training; single, count and relation prompts take turns."""
    return Path(__file__).with_name("evaluation.txt").read_text(encoding="utf-8").splitlines()
