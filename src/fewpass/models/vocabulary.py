"""Image tokens in a vocabulary that they share with text; special tokens and unknown tokens of a tokenizer."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fewpass.core.messages import meant
from fewpass.models.files import one_line
from fewpass.models.zoo import BUNDLED
from fewpass.runtime.session import Network
from fewpass.runtime.transformer import input_device


class ImageVocabulary:
    """Canvas token v, a code or a symbol of the layout, has the id `ids[v]` in the vocabulary: [V].

    Only the part of the output head that spans these ids is computed.
    """

    def __init__(self, model: PreTrainedModel, ids: Tensor):
        words = model.get_input_embeddings().num_embeddings
        least, most = int(ids.min()), int(ids.max())
        if least < 0 or most >= words:
            raise ValueError(f"image tokens must have ids from 0 to {words - 1}, got {least} to {most}")
        self.model, self.ids = model, ids.to(input_device(model))
        self._span = slice(least, most + 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Inputs of the language model for canvas tokens: [R, n] -> [R, n, D]."""
        return self.model.get_input_embeddings()(self.ids[tokens])

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states [R, n, D] -> logits of canvas tokens [R, n, V]."""
        rows = self.rows
        if rows is None:
            return self.model.get_output_embeddings()(hidden).to(hidden.device)[..., self.ids]
        return F.linear(hidden, rows)[..., self.ids - self._span.start]

    def network(self, body: PreTrainedModel, codes: Tensor) -> Network:
        """The network of the language model `body`, whose image codes have the vectors `codes` [codes, D]."""
        return Network.of(body, self.embed, self.logits, codes)

    @property
    def rows(self) -> Tensor | None:
        """The part of the head, [span, D]; None if it is quantised, or waits elsewhere until it is called."""
        head = self.model.get_output_embeddings()
        plain = type(head) is nn.Linear and head.bias is None and "_hf_hook" not in vars(head)
        return head.weight[self._span] if plain and not head.weight.is_meta else None


MOST, LONGEST = 5, 40  # words in a message, and letters of one


def check_known(prompt: str, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise ValueError naming the words of `prompt` that its tokenizer maps to its unknown token, and those near.

    Only word-level vocabularies, like that of `emoji`, have such words.
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
    """A prompt through the chat template of its tokenizer, if there is one.

    Raises:
        ValueError: The template fails.
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
    ids = mapping.img2bpe
    if not ids:
        raise ValueError(f"{name}: vocabulary_map in config.json has no image tokens: a text-only checkpoint")
    absent = next((code for code in range(len(ids)) if code not in ids), None)
    if absent is not None:
        raise ValueError(f"{name}: vocabulary_map in config.json has no image token for code {absent}")
    return [ids[code] for code in range(len(ids))]


def known_text(tokenizer: PreTrainedTokenizerBase | None) -> str:
    """A text that `check_known` accepts."""
    if tokenizer is None or tokenizer.unk_token_id is None:
        return "a cat"
    texts = ("a cat", *sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)))
    return next(t for t in texts if tokenizer.unk_token_id not in tokenizer(t, add_special_tokens=False).input_ids)


def special(tokenizer: PreTrainedTokenizerBase, *names: str) -> list[str]:
    """The special tokens of these names; ValueError names one that the tokenizer lacks."""
    known = tokenizer.special_tokens_map
    for name in names:
        if name not in known:
            raise ValueError(f"the tokenizer has no {name}: it is not that of an image model")
    return [str(known[name]) for name in names]


def named(vocabulary: dict[str, int] | None, *names: str) -> list[int]:
    """The ids of these tokens; ValueError names one that the vocabulary lacks."""
    for name in names:
        if name not in (vocabulary or {}):
            raise ValueError(f"the vocabulary has no {name!r}: this is no checkpoint that draws")
    return [(vocabulary or {})[name] for name in names]
