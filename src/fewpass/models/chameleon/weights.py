"""What the published checkpoints of Chameleon's descendants have, and what transformers expects of them."""

from transformers import ChameleonForConditionalGeneration

from fewpass.models.checkpoint import Checkpoint
from fewpass.models.vocabulary import ImageVocabulary

WORDS = "IMGIMG"  # how the words of images begin
NORMS = ("q_norm.weight", "q_norm.bias", "k_norm.weight", "k_norm.bias")


def load_chameleon(checkpoint: Checkpoint) -> ChameleonForConditionalGeneration:
    """The model of transformers.

    Lumina-mGPT has no VQGAN among its weights, whose encoder is not needed to draw, and stores the norms of queries
    and keys once for all heads that share them.
    """

    def spread(model: ChameleonForConditionalGeneration, wrong: list[str]) -> list[str]:
        stored = checkpoint.tensors(lambda name: name in wrong and name.endswith(NORMS))
        parameters, open_ = dict(model.named_parameters()), set(wrong)
        for name, norm in stored.items():
            heads = parameters[name]
            if heads.shape[1:] == norm.shape[1:] and len(heads) % len(norm) == 0:
                heads.data.copy_(norm.repeat_interleave(len(heads) // len(norm), 0))
                open_.remove(name)
        return sorted(open_)

    return checkpoint.weights(ChameleonForConditionalGeneration, absent="model.vqmodel.", mend=spread)


def vocabulary_of_shape(words: int, codes: int) -> dict[str, int]:
    """For a shape that comes without one: `<s>`, the codes from 4 on, the layout's own words last."""
    letters = (f"{WORDS}{''.join(chr(ord('A') + int(digit)) for digit in str(code))}Z" for code in range(codes))
    layout = ["<image>", "<racm3:break>", "<eoss>", *(f"<reserved{n:05d}>" for n in (8706, 8799, *range(8801, 8899)))]
    coded = {word: 4 + code for code, word in enumerate(letters)}
    return {"<s>": 0} | coded | {word: words - len(layout) + n for n, word in enumerate(layout)}


def check_enabled(vocabulary: ImageVocabulary, codes: int, entries: int, name: str) -> None:
    """Raise ValueError if the head's rows of the codes are empty, as where image output has been disabled.

    Or if there are not as many codes as `entries` in the codebook: Lumina-mGPT 2.0 also calls itself a Chameleon.
    """
    if codes != entries:
        raise ValueError(f"{name} has {codes} image tokens for a codebook of {entries}: not a descendant of Chameleon")
    rows = vocabulary.rows
    if rows is not None and not rows[vocabulary.ids[:codes] - vocabulary.ids.min()].any():
        raise ValueError(f"{name}: image output is disabled, the image rows of lm_head are all zero")
