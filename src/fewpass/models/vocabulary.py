"""Image tokens in a vocabulary that they share with text; special tokens and unknown tokens of a tokenizer."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fewpass.core.messages import meant
from fewpass.models.weights import one_line
from fewpass.models.zoo import BUNDLED
from fewpass.runtime.transformer import input_device


class ImageVocabulary:
    """Canvas token v, a code or a symbol of the layout, is the word `ids[v]` of the model: [V].

    Only that part of the output head is computed in which these words are.
    """

    def __init__(self, model: PreTrainedModel, ids: Tensor):
        words = model.get_input_embeddings().num_embeddings
        if int(ids.max()) >= words:
            raise ValueError(f"{model.config.name_or_path}: {int(ids.max())} is no id of an image token below {words}")
        self.model, self.ids = model, ids.to(input_device(model))
        self._span = slice(int(ids.min()), int(ids.max()) + 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """What the language model reads for canvas tokens: [R, n] -> [R, n, D]."""
        return self.model.get_input_embeddings()(self.ids[tokens])

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states [R, n, D] -> logits of canvas tokens [R, n, V]."""
        rows = self.rows
        if rows is None:
            return self.model.get_output_embeddings()(hidden).to(hidden.device)[..., self.ids]
        return F.linear(hidden, rows)[..., self.ids - self._span.start]

    @property
    def rows(self) -> Tensor | None:
        """The part of the head, [span, D]; None if it is quantised, or waits elsewhere until it is called."""
        head = self.model.get_output_embeddings()
        plain = type(head) is nn.Linear and head.bias is None and "_hf_hook" not in vars(head)
        return head.weight[self._span] if plain and not head.weight.is_meta else None


MOST, LONGEST = 5, 40  # words in a message, and letters of one


def check_known(prompt: str, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise ValueError naming the words of `prompt` that its tokenizer maps to its unknown token, and those near.

    Only word-level vocabularies, like that of the bundled model, have such words.
    """
    if tokenizer.unk_token_id is None:
        return
    encoded = tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    unknown = list(dict.fromkeys(prompt[at:to] for token, (at, to) in pairs if token == tokenizer.unk_token_id))
    if unknown:
        words = sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
        told = ", ".join(repr(word[:LONGEST]) + meant(word, words) for word in unknown[:MOST])
        more = f", and {len(unknown) - MOST} more" if len(unknown) > MOST else ""
        where = f"`fewpass models {name}`" if name in BUNDLED else "its tokenizer.json"
        raise ValueError(f"unknown to {name}: {told}{more}; {where} lists all {len(words)} words")


def as_message(prompt: str, tokenizer: PreTrainedTokenizerBase, name: str, **options: bool) -> str:
    """What the chat template makes of a prompt; the prompt itself if there is none.

    Raises ValueError if the template will not do.
    """
    if not tokenizer.chat_template:
        return prompt
    message = {"role": "user", "content": [{"type": "text", "text": prompt}]}
    try:
        return tokenizer.apply_chat_template([message], tokenize=False, **options)
    except Exception as error:  # a template is a program
        raise ValueError(f"{name}: the chat template of the tokenizer fails: {one_line(error)}") from error


def codes_in_order(mapping: Any, name: str) -> list[int]:
    """The ids of the image tokens in a `vocabulary_mapping` of transformers, that of code 0 first.

    Raises ValueError naming a code without one.
    """
    try:
        ids = mapping.img2bpe
    except ValueError as error:
        raise ValueError(f"{name}: vocabulary_map in config.json: {one_line(error)}") from None
    absent = next((code for code in range(len(ids)) if code not in ids), None)
    if absent is not None:
        raise ValueError(f"{name}: vocabulary_map in config.json has no image token for code {absent}")
    return [ids[code] for code in range(len(ids))]


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
