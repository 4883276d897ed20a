"""Stage 0: get the photographs from the packages that contain them.

python -m training.photo.fetch --out runs/photo/pictures

Needs `apt-get` with an up-to-date list (`apt-get update`) and `pip`.
"""

import argparse
import bz2
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from .subjects import PHOTOGRAPHS

LONGEST = 2048  # pixels of the longer side: no crop needs more


def fetch(package: str, folder: Path) -> Path:
    """Download and unpack one package; returns the folder of its files."""
    kind, _, name = package.partition(":")
    unpacked = folder / name
    if unpacked.exists():
        return unpacked
    archives = folder / f"{name}.download"
    archives.mkdir(parents=True, exist_ok=True)
    if kind == "deb":
        subprocess.run(["apt-get", "download", "-qq", name], cwd=archives, check=True)
        subprocess.run(["dpkg", "-x", str(next(archives.glob("*.deb"))), str(unpacked)], check=True)
    else:
        wheel = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-version",
            "3.11",
            "-d",
            str(archives),
        ]
        subprocess.run([*wheel, name], check=True)
        zipfile.ZipFile(next(archives.glob("*.whl"))).extractall(unpacked)
    return unpacked


def read(path: Path) -> Image.Image:
    """A picture in RGB. SciPy's raccoon is a file of compressed bytes, 768 x 1024."""
    if path.suffix == ".dat":
        return Image.fromarray(np.frombuffer(bz2.decompress(path.read_bytes()), np.uint8).reshape(768, 1024, 3))
    return Image.open(path).convert("RGB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder of the pictures, one PNG each")
    out = options.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, photograph in PHOTOGRAPHS.items():
        target = out / f"{name}.png"
        if not target.exists():
            picture = read(fetch(photograph.package, out.parent / "packages") / photograph.file)
            picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
            picture.save(target)
        print(f"{name}: {photograph.title} by {photograph.author}, {photograph.licence}")


if __name__ == "__main__":
    main()
