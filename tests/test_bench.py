"""What `fewpass bench` is made of."""

import json

import pytest
import torch
from PIL import Image

import fewpass
import fewpass.bench.run
from fewpass import Trace, decode, decoder
from fewpass.bench import figures, memory
from fewpass.bench.drawing import Drawn, draw
from fewpass.bench.passes import time_passes
from fewpass.bench.replay import Replay, check, replayed, stretched
from fewpass.bench.rival import rival_of
from fewpass.bench.run import Benchmark, Plan
from fewpass.bench.shape import read_shape, shape_names
from fewpass.bench.task import Task
from fewpass.bench.traces import counts_of, read_traces, recorded, traces_of
from fewpass.bench.words import contradictions, disagreements
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.io.machine import machine
from fewpass.io.png_metadata import png
from fewpass.models import FAMILIES
from fewpass.runtime.cpu.llama import Llama
from fewpass.testing import Toy
from tests.damage import DEEP
from tests.toys import PLAIN, WIDE

N = WIDE.size
DRAFTING = ("jacobi(window=6)", "sjd(window=6)", "mc_sjd(window=6)", "jacobi_ngram(window=6)", "sjd_pac(window=6)")


def committed(counts):
    return [n for n, count in enumerate(counts, start=1) for _ in range(count)]


def some_counts(seed):
    """A trace of as many tokens as the toy has."""
    chance, counts = torch.Generator().manual_seed(seed), [1]
    while sum(counts) < N:
        counts.append(min(int(torch.randint(1, 8, (), generator=chance)), N - sum(counts)))
    return tuple(counts)


@pytest.fixture(scope="module")
def task(pipeline):
    return Task(bind(pipeline.model, GenerationOptions()), ["two stars", "red"])


@pytest.mark.parametrize("spelling", DRAFTING)
def test_passes_win_what_the_trace_says(spelling):
    traces = some_counts(0), some_counts(1)
    trace = Trace.blank(5, WIDE)
    run = replayed(decoder(spelling), traces)
    for _ in trace.watch(decode(Toy(5, WIDE), run, PLAIN, torch.arange(5) + 2)):
        pass
    assert [counts_of(row, "") for row in trace.committed.tolist()] == [traces[i % 2] for i in range(5)]
    assert str(run) == str(decoder(spelling))


def test_no_pass_wins_more_than_its_window():
    run = replayed(decoder("mc_sjd(window=2)"), (some_counts(0),))
    trace = Trace.blank(1, WIDE)
    assert list(trace.watch(decode(Toy(1, WIDE), run, PLAIN, torch.arange(1))))
    assert trace.committed.unique(return_counts=True)[1].max() == 3


@pytest.mark.parametrize("size", [50, 100, 1000])
def test_a_trace_of_another_size_keeps_its_tokens_per_pass(size):
    counts = (1, *[4] * 10, *[1] * 9, *[5] * 10)  # 100 tokens in 30 passes
    won, final, passes = stretched(counts, size), 1, 1
    while final < size:
        final, passes = final + won[final], passes + 1
    assert passes == pytest.approx(30 * size / 100, abs=3)


def test_autoregression_needs_no_trace():
    assert replayed(decoder("ar"), ()) == decoder("ar")
    assert isinstance(replayed(decoder("sjd"), (some_counts(0),)), Replay)


@pytest.mark.parametrize("spelling", ["zipar", "pjd"])
def test_some_decoders_cannot_follow_a_trace(spelling):
    with pytest.raises(ValueError, match=spelling):
        check(decoder(spelling))


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ([1, 2, 0], "stopped"),
        ([1, 3, 2], "raster order"),
        ([1, 1, 2], "no trace"),
        ([1, 3, 3], "no trace"),
        ([], "list"),
        ([1, "2"], "list"),
    ],
)
def test_what_is_no_trace_is_refused(order, why):
    with pytest.raises(ValueError, match=f"here: .*{why}"):
        counts_of(order, "here")


