"""The parts of `fewpass bench`."""

import json

import pytest
import torch
from PIL import Image

import fewpass
import fewpass.bench.run
from fewpass import Trace, decode, decoder
from fewpass.bench import report
from fewpass.bench.baseline import baseline_of
from fewpass.bench.replay import Replay, check_traces, read_traces, recorded, replayed, stretched
from fewpass.bench.run import Benchmark, Plan
from fewpass.bench.shape import read_shape, shape_names
from fewpass.bench.task import Task
from fewpass.bench.timing import Drawn, draw, time_passes
from fewpass.engine.options import GenerationOptions
from fewpass.engine.request import bind
from fewpass.io.machine import machine
from fewpass.io.png_metadata import png
from fewpass.models import FAMILIES
from fewpass.testing import Toy
from tests.damage import DEEP
from tests.toys import PLAIN, WIDE, noted

N = WIDE.size
DRAFTING = ("jacobi(window=6)", "sjd(window=6)", "mc_sjd(window=6)", "jacobi_ngram(window=6)", "sjd_pac(window=6)")


def committed(counts):
    """The trace whose passes commit so many tokens."""
    return tuple(n for n, count in enumerate(counts, start=1) for _ in range(count))


def some_trace(seed):
    """A trace of as many tokens as the toy has."""
    chance, counts = torch.Generator().manual_seed(seed), [1]
    while sum(counts) < N:
        counts.append(min(int(torch.randint(1, 8, (), generator=chance)), N - sum(counts)))
    return committed(counts)


@pytest.fixture(scope="module")
def task(pipeline):
    return Task(bind(pipeline.model, GenerationOptions()), ["two stars", "red"])


@pytest.mark.parametrize("spelling", DRAFTING)
def test_replay_commits_the_tokens_of_its_trace(spelling):
    traces = some_trace(0), some_trace(1)
    trace = Trace.blank(5, WIDE)
    run = replayed(decoder(spelling), traces)
    for _ in noted(trace, decode(Toy(5, WIDE), run, PLAIN, torch.arange(5) + 2)):
        pass
    assert list(map(tuple, trace.committed.tolist())) == [traces[i % 2] for i in range(5)]
    assert str(run) == str(decoder(spelling))


def test_replay_commits_at_most_its_window():
    run = replayed(decoder("mc_sjd(window=2)"), (some_trace(0),))
    trace = Trace.blank(1, WIDE)
    assert list(noted(trace, decode(Toy(1, WIDE), run, PLAIN, torch.arange(1))))
    assert trace.committed.unique(return_counts=True)[1].max() == 3


@pytest.mark.parametrize("size", [50, 100, 1000])
def test_stretched_trace_keeps_tokens_per_pass(size):
    counts = (1, *[4] * 10, *[1] * 9, *[5] * 10)  # 100 tokens in 30 passes
    commits, final, passes = stretched(committed(counts), size), 1, 1
    while final < size:
        final, passes = final + commits[final], passes + 1
    assert passes == pytest.approx(30 * size / 100, abs=3)


def test_ar_needs_no_trace():
    assert replayed(decoder("ar"), ()) == decoder("ar")
    assert isinstance(replayed(decoder("sjd"), (some_trace(0),)), Replay)


@pytest.mark.parametrize("spelling", ["zipar", "pjd"])
def test_decoders_without_raster_order_cannot_replay(spelling):
    with pytest.raises(ValueError, match=spelling):
        replayed(decoder(spelling), (some_trace(0),))


@pytest.mark.parametrize("order", [[1, 2, 0], [1, 3, 2], [1, 3, 3], [2, 3], [], [1, "2"], [True, 2], [[1]]])
def test_invalid_trace_is_refused(order, tmp_path):
    (tmp_path / "here.json").write_text(json.dumps({"decoder": "sjd", "trace": {"committed": order}}))
    with pytest.raises(ValueError, match=r"no trace in '.*here\.json'"):
        read_traces([str(tmp_path / "here.json")])


