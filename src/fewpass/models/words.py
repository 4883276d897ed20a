"""Words, and what tokenizers and models know of them."""

from transformers import PreTrainedTokenizerBase


def check_known(prompt: str, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise ValueError naming the words of `prompt` that would reach the model as "unknown".

    Only word-level vocabularies, like that of the bundled model, have such words.
    """
    if tokenizer.unk_token_id is None:
        return
    encoded = tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    unknown = dict.fromkeys(prompt[start:end] for token, (start, end) in pairs if token == tokenizer.unk_token_id)
    if unknown:
        words = sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
        raise ValueError(f"{name} has never seen {', '.join(map(repr, unknown))}; it knows {' '.join(words)}")


def known_word(tokenizer: PreTrainedTokenizerBase | None) -> str:
    """A word that `check_known` has nothing against."""
    if tokenizer is None or tokenizer.unk_token_id is None:
        return "0"
    words = (word for word in ("0", *tokenizer.get_vocab()) if word not in tokenizer.all_special_tokens)
    return next(w for w in words if tokenizer.unk_token_id not in tokenizer(w, add_special_tokens=False).input_ids)


def special(tokenizer: PreTrainedTokenizerBase, *names: str) -> list[str]:
    """The special tokens of these names. Raises ValueError naming the one that the tokenizer does not have."""
    known = tokenizer.special_tokens_map
    for name in names:
        if name not in known:
            raise ValueError(f"the tokenizer has no {name}: it is not that of an image model")
    return [str(known[name]) for name in names]


def named(vocabulary: dict[str, int] | None, *names: str) -> list[int]:
    """The ids of these words. Raises ValueError naming the one that the vocabulary does not have."""
    for name in names:
        if name not in (vocabulary or {}):
            raise ValueError(f"the vocabulary has no {name!r}: this is no checkpoint that draws")
    return [(vocabulary or {})[name] for name in names]


def check_vocabulary(vocabulary: dict[str, int] | None, beginning: str, name: str) -> None:
    """Raise ValueError if no word of a vocabulary has this beginning, which the words of images have."""
    if not any(word.startswith(beginning) for word in vocabulary or ()):
        raise ValueError(f"{name}: vocabulary_map in config.json has no image tokens: a text-only checkpoint")
