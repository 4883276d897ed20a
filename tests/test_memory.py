"""What a drawing takes, and what happens where there is not enough."""

import warnings

import pytest
import torch

import fewpass
from fewpass.core.canvas import Canvas
from fewpass.core.errors import OutOfMemory
from fewpass.engine import memory as counted
from fewpass.engine.memory import available, cache_bytes, image_bytes, ran_out
from fewpass.engine.scheduler import Scheduler
from fewpass.models.base import Model
from fewpass.runtime.kv_cache import bucket

MIB = 2**20


@pytest.fixture
def free(monkeypatch):
    """Says how many bytes there are to be free."""

    def set_to(size):
        monkeypatch.setattr(counted, "available", lambda device: None if size is None else int(size))

    return set_to


def need(pipeline, images, **options) -> int:
    """Free bytes with which just so many images fit."""
    return int(images * image_bytes(pipeline.model, [pipeline.job("two red stars", **options)]) / counted.SHARE) + 2


def test_more_rows_and_wider_windows_take_more(pipeline):
    def of(prompt, **options):
        return image_bytes(pipeline.model, [pipeline.job(prompt, **options)])

    base = of("one", decoder="jacobi(window=3)")
    assert of("one", decoder="jacobi(window=3)", guidance=1) < base
    assert of("one", decoder="jacobi(window=6)") > base


def test_slots_come_in_buckets_on_a_cpu():
    slots = (1, 64, 65, 192, 193, 384, 385, 1000)
    assert [bucket(n, torch.device("cpu")) for n in slots] == [64, 64, 128, 192, 384, 384, 576, 1152]
    assert bucket(193, torch.device("cuda")) == 193


def test_cache_of_an_image_is_counted_exactly():
    pipe = fewpass.load("emoji", "cpu")
    session = pipe.model.open(["two stars"], pipe.model.grid(None), 3.0, [None])
    held = sum(x.nbytes for layer in session.cache.layers for x in (layer.keys, layer.values))
    jobs = [pipe.job("two stars")]
    assert held == cache_bytes(pipe.model, jobs) < image_bytes(pipe.model, jobs) < 1.5 * held