def test_traces_are_read_from_images_sheets_and_json(tmp_path):
    record = {"decoder": "sjd(window=6)", "trace": {"committed": [1, 2, 2]}}
    other = {"decoder": "mc_sjd", "trace": {"committed": [1, 2, 3]}}
    image = Image.new("RGB", (2, 2))
    (tmp_path / "image.png").write_bytes(png(image, record))
    (tmp_path / "sheet.png").write_bytes(png(image, {"compared": [record, other]}))
    (tmp_path / "bench.json").write_text(json.dumps({"traces": [other, record | {"trace": {"committed": [1, 3, 2]}}]}))
    (tmp_path / "some.json").write_text(json.dumps([other]))
    sjd, mc_sjd = str(decoder("sjd(window=6)")), str(decoder("mc_sjd"))
    found = read_traces([str(tmp_path / name) for name in ("image.png", "sheet.png", "bench.json", "some.json")])
    assert found == {sjd: [(1, 2, 2)] * 2, mc_sjd: [(1, 2, 3)] * 3}
    check_traces(found, [decoder("ar"), decoder("sjd(window=6)")])
    with pytest.raises(ValueError, match=r"no trace of sjd\(window=7.*there are traces of sjd\(window=6"):
        check_traces(found, [decoder("sjd(window=7)")])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("absent.json", None, "absent.json"),
        ("words.json", "words", "neither a .png file nor JSON"),
        ("empty.json", "{}", "there is no trace"),
        ("deep.json", DEEP, r"'.*deep\.json' is neither a .png file nor JSON"),
        ("number.json", "5", "there is no trace"),
        ("plain.png", "", "not an image drawn by fewpass"),
        ("unknown.json", '{"decoder": "sdj", "trace": {"committed": [1]}}', "'sdj'"),
    ],
)
def test_file_without_traces_is_named(tmp_path, name, content, why):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=why):
        read_traces([str(tmp_path / name)])


def test_recorded_traces_equal_those_of_calls(pipeline):
    chosen, prompts = decoder("mc_sjd(window=4)"), ["two stars", "red"]
    traces = recorded(pipeline, [decoder("ar"), chosen], prompts)
    alone = [pipeline(prompt, decoder=chosen, seed=seed).trace for seed, prompt in enumerate(prompts)]
    assert traces == {str(chosen): [tuple(trace.committed[0].tolist()) for trace in alone]}


def test_memory_counts_weights_and_cache(pipeline, task):
    found = report.memory(Benchmark(task, Plan([decoder("ar")], (), (), 1, 0)))
    tensors = [*pipeline.model.model.parameters(), *pipeline.model.model.buffers()]
    assert found["weights_bytes"] == sum(t.numel() * t.element_size() for t in tensors) > 0
    slots = 64  # for <bos> two stars <begin_of_image>, the image, a scrap slot and branches
    assert found["cache_bytes"] == 2 * 2 * 2 * 1 * 16 * 8 * slots  # k and v, layers, rows, heads, width, float64
    assert found["peak_bytes"] > 1e7


def test_drawing_has_the_passes_of_the_pipeline(pipeline, task):
    drawn = draw(task, decoder("mc_sjd(window=4)"), [0, 1, 2])
    prompts = [task.prompts[i % 2] for i in range(3)]
    result = pipeline(prompts, decoder="mc_sjd(window=4)", seed=[0, 1, 2])
    assert torch.equal(drawn.trace.committed, result.trace.committed)
    assert drawn.passes == result.trace.passes[0]
    assert 0 < drawn.prefill < drawn.seconds
    assert drawn.seconds == pytest.approx(drawn.prefill + drawn.decode + drawn.detokenise)


def test_baseline_draws_with_the_same_weights(task):
    drawn = baseline_of(task)(0)
    assert drawn.passes == 16
    assert drawn.prefill is None
    assert drawn.seconds > drawn.detokenise > 0


def test_baseline_without_guidance_is_refused(pipeline):
    unguided = Task(bind(pipeline.model, GenerationOptions(guidance=1.0)), ["two"])
    with pytest.raises(ValueError, match="guidance"):
        baseline_of(unguided)


