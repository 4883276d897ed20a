"""Captions as the text encoders of LlamaGen's kind were shown them in training: without case and ornament."""

import html
import re

RULES = (
    (r"[\u3200-\u4dbf\u4e00-\u9fff\u31c0-\u31ff]+", ""),  # Chinese, which there was none of
    (r"[\u2010-\u2015\u2212\u30fc\ufe58\uff0d]", "-"),
    (r"[\u201c\u201d\u00ab\u00bb\u201e\u00a8\u00b4`]", '"'),
    (r"[\u2018\u2019]", "'"),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"['\"]{2,}", '"'),
    (r"\.{2,}", " "),
    (r"(?<=\D)([,.])\b", r"\1 "),
    (r"\s+", " "),
)


def cleaned(caption: str) -> str:
    """A caption in lower case, with plain dashes, quotes and spaces, and without special characters.

    That is what the cleaning of DeepFloyd's IF, which LlamaGen's training used, makes of what people type. Its rules
    for captions from the web (addresses, file names, article numbers) are left out.
    """
    text = html.unescape(caption).strip().lower()
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return text.strip().strip("\"'_,-:;").strip()
