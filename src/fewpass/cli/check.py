"""`fewpass check`"""

from typing import Annotated

import typer

from fewpass.checks import read_size
from fewpass.cli import options as o
from fewpass.cli.tables import show
from fewpass.cli.terminal import load_torch, open_model


def check(
    model: Annotated[str, typer.Argument(metavar="FOLDER", help="A model: its name, or a folder.")],
    size: o.Size = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
) -> int:
    """Check that a model does what decoders rely on. The exit code is 1 if it does not."""
    pixels = read_size(size)

    load_torch()

    from fewpass.contract import check_model

    own = open_model(model, device, dtype or "float32").model
    findings = check_model(own, None if pixels is None else [own.grid(pixels)])
    rows = [
        [f.what, f.grid, f"{f.error:.2g}", "" if f.limit is None else f"{f.limit:.2g}", "ok" if f.passed else "FAILED"]
        for f in findings
    ]
    show(["what must hold", "grid", "difference", "at most", ""], rows)
    return 0 if all(finding.passed for finding in findings) else 1