def test_timed_pass_has_a_part_inside_the_model(task):
    timed = time_passes(task, decoder("mc_sjd(window=2)"), 3)
    assert len(timed) == 3
    assert all(0 < each.model_seconds < each.seconds for each in timed)
    assert time_passes(task, decoder("mc_sjd(window=15)"), 3) == []  # the window would be cut


def test_ratios_compare_drawings_of_the_same_image(task):
    bench = Benchmark(task, Plan([decoder("ar"), decoder("sjd")], (), (), 1, 0))
    bench.images["ar"] = [Drawn(16, 1.0, s, 0.0, None) for s in (1.0, 9.0, 3.0)]
    bench.images["sjd"] = [Drawn(p, 0.0, s, 0.0, None) for p, s in ((4, 1.0), (8, 1.0), (4, 2.0))]
    ar, sjd = report.decoder_rows(bench)
    assert (ar["faster_than_ar"], ar["seconds"]) == (1.0, 4.0)
    assert (sjd["faster_than_ar"], sjd["fewer_passes_than_ar"]) == (2.0, 4.0)
    assert sjd["tokens_per_pass"] == 4.0
    assert sjd["pass_seconds"] == pytest.approx(1 / 3)
    assert sjd["faster_than_transformers"] is None


def test_parts_of_an_image_add_up_to_its_seconds(task):
    """They are of one drawing: medians of the parts could exceed the median of the whole."""
    bench = Benchmark(task, Plan([decoder("ar")], (), (), 1, 0))
    bench.images["ar"] = [Drawn(16, *parts, None) for parts in ((8.0, 1.0, 0.0), (0.0, 1.0, 9.0), (7.0, 1.0, 7.0))]
    (row,) = report.decoder_rows(bench)
    assert (row["seconds"], row["prefill_seconds"], row["detokenise_seconds"]) == (10.0, 0.0, 9.0)


def test_decoders_take_turns(task):
    plan = Plan([decoder("ar"), decoder("mc_sjd"), decoder("sjd")], (0, 2), (1, 2), 2, 4)
    steps = [step.what for step in Benchmark(task, plan, against=lambda number: None).steps()]
    names = [str(d) for d in plan.decoders]
    turn = [f"image {i}, {name}" for i in (1, 2) for name in (*names, "transformers")]
    turn += ["ar, window 0", *(f"{name}, window 2" for name in names[1:])]
    turn += [f"{b} images together, {name}" for b in (1, 2) for name in names]
    again = [what.replace("image 1,", "image 3,").replace("image 2,", "image 4,") for what in turn]
    assert steps == [*(f"warming up {name}" for name in names), "warming up transformers", *turn, *again]


def test_batch_out_of_memory_is_noted_and_larger_ones_are_skipped(task, monkeypatch):
    asked = []

    def full(task, decoder, numbers):
        asked.append(len(numbers))
        if len(numbers) > 1:
            raise torch.OutOfMemoryError
        return Drawn(1, 0.0, 1.0, None, None)

    monkeypatch.setattr(fewpass.bench.run, "draw", full)
    bench = Benchmark(task, Plan([decoder("ar")], (), (1, 2, 4), 2, 0))
    for step in bench.steps():
        if "together" in step.what:
            step.run()
    assert asked == [1, 2, 1]
    assert [row["batch"] for row in report.batch_rows(bench)] == [1]
    assert "2 images together do not fit" in bench.notes[0]


def test_published_shapes_belong_to_supported_families():
    assert {read_shape(name)["model_type"] for name in shape_names()} == set(FAMILIES)


@pytest.mark.parametrize(("policy", "threads", "asleep"), [("PASSIVE", 2, True), ("PASSIVE", 1, False), ("", 2, False)])
def test_machine_names_sleeping_threads(monkeypatch, policy, threads, asleep):
    """It makes passes of `ar` slower than they need be, so whoever reads the figures has to know."""
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert ("asleep" in machine(torch.device("cpu"))) == asleep
