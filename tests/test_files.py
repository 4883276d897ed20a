"""A file is the old one or the new one, whatever happens in between."""

import os
import tempfile
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fewpass.io.atomic import check_folder, replace
from fewpass.io.png_metadata import png, read_settings
from fewpass.io.targets import output_file
from tests.damage import DEEP, huge


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_replace_writes_and_replaces(tmp_path):
    path = tmp_path / "a.png"
    replace(path, b"first")
    replace(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["a.png"]


def test_replace_shows_the_old_file_until_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    seen = []

    def watched(source, target, rename=os.replace):
        seen.append((Path(source).read_bytes(), Path(target).read_bytes(), Path(source).parent == Path(target).parent))
        rename(source, target)

    monkeypatch.setattr(os, "replace", watched)
    replace(path, b"new")
    assert seen == [(b"new", b"old", True)]


@pytest.mark.parametrize("moment", ["in the middle of writing", "before renaming"])
def test_interrupted_replace_keeps_the_old_file_only(tmp_path, monkeypatch, moment):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def half(self, data):
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    def never(source, target):
        raise KeyboardInterrupt

    if moment == "before renaming":
        monkeypatch.setattr(os, "replace", never)
    else:
        monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        replace(path, b"new file")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


def test_replace_names_the_path_on_a_full_disk(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ValueError, match=r"a\.png.*No space left"):
        replace(tmp_path / "a.png", b"data")


def test_replace_keeps_links(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    replace(tmp_path / "link.png", b"data")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"data"


def test_replace_respects_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        replace(tmp_path / "a.png", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o644


def test_output_file_leaves_no_file(tmp_path):
    output_file(str(tmp_path / "a.png"), ".png")
    (tmp_path / "b.png").write_bytes(b"")
    output_file(str(tmp_path / "b.png"), ".png")
    assert names(tmp_path) == ["b.png"]


def test_output_file_names_the_path(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"nowhere.*no such folder"):
        output_file(str(tmp_path / "nowhere" / "a.png"), ".png")
    with pytest.raises(ValueError, match="not a file"):
        output_file(str(tmp_path), "")
    with pytest.raises(ValueError, match=r"/dev/null.*not a file"):
        output_file("/dev/null", "")

    def locked(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", locked)
    with pytest.raises(ValueError, match=f"{tmp_path.name}.*Permission denied"):
        check_folder(tmp_path)


def test_read_settings_returns_those_of_png(tmp_path):
    path = tmp_path / "a.png"
    settings = {"prompt": "zwei Sterne — 星", "seed": 2**63 - 1, "top_p": 0.9, "trace": {"committed": [1, 2]}}
    replace(path, png(Image.new("RGB", (3, 2), (1, 2, 3)), settings))
    assert read_settings(path) == settings
    with Image.open(path) as image:
        assert image.size == (3, 2)
        assert image.getpixel((0, 0)) == (1, 2, 3)


def test_read_settings_refuses_other_files(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "huge.png").write_bytes(huge())
    for name, text in (("deep.png", DEEP), ("list.png", "[]")):
        info = PngInfo()
        info.add_text("fewpass", text)
        Image.new("RGB", (1, 1)).save(tmp_path / name, pnginfo=info)
    for name in ("plain.png", "text.png", "absent.png", "huge.png", "deep.png", "list.png"):
        with pytest.raises(ValueError, match=name):
            read_settings(tmp_path / name)