def test_what_is_free_is_read_from_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(counted, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(counted, "CGROUP", tmp_path)
    assert available(torch.device("cpu")) is None  # a system without /proc
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:     2048 kB\n")
    assert available(torch.device("cpu")) == 2 * MIB
    for name, text in {"max": "1048576\n", "current": "700000\n", "stat": "anon 5\ninactive_file 100000\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert available(torch.device("cpu")) == MIB - 600000
    (tmp_path / "memory.max").write_text("max\n")
    assert available(torch.device("cpu")) == 2 * MIB


def test_images_are_drawn_in_portions_and_are_the_same(pipeline, free):
    prompts, options = ["one", "two red stars", "stars", "a blue"], {"decoder": "jacobi(window=3)", "seed": 4}
    whole = pipeline(prompts, **options, logprobs=True)
    free(need(pipeline, 2, decoder="jacobi(window=3)"))
    seen: list[Canvas] = []
    with pytest.warns(RuntimeWarning, match=r"4 images at once need .* of memory, and .* are free on cpu") as said:
        parts = pipeline(prompts, **options, logprobs=True, on_step=lambda c: seen.append(c.select(torch.arange(4))))
    assert len(said) == 1
    assert torch.equal(parts.tokens, whole.tokens)
    assert torch.allclose(parts.logprobs, whole.logprobs)
    assert torch.equal(parts.trace.committed, whole.trace.committed)
    assert [image.tobytes() for image in parts.images] == [image.tobytes() for image in whole.images]
    assert (parts.seeds, parts.settings) == (whole.seeds, whole.settings)
    assert seen[0].lengths[2:] == [0, 0]
    assert seen[-1].lengths == [16] * 4
    assert [c.finished for c in seen].count([True] * 4) == 1


def test_a_drawing_that_is_stopped_leaves_later_portions_blank(pipeline, monkeypatch):
    sizes = iter([need(pipeline, 1, decoder="ar")])
    monkeypatch.setattr(counted, "available", lambda device: next(sizes, 0))
    with pytest.warns(RuntimeWarning, match="fewer are drawn at a time"):
        result = pipeline(["one", "stars"], decoder="ar", seed=1, on_step=lambda canvas: max(canvas.lengths) < 3)
    assert (result.tokens >= 0).sum(1).tolist() == [3, 0]
    assert result.trace.passes.tolist() == [3, 0]
    assert len(result.images) == 2


def test_an_image_that_does_not_fit_is_refused_before_anything_is_read(pipeline, free, monkeypatch):
    free(1000)
    monkeypatch.setattr(Model, "open_rows", None)
    with pytest.raises(OutOfMemory, match=r"^an image needs about .*kB of memory, and 1.0 kB are free on cpu"):
        pipeline("one")
    with pytest.raises(OutOfMemory, match=r"^an image needs about .*kB of memory, and 1.0 kB are free on cpu"):
        next(iter(pipeline.stream(["one"])))


def test_where_nobody_says_what_is_free_all_are_drawn(pipeline, free):
    free(None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(pipeline("one", decoder="ar", count=3).images) == 3


def test_a_stream_admits_as_many_as_fit(pipeline, monkeypatch):
    prompts, options = ["one", "two red stars", "stars", "a blue", "red"], {"decoder": "jacobi(window=3)"}
    whole = dict(pipeline.stream(prompts, **options, seed=[1, 2, 3, 4, 5]))
    each = need(pipeline, 1, **options)
    budget = 2 * each
    together = [0]

    def leave(numbered):
        together.append(together[-1] - 1)
        return numbered

    monkeypatch.setattr(counted, "available", lambda device: budget - each * together[-1])
    watch = {"on_step": lambda canvas: together.append(len(canvas.tokens))}
    with pytest.warns(RuntimeWarning, match="fewer are drawn at a time") as said:
        parts = dict(map(leave, pipeline.stream(prompts, **options, **watch, seed=[1, 2, 3, 4, 5])))
    assert len(said) == 1
    assert max(together) == 2
    assert all(torch.equal(parts[i].tokens, whole[i].tokens) for i in range(5))


def runs_out(monkeypatch, most, error):
    """No more than `most` images at once."""
    opened, asked = Model.open_rows, []

    def open_rows(model, rows, grid, guidance):
        asked.append(len(rows))
        if len(rows) > most:
            raise error
        return opened(model, rows, grid, guidance)

    monkeypatch.setattr(Model, "open_rows", open_rows)
    return asked


CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize("error", [CPU, torch.OutOfMemoryError("CUDA out of memory")])
def test_out_of_memory_halves_the_batch(pipeline, monkeypatch, error):
    plain = pipeline("one", decoder="ar", seed=1, count=4)
    asked = runs_out(monkeypatch, 2, error)
    with pytest.warns(RuntimeWarning, match="out of memory with 4 images at once: going on with 2") as said:
        result = pipeline("one", decoder="ar", seed=1, count=4)
    assert (len(said), asked) == (1, [4, 2, 2])
    assert torch.equal(result.tokens, plain.tokens)
    with pytest.warns(RuntimeWarning, match="out of memory with 4 images at once: going on with 2"):
        seen = dict(pipeline.stream(["one"], batch_size=4, decoder="ar", seed=1, count=4))
    assert all(torch.equal(seen[i].tokens[0], plain.tokens[i]) for i in range(4))


def test_out_of_memory_with_one_image_is_one_clear_line(pipeline, monkeypatch):
    asked = runs_out(monkeypatch, 0, CPU)
    for draw in (pipeline, lambda prompt, **options: list(pipeline.stream(prompt, batch_size=4, **options))):
        with (
            pytest.warns(RuntimeWarning, match="going on with 1"),
            pytest.warns(RuntimeWarning, match="going on with 2"),
            pytest.raises(OutOfMemory, match=r"^out of memory with one image: an image needs about .* free on cpu$"),
        ):
            draw(["one"], decoder="ar", seed=1, count=4)
    assert asked == [4, 2, 1] * 2


def test_other_errors_are_not_taken_for_want_of_memory(pipeline, monkeypatch):
    asked = runs_out(monkeypatch, 0, RuntimeError("no"))
    with pytest.raises(RuntimeError, match=r"^no$"):
        pipeline("one", decoder="ar", seed=1, count=2)
    assert asked == [2]
    assert not ran_out(RuntimeError("no"))
    assert ran_out(MemoryError())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), ArithmeticError("another one")])
def test_error_while_an_image_joins_ruins_no_other(pipeline, monkeypatch, error):
    """The cache is joined in place: the images that are being drawn begin again too, or end with the error."""
    jobs = [pipeline.job(prompt, seed=seed) for seed, prompt in enumerate(("two red stars", "red stars"))]
    expected = {job: pipeline(job.prompt, seed=job.seed).tokens for job in jobs}
    scheduler, join = Scheduler(pipeline.model, 4), Canvas.join

    def failing(*_):
        monkeypatch.setattr(Canvas, "join", join)
        raise error

    scheduler.add(jobs[0])
    over = scheduler.step() + scheduler.step()
    scheduler.add(jobs[1])
    monkeypatch.setattr(Canvas, "join", failing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        while len(over) < 2:
            over += scheduler.step()
    if ran_out(error):
        size = pipeline.model.grid(None).size
        assert all(torch.equal(one.canvas.tokens[:, :size], expected[one.job]) for one in over)
    else:
        assert [one.error for one in over] == [error, error]
    assert {one.job for one in over} == set(jobs)
    assert not scheduler.drawing