def test_traces_come_from_images_sheets_and_json(tmp_path):
    record = {"decoder": "sjd(window=6)", "trace": {"committed": [1, 2, 2]}}
    other = {"decoder": "mc_sjd", "trace": {"committed": [1, 2, 3]}}
    image = Image.new("RGB", (2, 2))
    (tmp_path / "image.png").write_bytes(png(image, record))
    (tmp_path / "sheet.png").write_bytes(png(image, {"compared": [record, other]}))
    (tmp_path / "some.json").write_text(json.dumps({"deep": [{"er": other}]}))
    sjd, mc_sjd = str(decoder("sjd(window=6)")), str(decoder("mc_sjd"))
    found = read_traces([str(tmp_path / name) for name in ("image.png", "sheet.png", "some.json")])
    assert {name: [order for _, order in several] for name, several in found.items()} == {
        sjd: [[1, 2, 2]] * 2,
        mc_sjd: [[1, 2, 3]] * 2,
    }
    assert traces_of(found, [decoder("ar"), decoder("sjd(window=6)")]) == {sjd: ((1, 2), (1, 2))}
    with pytest.raises(ValueError, match=r"no trace of sjd\(window=7.*there are traces of sjd\(window=6"):
        traces_of(found, [decoder("sjd(window=7)")])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("absent.json", None, "absent.json"),
        ("words.json", "words", "neither a .png file nor JSON"),
        ("empty.json", "{}", "there is no trace"),
        ("deep.json", DEEP, r"'.*deep\.json' is JSON of too many levels"),
        ("plain.png", "", "not an image drawn by fewpass"),
        ("unknown.json", '{"decoder": "sdj", "trace": {"committed": [1]}}', "'sdj'"),
    ],
)
def test_files_without_traces_are_named(tmp_path, name, content, why):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=why):
        read_traces([str(tmp_path / name)])


def test_traces_are_recorded(pipeline):
    counts = recorded(pipeline, decoder("mc_sjd(window=4)"), "two stars", 3)
    trace = pipeline("two stars", decoder="mc_sjd(window=4)", seed=3).trace
    assert (sum(counts), len(counts)) == (16, int(trace.passes[0]))


@pytest.mark.parametrize("spelling", ["ar", "mc_sjd(window=5)", "mc_sjd(window=99)", "jacobi_ngram", "sjd_pac"])
def test_memory_is_what_shapes_say(task, spelling):
    found = memory.measured(task, decoder(spelling))
    assert disagreements([{"decoder": spelling, **found}]) == []
    slots = 64  # for <bos> two stars <begin_of_image>, the image, a scrap slot and branches
    assert found["cache_stated"] == 2 * 2 * 2 * 1 * 16 * 8 * slots  # k and v, layers, rows, heads, width, float64
    assert found["cache_allocated"] == found["cache_stated"]


def test_disagreements_are_told():
    found = {"cache_stated": 8, "cache_at_opening": 9, "laws_stated": 4, "laws_allocated": 4}
    assert disagreements([{"decoder": "x", **found}]) == ["x: the cache of an image took 9 bytes, not 8."]


def test_weights_are_counted_once(pipeline):
    tensors = [*pipeline.model.model.parameters(), *pipeline.model.model.buffers()]
    assert memory.weights(pipeline.model.model) == sum(t.numel() * t.element_size() for t in tensors) > 0
    assert memory.process_peak() > 1e7


def test_a_drawing_costs_what_the_pipeline_says(pipeline, task):
    drawn = draw(task, decoder("mc_sjd(window=4)"), [0, 1, 2])
    prompts = [task.prompts[i % 2] for i in range(3)]
    result = pipeline(prompts, decoder="mc_sjd(window=4)", seed=[0, 1, 2])
    assert list(map(list, drawn.committed)) == result.trace.committed.tolist()
    assert drawn.passes == tuple(result.trace.passes.tolist())
    assert 0 < drawn.prefill < drawn.seconds
    assert drawn.seconds == pytest.approx(drawn.prefill + drawn.decode + drawn.detokenise)


def test_transformers_draws_with_the_same_weights(task):
    drawn = rival_of(task)(0)
    assert drawn.passes == (16,)
    assert drawn.prefill is None
    assert drawn.seconds > drawn.detokenise > 0


def test_without_guidance_transformers_does_not_draw(pipeline):
    unguided = Task(bind(pipeline.model, GenerationOptions(guidance=1.0)), ["two"])
    with pytest.raises(ValueError, match="guidance"):
        rival_of(unguided)


def test_a_pass_is_body_head_and_the_rest(task):
    timed = time_passes(task, decoder("mc_sjd(window=2)"), 3)
    assert [each.body is None for each in timed] == [True, False, True]
    assert all(each.elsewhere > 0 for each in timed[1::2])
    assert time_passes(task, decoder("mc_sjd(window=15)"), 3) == []  # the window would be cut


