"""Bad input is one line that names it, exit code 2, and no file."""

import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import fewpass.engine.scheduler
import fewpass.loading
from fewpass.cli import main
from tests import tiny

EARLY = [  # seen before the model is loaded
    (["generate"], "there is no prompt"),
    (["generate", ""], "''"),
    (["generate", "two", "  "], "'  '"),
    (["generate", "\udcff"], r"'\udcff'"),
    (["generate", "--prompts", "absent.txt"], "absent.txt"),
    (["generate", "--prompts", "blank.txt"], "there is no prompt in 'blank.txt'"),
    (["generate", "--prompts", "latin1.txt"], "latin1.txt"),
    (["generate", "two", "--decoder", "sdj"], "'sdj'"),
    (["generate", "two", "--decoder", "sjd(widow=3)"], "'widow'"),
    (["generate", "two", "--decoder", "sjd(guess=good)"], "'good'"),
    (["generate", "two", "--decoder", "sjd(window="], "sjd(window="),
    (["generate", "two", "--window", "-1"], "-1"),
    (["generate", "two", "--window", "3", "--decoder", "ar"], "no option 'window'"),
    (["generate", "two", "--window", "3.5"], "'3.5'"),
    (["generate", "two", "--seed", "-1"], "-1"),
    (["generate", "two", "--seed", str(2**63)], str(2**63)),
    (["generate", "two", "red", "--seed", str(2**63 - 1)], str(2**63)),
    (["generate", "two", "--seed", "seven"], "'seven'"),
    (["generate", "two", "--top-p", "1.5"], "1.5"),
    (["generate", "two", "--top-p", "0"], "0"),
    (["generate", "two", "--top-k", "-3"], "-3"),
    (["generate", "two", "--temperature", "nan"], "nan"),
    (["generate", "two", "--temperature", "-1"], "-1"),
    (["generate", "two", "--guidance", "much"], "'much'"),
    (["generate", "two", "--count", "0"], "'0'"),
    (["generate", "two", "--batch-size", "0"], "'0'"),
    (["generate", "two", "--size", "large"], "'large'"),
    (["generate", "two", "--model", "absent"], "'absent'"),
    (["generate", "two", "--device", "tpu"], "'tpu'"),
    (["generate", "two", "--dtype", "int8"], "'int8'"),
    (["generate", "two", "-o", ""], "''"),
    (["generate", "two", "-o", "a\0.png"], r"'a\x00.png'"),
    (["generate", "two", "-o", "absent/a.png"], "absent"),
    (["generate", "two", "-o", "a.jpg"], "'a.jpg'"),
    (["generate", "two", "-o", "blank.txt/a.png"], "blank.txt"),
    (["generate", "two", "-o", "/dev/null"], "/dev/null"),
    (["generate", "two", "-o", "x" * 300 + ".png"], "xxx"),
    (["generate", "two", "--count", "2", "-o", "a.png"], "'a.png'"),
    (["generate", "two", "--steps", "a.mp4"], "'a.mp4'"),
    (["generate", "two", "--steps", "absent/a.gif"], "absent"),
    (["generate", "two", "red", "--steps", "a.gif"], "'a.gif'"),
    (["generate", "two", "--colour", "red"], "--colour"),
    (["draw"], "'draw'"),
    (["compare"], "PROMPT"),
    (["compare", ""], "''"),
    (["compare", "two", "--decoders", " ; "], "' ; '"),
    (["compare", "two", "--decoders", "ar; sdj"], "'sdj'"),
    (["compare", "two", "-o", "a.gif"], "'a.gif'"),
    (["compare", "two", "-o", "absent/a.png"], "absent"),
]
LATE = [  # only the model knows
    (["generate", "two dragon"], "'dragon'"),
    (["generate", "two", "--negative-prompt", "dragon"], "'dragon'"),
    (["generate", "two", "--guidance", "-2"], "-2"),
    (["generate", "two", "--guidance", "1", "--negative-prompt", "red"], "'red'"),
    (["generate", "two", "--size", "16x16"], "16x16"),
    (["compare", "dragon"], "'dragon'"),
]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs a command that must fail; gives the line it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9")

    def run(arguments: list[str]) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("fewpass: ")
        assert printed.err.endswith("\n")
        assert printed.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err

    return run


def ids(cases):
    return [" ".join(arguments)[:40].encode("ascii", "replace").decode() for arguments, _ in cases]


@pytest.mark.parametrize(("arguments", "named"), EARLY, ids=ids(EARLY))
def test_bad_options_are_refused_before_the_model_is_loaded(refused, monkeypatch, arguments, named):
    if "--model" not in arguments and "--device" not in arguments and "--dtype" not in arguments:
        monkeypatch.setattr(fewpass.loading, "load", None)
    assert named in refused(arguments)


@pytest.mark.parametrize(("arguments", "named"), LATE, ids=ids(LATE))
def test_bad_values_are_refused_after_the_model_is_loaded(refused, folder, arguments, named):
    assert named in refused([*arguments, "--model", str(folder)])


def shorten(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-100])


def drop_a_weight(shard: Path) -> None:
    weights = load_file(shard)
    weights.pop(sorted(weights)[0])
    save_file(weights, shard, metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [shorten, drop_a_weight, Path.unlink])
def test_damaged_weights_are_one_line(refused, folder, tmp_path, damage):
    shutil.copytree(folder, tmp_path / "broken")
    damage(tiny.shards(tmp_path / "broken")[0])
    assert "broken" in refused(["generate", "two", "--model", "broken"])


def test_error_keeps_the_old_file(refused, folder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    refused(["generate", "dragon", "-o", "a.png", "--model", str(folder)])
    assert (tmp_path / "a.png").read_bytes() == b"old"


@pytest.mark.parametrize("command", ["generate", "compare"])
def test_ctrl_c_while_drawing_is_130(folder, tmp_path, monkeypatch, capsys, command):
    def interrupt(*_):
        raise KeyboardInterrupt

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(fewpass.engine.scheduler.Scheduler, "step", interrupt)
    assert main([command, "two", "--model", str(folder), "-o", str(path)]) == 130
    assert capsys.readouterr().err == ""
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_while_importing_is_130(monkeypatch):
    def interrupt(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [type("Finder", (), {"find_spec": interrupt})(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "typer", raising=False)
    assert main(["--version"]) == 130


def test_prompt_after_two_dashes_is_no_option(capsys):
    assert main(["generate", "-o", "absent/one.png", "--", "--together"]) == 2
    assert "No such option" not in capsys.readouterr().err
