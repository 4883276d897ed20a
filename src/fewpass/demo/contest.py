"""What was typed into the page, as a race."""

from collections.abc import Callable

from fewpass.core.protocol import Decoder
from fewpass.decoders.recipes import ar
from fewpass.decoders.recipes import decoder as decoder_of
from fewpass.demo.drawing import Stream
from fewpass.demo.race import Race
from fewpass.engine.seeds import assign
from fewpass.pipeline import Pipeline

WARM_UP = 4  # passes


def contest(
    pipe: Pipeline,
    prompt: str,
    spelling: str | None,
    window: float | None,
    guidance: float | None,
    seed: str,
    stopped: Callable[[], bool] = lambda: False,
) -> Race:
    """`ar` and the decoder spelled, drawing the same prompt with the same seed and settings.

    The first passes of a kind are slow, so each decoder has some before the race, unless that is `stopped`.

    Raises ValueError naming what will not do.
    """
    if not spelling:
        raise ValueError("choose a decoder")
    rival, (number,) = decoder_of(spelling), assign(_whole(seed), 1)
    if window is not None:
        rival = rival.with_options(window=window)

    def drawing(decoder: Decoder) -> Stream:
        return Stream(pipe, pipe.job(prompt, decoder=decoder, guidance=guidance, seed=number))

    for decoder in (ar(), rival):
        if not stopped():
            for _ in zip(range(WARM_UP), drawing(decoder), strict=False):
                if stopped():
                    break
    return Race([drawing(ar()), drawing(rival)])


def _whole(seed: str) -> int | None:
    """None, for any seed, if nothing was typed."""
    try:
        return int(seed) if seed.strip() else None
    except ValueError:
        raise ValueError(f"a seed must be a whole number, not {seed!r}") from None
