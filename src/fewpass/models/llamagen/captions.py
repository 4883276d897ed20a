"""LlamaGen's text encoder: captions, cleaned as in training, become features by T5."""

import html
import io
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self
from urllib.parse import unquote_plus

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from fewpass.models.checkpoint import Checkpoint
from fewpass.models.hub import fetch

Rules = tuple[tuple[str, str], ...]

SITE = r"[a-z0-9.\-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@)"
SUFFIXES = "(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)"
DASHES = r"\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0"
DASHES += r"\ufe31\ufe32\ufe58\ufe63\uff0d"

ADDRESSES: Rules = (
    ("<person>", "person"),  # or it would be taken for markup
    (rf"\b(?:https?:(?:/{{1,3}}|[a-z0-9%])|{SITE})", ""),
    (rf"\b(?:www:(?:/{{1,3}}|[a-z0-9%])|{SITE})", ""),
)
SIGNS: Rules = (
    (r"@\w+\b", ""),
    (r"[\u31c0-\u9fff]+", ""),  # Chinese characters and their like
    (rf"[{DASHES}]+", "-"),
    (r"[`\u00b4\u00ab\u00bb\u201c\u201d\u00a8]", '"'),
    (r"[\u2018\u2019]", "'"),
    (r"&quot;?|&amp", ""),
    (r"\d{1,3}(?:\.\d{1,3}){3}", " "),  # IP addresses
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),  # a backslash and an n
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    (rf"\S+\.{SUFFIXES}", ""),
    (r"[\"']{2,}", '"'),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"\s+\.\s+", " "),
)
TRADE: Rules = (
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),  # article numbers
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
    (r"\b\d+[a-zA-Z]+\d+\b", ""),
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (rf"\b{SUFFIXES}(?:\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
    (r"\b\d+\.?\d*[x\u0445\u00d7]\d+\.?\d*\b", ""),  # sizes
)
ENDS: Rules = (
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", r"\1 "),
    (r"\s+", " "),
    (r"(?s)^[\"'](.+)[\"']$", r"\1"),  # quotes around the whole caption only
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
)


def cleaned(caption: str) -> str:
    """A caption as the text encoder of LlamaGen reads it.

    The authors clean every caption twice, by rules that DeepFloyd's IF made for captions from the web: in lower case;
    without addresses, markup, Chinese characters, file names, article numbers, sizes such as 2x2, words of trade and
    special characters; dashes and quotes are plain; more than three hyphens or underscores become spaces; broken
    encodings are repaired; quotes around the whole caption and one sign at either end go.

    Raises ValueError if the packages that this takes are not installed.
    """
    return _once(_once(caption))


def _once(caption: str) -> str:
    try:
        import ftfy
        from bs4 import BeautifulSoup
    except ImportError:
        raise ValueError("LlamaGen's captions take ftfy and beautifulsoup4: pip install 'fewpass[llamagen]'") from None

    text = _applied(ADDRESSES, unquote_plus(caption).strip().lower())
    file = io.StringIO(text, newline="")  # of a text that looks like a file name, Beautiful Soup would warn
    text = _applied(SIGNS, BeautifulSoup(file, "html.parser").text)
    if len(re.findall("[-_]", text)) > 3:
        text = re.sub("[-_]", " ", text)
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return _applied(ENDS, _applied(TRADE, text)).strip()


def _applied(rules: Rules, text: str) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


PUBLISHED = "google/flan-t5-xl"
FOLDER = "t5"  # where a checkpoint keeps it


def _downloaded() -> Path | None:
    with suppress(ValueError):
        return fetch(PUBLISHED, None, local_files_only=True)
    return None


class TextEncoder:
    """Texts of at most `longest` tokens become features [P, C]."""

    def __init__(self, model: T5EncoderModel, tokenizer: PreTrainedTokenizerBase, longest: int):
        self.model, self.tokenizer, self.longest = model.eval(), tokenizer, longest

    @classmethod
    def find(cls, checkpoint: Checkpoint, width: int, longest: int) -> Self | None:
        """The one in the folder `t5` of a checkpoint, else flan-t5-xl if it was downloaded before; None if it was not.

        Raises ValueError if its features are not `width` wide.
        """
        folder = checkpoint.home / FOLDER if (checkpoint.home / FOLDER).is_dir() else _downloaded()
        if folder is None:
            return None
        inside = replace(checkpoint, folder=folder)
        tokenizer = inside.tokenizer()
        model = replace(inside, options={"attn_implementation": "sdpa"}).weights(T5EncoderModel)
        if model.config.d_model != width:
            raise ValueError(
                f"{inside.folder} gives features of width {model.config.d_model} and {checkpoint.name} reads {width}:"
                f" it was made for {PUBLISHED}"
            )
        return cls(model, tokenizer, longest)

    def __call__(self, prompt: str) -> Tensor:
        """Features [P, C]. Raises ValueError for a prompt that says nothing, or too much."""
        caption = cleaned(prompt)
        if not caption:
            raise ValueError(
                f"nothing is left of the prompt {prompt!r} once it is cleaned as captions were in training"
            )
        ids = self.tokenizer(caption).input_ids
        if len(ids) > self.longest:
            raise ValueError(f"a prompt has {self.longest} tokens at most, not {len(ids)}: {prompt!r}")
        return self.model(input_ids=torch.tensor([ids], device=self.model.device)).last_hidden_state[0]
