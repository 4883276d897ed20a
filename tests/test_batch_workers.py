"""`fewpass batch --ray` on one machine with two workers, one of which is killed."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewpass.batch import workers
from fewpass.cli import main
from fewpass.integrations.ray import Processes

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

PROMPTS = ["two red stars", "a dragon", "blue stars", "two", "one on a blue background"]


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def pixels(output: str) -> dict[str, bytes]:
    found = {}
    for path in Path(output, "images").iterdir():
        with Image.open(path) as image:
            found[path.name] = np.array(image.convert("RGB")).tobytes()
    return found


def results(output: str) -> list[dict]:
    lines = [json.loads(line) for line in Path(output, "results.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_killed_worker_changes_no_image(cluster, folder, tmp_path, monkeypatch, capsys):
    grave = tmp_path / "grave"

    class Mortal(workers.Worker):
        """The first to have drawn something dies before it can hand it over."""

        def __call__(self, batch):
            drawn = super().__call__(batch)
            try:
                grave.touch(exist_ok=False)
            except FileExistsError:
                return drawn
            return os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "Worker", Mortal)
    Path("p.txt").write_text("\n".join(PROMPTS))
    common = ["batch", "p.txt", "--model", str(folder), "--seed", "1", "--batch-size", "2", "--dtype", "float64"]
    common += ["--decoder", "jacobi_ngram(8)"]
    assert main([*common, "-o", "alone"]) == 1
    assert main([*common, "-o", "together", "--workers", "2", "--cores", "1", "--ray", "local"]) == 1
    assert grave.exists()
    assert capsys.readouterr().err.count("1 failed") == 2
    assert len(pixels("alone")) == len(PROMPTS) - 1
    assert pixels("together") == pixels("alone")
    assert results("together") == results("alone")


def test_more_workers_than_fit_are_refused(cluster, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("two")
    options = ["--ray", "local", "--workers", "3", "--cores", "1"]
    assert main(["batch", "p.txt", "--model", str(folder), "-o", "out", *options]) == 2
    assert "3 workers do not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("resources", "options", "share"),
    [
        ({"CPU": 16}, {}, (4, {"num_cpus": 4})),
        ({"CPU": 2}, {"count": 2}, (2, {"num_cpus": 1})),
        ({"CPU": 2}, {}, (1, {"num_cpus": 2})),
        ({"CPU": 16}, {"cores": 8}, (2, {"num_cpus": 8})),
        ({"CPU": 16, "GPU": 3}, {}, (3, {"num_gpus": 1})),
        ({"CPU": 16, "GPU": 3}, {"count": 2}, (2, {"num_gpus": 1})),
        ({"CPU": 16, "GPU": 3}, {"device": "cpu"}, (4, {"num_cpus": 4})),
    ],
)
def test_workers_get_a_gpu_or_some_cores(resources, options, share):
    assert Processes("local", "emoji", **options).share(resources) == share
