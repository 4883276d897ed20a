"""The text tokenizer: one id per word of the vocabulary, in the format of `tokenizer.json`."""

from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from training.scenes import vocabulary

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
BOI, EOI, IMAGE = "<begin_of_image>", "<end_of_image>", "<image_placeholder>"
SPECIAL = (PAD, BOS, EOS, UNK, BOI, EOI, IMAGE)


@cache
def token_ids() -> dict[str, int]:
    return {word: number for number, word in enumerate((*SPECIAL, *vocabulary().words))}


def new_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that lower-cases, splits at spaces and puts BOS first; a word outside the vocabulary is `<unk>`."""
    ids = token_ids()
    core = Tokenizer(WordLevel(dict(ids), unk_token=UNK))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, ids[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        extra_special_tokens={"boi_token": BOI, "eoi_token": EOI, "image_token": IMAGE},
    )


def save_tokenizer(folder: Path) -> None:
    new_tokenizer().save_pretrained(folder)


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return new_tokenizer()


def encode(prompt: str) -> list[int]:
    """Ids of BOS, the words and BOI; image tokens follow."""
    ids = _tokenizer()(prompt + BOI)["input_ids"]
    if token_ids()[UNK] in ids:
        raise ValueError(f"prompt {prompt!r} holds a word outside the vocabulary")
    return ids


def unconditional(ids: list[int]) -> list[int]:
    """The unconditional prompt of Janus: all ids but BOS and BOI are replaced by pads, which are attended to."""
    special = token_ids()
    return [token if token in (special[BOS], special[BOI]) else special[PAD] for token in ids]
