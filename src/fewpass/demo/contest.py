"""What was typed into the page, as a race."""

from fewpass.cli.inputs import read_decoder
from fewpass.decoders import Decoder
from fewpass.demo.drawing import Stream
from fewpass.demo.race import Race
from fewpass.pipeline import Pipeline
from fewpass.recipes import ar
from fewpass.seeds import assign

WARM_UP = 4  # passes


def contest(
    pipe: Pipeline, prompt: str, spelling: str | None, window: float | None, guidance: float | None, seed: str
) -> Race:
    """`ar` and the decoder spelled, drawing the same prompt with the same seed and settings.

    Raises ValueError naming what will not do.
    """
    if not spelling:
        raise ValueError("choose a decoder")
    rival, (number,) = read_decoder(spelling, window), assign(_whole(seed), 1)  # type: ignore[arg-type]

    def drawing(decoder: Decoder) -> Stream:
        return Stream(pipe, pipe.job(prompt, decoder=decoder, guidance=guidance, seed=number))

    for decoder in (ar(), rival):  # the first passes of a kind are slow, which is nobody's fault
        for _ in zip(range(WARM_UP), drawing(decoder), strict=False):
            pass
    return Race([drawing(ar()), drawing(rival)])


def _whole(seed: str) -> int | None:
    """None, for any seed, if nothing was typed."""
    try:
        return int(seed) if seed.strip() else None
    except ValueError:
        raise ValueError(f"a seed must be a whole number, not {seed!r}") from None
