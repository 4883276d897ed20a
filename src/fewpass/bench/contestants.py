"""Which decoders a benchmark is of."""

from collections.abc import Sequence

from fewpass.bench import replay
from fewpass.bench.task import Task
from fewpass.core.protocol import Decoder, SessionInfo, bind
from fewpass.decoders.recipes import RECIPES
from fewpass.decoders.recipes import decoder as decoder_of

EVERY = "all"


def contestants(asked: str | None, otherwise: Sequence[str]) -> list[Decoder]:
    """Those asked for, with ; between them or all, or else the others; autoregression first.

    Raises ValueError for one that there is not.
    """
    spellings = otherwise
    if asked is not None:
        spellings = list(RECIPES) if asked.strip() == EVERY else [word for word in asked.split(";") if word.strip()]
        if not spellings:
            raise ValueError(f"there is no decoder in {asked!r}")
    return list({str(decoder): decoder for decoder in map(decoder_of, ["ar", *spellings])}.values())


def fitting(task: Task, chosen: Sequence[Decoder], replayed: bool) -> tuple[list[Decoder], list[ValueError]]:
    """Those that the model will do for, and what is wrong with the others; `replayed` are to follow traces."""
    good, wrong = list[Decoder](), list[ValueError]()
    for decoder in chosen:
        try:
            bind(decoder, SessionInfo(task.settings.grid, task.model.network.codebook))
            if replayed:
                replay.check(decoder)
        except ValueError as error:
            wrong.append(error)
        else:
            good.append(decoder)
    return good, wrong
