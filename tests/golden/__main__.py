"""Accept changed images: `python -m tests.golden`, with `toy`, `emoji`, `float32`; the first two by default."""

import sys

from tests.golden import MODELS, freeze

for model in sys.argv[1:] or MODELS:
    for name in freeze(model):
        print(model, name)
