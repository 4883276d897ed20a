"""`python -m fewpass` is `fewpass`."""

import sys

from fewpass.cli import main

sys.exit(main())
