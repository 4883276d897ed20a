"""Errors of models, one line each. Nothing here loads torch."""

ADVICE = {
    "float16": 'load it with dtype="bfloat16" or dtype="float32", whose range is larger',
    "bfloat16": 'load it with dtype="float32"',
}


class ModelError(RuntimeError):
    """The model's output cannot be used: no image is drawn from it."""


class OutOfMemory(MemoryError):
    """The device has too little memory, even for fewer images at once."""


def not_finite(output: str, values: str, dtype: object) -> ModelError:
    """The error for an `output` of the model, computed in `dtype`, that contains `values` such as NaN."""
    name = str(dtype).removeprefix("torch.")
    advice = ADVICE.get(name, "its weights may be damaged, `fewpass check` tests them")
    return ModelError(f"the model's {output} contain {values} in {name}, so no image can be drawn: {advice}")
