"""How a checkpoint says that it is to be used."""

from transformers import GenerationConfig

from fewpass.core.sampling import Sampling


def sampling_of(config: GenerationConfig, otherwise: Sampling) -> Sampling:
    """What generation_config.json asks for; what it leaves open is as its authors draw, `otherwise`."""
    return Sampling(
        otherwise.temperature if config.temperature is None else config.temperature,
        otherwise.top_k if config.top_k is None else config.top_k,
        otherwise.top_p if config.top_p is None else config.top_p,
        otherwise.min_p if config.min_p is None else config.min_p,
    )


def first(token: int | list[int]) -> int:
    """Configurations give one end token or several."""
    return token if isinstance(token, int) else token[0]
