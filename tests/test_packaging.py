"""What is installed has all that it needs, and says who made it and under which terms."""

import re
import subprocess
import sys
import tomllib
import zipfile
import zlib
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling.build import build_wheel

import fewpass

ROOT = Path(__file__).parent.parent
EACH_FIRST = """
import importlib, sys
import torch, transformers

for name in sys.argv[1:]:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "fewpass"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # of what is not installed here
        assert error.name.partition(".")[0] != "fewpass", error
"""
EMOJI = "fewpass/models/emoji/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as `python -m build` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as archive:
        yield archive


def test_wheel_has_all_of_the_package(wheel):
    inside = {name for name in wheel.namelist() if name.startswith("fewpass/")}
    source = ROOT / "src"
    files = [path for path in (source / "fewpass").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert inside == {str(path.relative_to(source)) for path in files}
    assert wheel.getinfo("fewpass/py.typed")


@pytest.mark.parametrize(
    "name",
    [
        *(f"checkpoint/model-0000{part}-of-00003.safetensors" for part in (1, 2, 3)),
        *("checkpoint/config.json", "checkpoint/tokenizer.json", "evaluation.txt"),
    ],
)
def test_wheel_has_the_bundled_model(wheel, name):
    inside, content = wheel.getinfo(EMOJI + name), (ROOT / "src" / EMOJI / name).read_bytes()
    assert (inside.file_size, inside.CRC) == (len(content), zlib.crc32(content))


def test_wheel_has_licence_and_notice(wheel):
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    notice = wheel.read(f"{info}/licenses/src/{EMOJI}NOTICE.md").decode()
    assert "SIL OPEN FONT LICENSE Version 1.1" in notice
    said = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("fewpass", fewpass.__version__, "Apache-2.0")
    assert "fewpass = fewpass.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_every_module_may_be_the_first_that_is_imported():
    """Those that import each other in a circle work only in some orders, and tests import in one."""
    files = [path.relative_to(ROOT / "src").with_suffix("") for path in (ROOT / "src/fewpass").rglob("*.py")]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files if file.name != "__main__"]
    done = subprocess.run([sys.executable, "-c", EACH_FIRST, *sorted(names)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_place_has_the_same_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)[1]
    newest = re.search(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[1]
    assert cited == newest == fewpass.__version__


def test_extras_are_not_needed_to_install():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [{re.split(r"[\[<>=]", need)[0] for need in needs} for needs in project["optional-dependencies"].values()]
    assert not set.union(*names) & {re.split(r"[\[<>=]", need)[0] for need in project["dependencies"]}