def test_the_parts_that_are_timed_are_those_that_answer(folder, monkeypatch):
    """A small model in float32 runs on the CPU fast path in timed passes too."""
    asked, answer = [], Llama.__call__
    monkeypatch.setattr(Llama, "__call__", lambda body, *inputs: (asked.append(1), answer(body, *inputs))[1])
    model = fewpass.load(folder, "cpu", "float32").model
    timed = time_passes(Task(bind(model, GenerationOptions()), ["two stars"]), decoder("ar"), 4)
    assert len(timed) == 4
    assert len(asked) == 2 + len(timed)  # the prompt's pass, and the one for which memory is claimed


def row(inside=3.0, whole=4.0, **more):
    parts = {"body_seconds": inside - 1 if inside else None, "head_seconds": 1.0 if inside else None}
    return {"decoder": "sjd", "window": 8, "pass_seconds": whole, **parts, **more}


@pytest.mark.parametrize(("inside", "whole", "found"), [(3, 4, 0), (4, 4, 0), (5, 4, 1), (None, 4, 0), (5, None, 0)])
def test_a_part_above_the_whole_is_told(inside, whole, found):
    told = contradictions([row(inside, whole)], [])
    assert len(told) == found
    assert all("sjd, window 8: 5e+03 ms inside the model and 4e+03 ms for a whole pass contradict" in t for t in told)


@pytest.mark.parametrize(("prefill", "pixels", "found"), [(0.2, 0.3, 0), (None, None, 0), (0.2, 0.9, 1)])
def test_parts_of_an_image_above_the_whole_are_told(prefill, pixels, found):
    image = {"decoder": "sjd", "seconds": 1.0, "prefill_seconds": prefill, "detokenise_seconds": pixels}
    assert len(contradictions([], [image])) == found


def test_ratios_are_between_drawings_of_the_same_image(task):
    bench = Benchmark(task, Plan([decoder("ar"), decoder("sjd")], (), (), 1, 0))
    bench.contest["ar"] = [Drawn((16,), 1.0, s, 0.0, None) for s in (1.0, 9.0, 3.0)]
    bench.contest["sjd"] = [Drawn((p,), 0.0, s, 0.0, None) for p, s in ((4, 1.0), (8, 1.0), (4, 2.0))]
    ar, sjd = figures.contest(bench)
    assert (ar["faster_than_ar"], ar["seconds"]) == (1.0, 4.0)
    assert (sjd["faster_than_ar"], sjd["fewer_passes_than_ar"]) == (2.0, 4.0)
    assert sjd["tokens_per_pass"] == 4.0
    assert sjd["pass_seconds"] == pytest.approx(1 / 3)
    assert sjd["faster_than_transformers"] is None


def test_contestants_take_turns(task):
    plan = Plan([decoder("ar"), decoder("mc_sjd"), decoder("sjd")], (0, 2), (1, 2), 2, 4)
    steps = [step.what for step in Benchmark(task, plan, against=lambda number: None).steps()]
    names = [str(d) for d in plan.decoders]
    turn = [f"image {i}, {name}" for i in (1, 2) for name in (*names, "transformers")]
    turn += ["ar, window 0", *(f"{name}, window 2" for name in names[1:])]
    turn += [f"{b} images together, {name}" for b in (1, 2) for name in names]
    again = [what.replace("image 1,", "image 3,").replace("image 2,", "image 4,") for what in turn]
    assert steps == [*(f"memory of {name}" for name in names), "warming up transformers", *turn, *again]


def test_a_batch_that_does_not_fit_is_told_and_larger_ones_are_left_out(task, monkeypatch):
    asked = []

    def full(task, decoder, numbers):
        asked.append(len(numbers))
        if len(numbers) > 1:
            raise torch.OutOfMemoryError
        return Drawn((1,), 0.0, 1.0, None, None)

    monkeypatch.setattr(fewpass.bench.run, "draw", full)
    bench = Benchmark(task, Plan([decoder("ar")], (), (1, 2, 4), 2, 0))
    for step in bench.steps():
        if "together" in step.what:
            step.run()
    assert asked == [1, 2, 1]
    assert [row["batch"] for row in figures.batches(bench)] == [1]
    assert "2 images together do not fit" in bench.notes[0]


def test_published_shapes_are_of_known_families():
    assert {read_shape(name)["model_type"] for name in shape_names()} == set(FAMILIES)


@pytest.mark.parametrize(("policy", "threads", "asleep"), [("PASSIVE", 2, True), ("PASSIVE", 1, False), ("", 2, False)])
def test_the_machine_says_whether_its_threads_sleep(monkeypatch, policy, threads, asleep):
    """It makes passes of `ar` slower than they need be, so whoever reads the figures has to know."""
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert ("asleep" in machine(torch.device("cpu"))) == asleep
