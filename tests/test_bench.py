"""The parts of `fewpass bench`."""

import pytest
import torch

import fewpass
import fewpass.bench.run
from fewpass import decoder
from fewpass.bench import results
from fewpass.bench.run import Benchmark
from fewpass.bench.shape import read_shape, shape_names
from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, draw, time_passes
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.io.machine import machine
from fewpass.models import FAMILIES


@pytest.fixture(scope="module")
def task(pipeline):
    return Task(bind(pipeline.model, GenerationOptions()), ["two stars", "red"])


def test_memory_counts_weights_and_cache(pipeline, task):
    found = results.memory(Benchmark(task, [decoder("ar")], (), (), 1, 0))
    tensors = [*pipeline.model.model.parameters(), *pipeline.model.model.buffers()]
    assert found["weights_bytes"] == sum(t.numel() * t.element_size() for t in tensors) > 0
    slots = 64  # for <bos> two stars <begin_of_image>, the image, a scrap slot and branches
    assert found["cache_bytes"] == 2 * 2 * 2 * 1 * 16 * 8 * slots  # k and v, layers, rows, heads, width, float64
    assert found["peak_bytes"] > 1e7


def test_drawing_has_the_passes_of_the_pipeline(pipeline, task):
    drawn = draw(task, decoder("mc_sjd(window=4)"), [0, 1, 2])
    prompts = [task.prompts[i % 2] for i in range(3)]
    result = pipeline(prompts, decoder="mc_sjd(window=4)", seed=[0, 1, 2])
    assert drawn.passes == result.trace.passes[0]
    assert 0 < drawn.prefill < drawn.seconds
    assert drawn.seconds == pytest.approx(drawn.prefill + drawn.decode + drawn.detokenise)


def test_timed_pass_has_a_part_inside_the_model(task):
    timed = time_passes(task, decoder("mc_sjd(window=2)"), 3)
    assert len(timed) == 3
    assert all(0 < each.model_seconds < each.seconds for each in timed)
    assert time_passes(task, decoder("mc_sjd(window=15)"), 3) == []  # the window would be cut


def test_ratios_compare_drawings_of_the_same_image(task):
    bench = Benchmark(task, [decoder("ar"), decoder("sjd")], (), (), 1, 0)
    bench.drawn["ar"] = [Drawn(16, 1.0, s, 0.0, None) for s in (1.0, 9.0, 3.0)]
    bench.drawn[str(decoder("sjd"))] = [Drawn(p, 0.0, s, 0.0, None) for p, s in ((4, 1.0), (8, 1.0), (4, 2.0))]
    ar, sjd = results.decoder_rows(bench)
    assert (ar["faster_than_ar"], ar["seconds"]) == (1.0, 4.0)
    assert (sjd["faster_than_ar"], sjd["fewer_passes_than_ar"]) == (2.0, 4.0)
    assert sjd["tokens_per_pass"] == 4.0
    assert sjd["pass_seconds"] == pytest.approx(1 / 3)


def test_parts_of_an_image_add_up_to_its_seconds(task):
    """They are of one drawing: medians of the parts could exceed the median of the whole."""
    bench = Benchmark(task, [decoder("ar")], (), (), 1, 0)
    bench.drawn["ar"] = [Drawn(16, *parts, None) for parts in ((8.0, 1.0, 0.0), (0.0, 1.0, 9.0), (7.0, 1.0, 7.0))]
    (row,) = results.decoder_rows(bench)
    assert (row["seconds"], row["prefill_seconds"], row["detokenise_seconds"]) == (10.0, 0.0, 9.0)


def test_decoders_take_turns(task):
    bench = Benchmark(task, [decoder("ar"), decoder("mc_sjd"), decoder("sjd")], (0, 2), (1, 2), 2, 4)
    steps = [step.what for step in bench.steps()]
    names = [str(d) for d in bench.decoders]
    turn = [f"image {i}, {name}" for i in (1, 2) for name in names]
    turn += ["ar, window 0", *(f"{name}, window 2" for name in names[1:])]
    turn += [f"{b} images together, {name}" for b in (1, 2) for name in names]
    again = [what.replace("image 1,", "image 3,").replace("image 2,", "image 4,") for what in turn]
    assert steps == [*(f"warming up {name}" for name in names), *turn, *again]


def test_batch_out_of_memory_is_noted_and_larger_ones_are_skipped(task, monkeypatch):
    asked = []

    def full(task, decoder, numbers):
        asked.append(len(numbers))
        if len(numbers) > 1:
            raise torch.OutOfMemoryError
        return Drawn(1, 0.0, 1.0, None, None)

    monkeypatch.setattr(fewpass.bench.run, "draw", full)
    bench = Benchmark(task, [decoder("ar")], (), (1, 2, 4), 2, 0)
    for step in bench.steps():
        if "together" in step.what:
            step.run()
    assert asked == [1, 2, 1]
    assert [row["batch"] for row in results.batch_rows(bench)] == [1]
    assert "2 images together do not fit" in bench.notes[0]


def test_published_shapes_belong_to_supported_families():
    assert {read_shape(name)["model_type"] for name in shape_names()} <= set(FAMILIES)


@pytest.mark.parametrize(("policy", "threads", "asleep"), [("PASSIVE", 2, True), ("PASSIVE", 1, False), ("", 2, False)])
def test_machine_names_sleeping_threads(monkeypatch, policy, threads, asleep):
    """It makes passes of `ar` slower than they need be, so whoever reads the figures has to know."""
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert ("asleep" in machine(torch.device("cpu"))) == asleep
