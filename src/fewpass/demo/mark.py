"""The head of the page."""

from pathlib import Path

MARK = Path(__file__).with_name("mark.svg")  # tokens in the colours of the passes at which they became final
CLAIM = "Two decoders draw one prompt. <b>ar</b> asks the model once per token, the other guesses ahead."
HEADER = f"{MARK.read_text()}<h1>fewpass</h1><p>{CLAIM}</p>"
