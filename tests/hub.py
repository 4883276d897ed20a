"""The cache of huggingface_hub as a download leaves it: files are links into `blobs`, by what they hold."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

COMMIT = "0" * 40


def cached(
    cache: Path,
    name: str,
    folder: Path,
    commit: str = COMMIT,
    ref: str = "main",
    absent: Collection[str] = (),
    tree: bool = False,
) -> Path:
    """Put a repository that holds the files of `folder` and the `absent` ones, which were not downloaded, in `cache`.

    With a `tree`, the list of its files is kept, as huggingface_hub does since 1.22. Returns the snapshot's folder.
    """
    home = cache / f"models--{name.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    listed = {file: {"size": 1, "blob_id": "0" * 40} for file in absent}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        blob = hashlib.sha1(path.read_bytes()).hexdigest()
        file = path.relative_to(folder)
        (home / "blobs").mkdir(parents=True, exist_ok=True)
        (home / "blobs" / blob).write_bytes(path.read_bytes())
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).symlink_to(Path(*[".."] * (2 + len(file.parent.parts)), "blobs", blob))
        listed[str(file)] = {"size": path.stat().st_size, "blob_id": blob}
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / ref).write_text(commit)
    if tree:
        (home / "trees").mkdir(exist_ok=True)
        (home / "trees" / f"{commit}.json").write_text(json.dumps({"format_version": 1, "files": listed}))
    return snapshot
