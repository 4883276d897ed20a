"""The program as it is started from a shell."""

import os
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import version

import pytest

import fewpass
from fewpass.cli import main
from fewpass.io.png_metadata import read_settings

FEWPASS = [sys.executable, "-m", "fewpass"]


def test_help_imports_no_torch():
    code = (
        "import sys; from fewpass.cli import main; main(['--help']); main(['generate', '--help']);"
        "main(['generate']); sys.exit('loaded: ' + str({'torch', 'transformers', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "fewpass: there is no prompt\nloaded: set()\n"
    for command in ("generate", "compare", "decoders"):
        assert command in done.stdout


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fewpass {fewpass.__version__}\n"
    assert fewpass.__version__ == version("fewpass")


def test_no_command_prints_help(capsys):
    assert main([]) == 0
    assert "generate" in capsys.readouterr().out


def test_error_is_one_line_and_exit_code_2():
    done = subprocess.run([*FEWPASS, "generate", "two", "--seed", "x"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fewpass: Invalid value for '--seed': ")
    assert done.stderr.endswith("'x'\n")


def test_warning_is_one_line():
    arguments = ["generate", "two", "--decoder", "auto", "--model", "absent"]
    done = subprocess.run([*FEWPASS, *arguments], capture_output=True, text=True)
    warning, error = done.stderr.splitlines()
    assert warning == "fewpass: decoder 'auto' is read as 'jacobi_ngram', which draws the same tokens"
    assert error.startswith("fewpass: unknown model 'absent'")


COMMANDS = {
    "generate": ["two"],
    "compare": ["two"],
    "batch": ["prompts.txt", "-o", "out"],
    "check": ["emoji"],
    "serve": ["--port", "0"],
    "demo": [],
    "eval": [],
    "bench": [],
    "decoders": [],
}
WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path, target=None):
        if name in ("torch", "transformers"):
            print("NOW", name, file=sys.stderr)
            raise KeyboardInterrupt

sys.meta_path.insert(0, NoTorch())
import fewpass.io.extra
fewpass.io.extra.find_spec = lambda name: True
from fewpass.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("terminal", [True, False])
def test_spinner_is_shown_before_torch_is_loaded(command, terminal, tmp_path):
    (tmp_path / "prompts.txt").write_text("two stars")
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    environment |= {"FORCE_COLOR": "1", "TERM": "xterm"} if terminal else {}
    arguments = [sys.executable, "-c", WITHOUT_TORCH, command, *COMMANDS[command]]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    before, _, _ = done.stderr.partition("NOW torch")
    assert done.returncode == 130
    assert before != done.stderr
    assert ("loading torch" in before) == terminal
    assert terminal or before == ""


SLOWLY = """
import sys, time
from fewpass.engine.scheduler import Scheduler
from fewpass.cli import main

def step(self, step=Scheduler.step):
    time.sleep(1)
    return step(self)

Scheduler.step = step
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_leaves_no_file(folder, tmp_path):
    arguments = ["generate", "two red stars", "--model", str(folder), "-o", str(tmp_path / "a.png"), "--decoder", "ar"]
    environment = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-c", SLOWLY, *arguments]
    # Whoever runs the tests in the background may have had SIGINT ignored, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, preexec_fn=heed) as process:
        seen = b""
        while b"/16 tokens" not in seen:  # the bar: the drawing has begun
            more = os.read(process.stderr.fileno(), 4096)
            assert more, seen
            seen += more
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert b"Traceback" not in seen + rest
    assert list(tmp_path.iterdir()) == []


def test_generate_draws_with_the_bundled_model(tmp_path):
    path = tmp_path / "stars.png"
    done = subprocess.run(
        [*FEWPASS, "generate", "two stars on a blue background", "-o", str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    trace = read_settings(path)["trace"]
    assert trace["passes"] < len(trace["committed"])


@pytest.mark.parametrize(
    ("program", "given", "seen"),
    [
        ("import fewpass", None, "PASSIVE"),
        ("import fewpass", "ACTIVE", "ACTIVE"),
        ("import fewpass.cli; fewpass.cli.main(['--version'])", None, "PASSIVE"),
        ("import sys; sys.modules['torch'] = None; import fewpass", None, "None"),
    ],
)
def test_threads_sleep_while_they_wait_unless_told_otherwise(program, given, seen):
    """Told before torch is loaded, for it does not look again."""
    program += "; import os, sys; assert not sys.modules.get('torch'); print(os.environ.get('OMP_WAIT_POLICY'))"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == seen
