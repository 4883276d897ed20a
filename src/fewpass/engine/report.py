"""What a drawing cost: in words, and in the words of JSON."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewpass.engine.result import Result


def law(lossless: bool | None) -> str:
    return {True: "lossless", False: "lossy", None: "nobody knows"}[lossless]


def image_line(result: "Result", image: int) -> str:
    """One image: `seed 7, 61 forward passes where autoregression needs 256, 4.20 tokens per pass`."""
    trace = result.trace
    return (
        f"seed {result.seeds[image]}, {trace.passes[image]} forward passes where autoregression needs "
        f"{trace.committed.shape[1]}, {trace.tokens_per_pass[image]:.2f} tokens per pass"
    )


def total_line(images: int, seconds: float, loading: float, decoder: str, lossless: bool | None) -> str:
    """All images: `2 images in 1.3 s, after 6.2 s of loading; sjd(window=15, guess=uniform): lossless`."""
    count = f"{images} image{'s' * (images != 1)}"
    return f"{count} in {seconds:.1f} s, after {loading:.1f} s of loading; {decoder}: {law(lossless)}"


def record(result: "Result", image: int) -> dict[str, Any]:
    """What it takes to draw one image again, and its trace; the seconds are those of all images drawn with it."""
    import torch

    from fewpass import __version__

    trace = result.trace
    return {
        **result.settings[image],
        "versions": {"fewpass": __version__, "torch": torch.__version__},
        "trace": {
            "passes": int(trace.passes[image]),
            "tokens_per_pass": round(float(trace.tokens_per_pass[image]), 4),
            "seconds": round(trace.seconds, 4),
            "model_seconds": round(trace.model_seconds, 4),
            "images_together": len(result.images),
            "committed": trace.committed[image].tolist(),
            "asked": trace.asked[image, : int(trace.passes[image])].tolist(),
        },
    }
