"""Accept that images change: `python -m tests.golden toy`, `python -m tests.golden emoji`, or both if none is named."""

import sys

from tests.golden import MODELS, freeze

for model in sys.argv[1:] or MODELS:
    for name in freeze(model):
        print(model, name)
