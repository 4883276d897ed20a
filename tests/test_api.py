"""The public names, which are loaded when they are first used."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import fewpass


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_every_public_name_is_there():
    assert [name for name in fewpass.__all__ if not hasattr(fewpass, name)] == []
    assert set(fewpass.__all__) <= set(dir(fewpass))
    assert not [name for name in ("piepline", "_public_names", "cli.app", "x.y", "") if hasattr(fewpass, name)]


def test_no_module_stands_where_a_public_name_should():
    for module in pkgutil.iter_modules(fewpass.__path__):
        if module.name != "__main__":
            importlib.import_module(f"fewpass.{module.name}")
    for name in fewpass.__all__:
        assert not inspect.ismodule(getattr(fewpass, name)), name


def test_importing_the_package_loads_no_torch():
    assert (
        run("import fewpass, sys; print(fewpass.__version__, 'torch' in sys.modules)") == f"{fewpass.__version__} False"
    )


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(fewpass, "nonsense")
