"""Models that yield NaN or inf: an error and no image, whichever way it is drawn."""

import copy
import json
import pickle
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import fewpass
from fewpass import RECIPES, Failed, Finished, Grid, Pipeline, Sampling, Scheduler
from fewpass.cli import main
from fewpass.core.errors import ModelError
from fewpass.core.loop import decode
from fewpass.decoders import ngram
from fewpass.demo.comparison import Stream
from fewpass.engine.log_likelihood import read
from fewpass.models.pixels import to_pixels
from fewpass.testing import Toy, coming_and_going, drawn
from tests import tiny
from tests.toys import GREEDY, PLAIN, WIDE, WIDE_ROW_ENDS


@pytest.fixture
def serving():
    """What serves a pipeline in tests, and its client."""
    for package in ("fastapi", "httpx", "openai", "psutil"):
        pytest.importorskip(package, reason="what tests the server is not installed: pip install '.[serve-test]'")
    return import_module("tests.serving")


NAN, INF = float("nan"), float("inf")
FAULTS = {"NaN": NAN, r"\+inf": INF, "-inf for every token": -INF}
LAWS = {"plain": PLAIN, "greedy": GREEDY, "top-k": Sampling(top_k=3), "top-p": Sampling(0.7, top_p=0.9)}
IMAGES = 5
BAD = "blue"  # the word whose embedding is NaN in a broken checkpoint


class Broken(Toy):
    """A toy whose logits at image position `at` have `value`: in one token, or in all if it is -inf."""

    at, value = 0, NAN

    def logits(self, prefix, index):
        logits = super().logits(prefix, index)
        faulty = torch.as_tensor(self.faulty(index)).expand(index.shape)[..., None]
        hit = torch.ones_like(logits, dtype=torch.bool) if self.value == -INF else torch.arange(logits.shape[-1]) == 2
        return self.grid.forbid(index, logits.masked_fill(faulty & hit, self.value))

    def faulty(self, index):
        return index == self.at


def broken(at, value, grid=WIDE, images=IMAGES):
    return type("BrokenHere", (Broken,), {"at": at, "value": value})(images, grid)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_decode_refuses_logits_that_give_no_probabilities(recipe, fault):
    session = broken(7, FAULTS[fault])
    with pytest.raises(ModelError, match=f"logits contain {fault} in float64"):
        drawn(session, RECIPES[recipe](), PLAIN, torch.arange(IMAGES))


@pytest.mark.parametrize("at", [0, 1, WIDE.size - 1])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("law", LAWS)
def test_decode_refuses_them_under_every_sampling(law, fault, at):
    for name in ("ar", "jacobi", "sjd", "sjd_pac", "jacobi_ngram", "zipar"):
        with pytest.raises(ModelError, match=f"logits contain {fault} in float64"):
            drawn(broken(at, FAULTS[fault]), RECIPES[name](), LAWS[law], torch.arange(IMAGES))


class Outside(Broken):
    """Yields NaN where logits mean nothing: past the image, and where the layout leaves no choice."""

    def faulty(self, index):
        return (index >= self.grid.size) | (self.grid.due(index) >= 0)


@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row ends"])
@pytest.mark.parametrize("value", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_decode_does_not_look_past_the_image_or_at_row_ends(recipe, value, grid):
    outside = type("OutsideHere", (Outside,), {"value": value})(IMAGES, grid)
    expected = drawn(Toy(IMAGES, grid), RECIPES[recipe](), PLAIN, torch.arange(IMAGES))
    assert torch.equal(drawn(outside, RECIPES[recipe](), PLAIN, torch.arange(IMAGES)), expected)


def test_images_do_not_depend_on_a_faulty_neighbour():
    """The faulty image goes on without probabilities until somebody takes it out, and no other sees it."""

    class OneFaulty(Toy):
        def logits(self, prefix, index):
            logits = super().logits(prefix, index)
            faulty = (torch.arange(len(logits)) == 2)[:, None, None] & (index >= 4)[..., None]
            return logits.masked_fill(faulty, NAN)

    for recipe in RECIPES:
        whole, one = (
            coming_and_going(kind(3, WIDE), RECIPES[recipe](), PLAIN, torch.arange(3)) for kind in (Toy, OneFaulty)
        )
        assert torch.equal(whole[:2], one[:2]), recipe


class CountedReads(TorchDispatchMode):
    """Counts how often a number is read back from the device."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.reads, tolist = 0, torch.Tensor.tolist
        monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: self._one() or tolist(tensor))

    def _one(self):
        self.reads += 1

    def __torch_dispatch__(self, call, types, arguments=(), options=None):
        if call in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            self._one()
        return call(*arguments, **(options or {}))


@pytest.mark.parametrize(
    "spelling",
    ["ar", "jacobi", "sjd", "sjd_pac", "jacobi_ngram", "jacobi_ngram(branches=9)", "sjd_block", "zipar", "pjd"],
)
def test_passes_read_back_from_the_device_twice(monkeypatch, spelling):
    """The lengths of what is drawn, and of all images: as often as before logits were looked at."""
    monkeypatch.setattr(ngram, "reads_are_free", lambda x: False)
    with CountedReads(monkeypatch) as counted:
        passes = sum(1 for _ in decode(Toy(1, WIDE), fewpass.decoder(spelling), PLAIN, torch.arange(1)))
    assert counted.reads == 2 * passes - (spelling in ("zipar", "pjd"))  # these read nothing before their first pass


# Models.


def change(pipeline, **parts):
    """The same pipeline with other parts in its network."""
    model = copy.copy(pipeline.model)
    model.network = replace(model.network, **parts)
    return Pipeline(model)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A checkpoint in which one word has NaN for its embedding."""
    network, tokenizer = tiny.janus(), tiny.tokenizer()
    network.generation_config.guidance_scale = 1.0
    with torch.no_grad():
        network.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(BAD)] = NAN
    folder = tmp_path_factory.mktemp("damaged")
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def broken_pipeline(damaged):
    return fewpass.load(damaged, "cpu", "float64")


LINE = "the model's logits contain NaN in float64, so no image can be drawn: its weights may be damaged"


def test_call_refuses_nan(broken_pipeline):
    with pytest.raises(ModelError, match=LINE):
        broken_pipeline(["red stars", "blue stars"], seed=1)


def test_wrap_and_generate_refuse_nan(broken_pipeline):
    network, tokenizer = broken_pipeline.model.model, broken_pipeline.model.tokenizer
    with pytest.raises(ModelError, match=LINE):
        fewpass.wrap(network, tokenizer)("blue stars", seed=1)
    inputs = tokenizer(["blue stars"], return_tensors="pt")
    with pytest.raises(ModelError, match=LINE):
        fewpass.generate(network, **inputs, decoder="jacobi", seed=1)


def test_stream_yields_finished_images_before_the_error(broken_pipeline):
    stream = broken_pipeline.stream(["red stars", "one", "blue stars"], batch_size=2, decoder="ar", seed=1)
    assert sorted(next(stream)[0] for _ in range(2)) == [0, 1]
    with pytest.raises(ModelError, match=LINE):
        next(stream)


def test_scheduler_goes_on_with_the_other_images(broken_pipeline):
    jobs = [broken_pipeline.job(prompt, seed=3) for prompt in ("blue stars", "red stars", "one", "blue background")]
    scheduler, over = Scheduler(broken_pipeline.model, 4), []
    for job in jobs:
        scheduler.add(job)
    while scheduler.drawing or scheduler.waiting:
        over += scheduler.step()
    assert [type(one) for one in over] == [Failed, Failed, Finished, Finished]
    assert {one.job for one in over[:2]} == {jobs[0], jobs[3]}
    for one in over[2:]:
        alone = broken_pipeline(one.job.prompt, seed=3)
        assert torch.equal(one.canvas.tokens[:, : tiny.SIDE**2], alone.tokens)


def test_demo_stream_refuses_nan(broken_pipeline):
    with pytest.raises(ModelError, match=LINE):
        list(Stream(broken_pipeline, broken_pipeline.job("blue stars", seed=1)))


def test_score_refuses_nan(broken_pipeline):
    tokens = torch.zeros(1, tiny.SIDE**2, dtype=torch.long)
    grid = broken_pipeline.model.grid(None)
    with torch.inference_mode(), pytest.raises(ModelError, match="logits contain NaN or inf in float64"):
        read(broken_pipeline.model.open(["blue"], grid, 1.0, [None]), Sampling(), tokens)


COMMANDS = {
    "generate": ["generate", "blue stars", "-o", "out.png", "--seed", "1"],
    "compare": ["compare", "blue stars", "--seed", "1"],
    "bench": ["bench", "--prompts", "p.txt", "-o", "bench", "--windows", "4"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_end_with_one_line_and_no_image(damaged, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.txt").write_text("blue stars\n")
    where = ["--model", str(damaged), "--device", "cpu", "--dtype", "float64"]
    assert main([*COMMANDS[command], *where]) == 2
    said = capsys.readouterr().err
    assert LINE in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.rglob("*.png"))


def test_batch_records_nan_as_failed(damaged, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("red stars\nblue stars\none\n")
    where = ["--model", str(damaged), "--device", "cpu", "--dtype", "float64"]
    assert main(["batch", str(tmp_path / "p.txt"), "-o", str(tmp_path / "out"), "--seed", "1", *where]) == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["drawn", "failed", "drawn"]
    assert lines[1]["error"].startswith(LINE)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2


def test_serve_answers_500_and_goes_on(broken_pipeline, serving):
    with serving.Running(broken_pipeline) as running:
        answer = running.post({"prompt": "blue stars"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
        assert answer.json()["error"]["message"].startswith(LINE)
        assert running.post({"prompt": "red stars"}).status_code == 200
        assert running.engine.images == 0


def test_float16_that_overflows_is_refused_with_dtypes_to_try(tmp_path):
    network = tiny.janus()
    network.generation_config.guidance_scale = 1.0
    with torch.no_grad():
        network.model.language_model.layers[0].mlp.down_proj.weight.mul_(1e6)
    network.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r'NaN in float16, .*: load it with dtype="bfloat16" or dtype="float32"'):
        fewpass.load(tmp_path, "cpu", "float16")("red stars", seed=1)
    for dtype in ("bfloat16", "float32"):
        assert len(fewpass.load(tmp_path, "cpu", dtype)("red stars", seed=1).images) == 1


# Tokens that the model masks.


def masking(pipeline, *rows):
    """A pipeline whose head gives -inf to token v in row r of each image, for each pair (r, v)."""
    head = pipeline.model.network.head

    def masked(hidden):
        logits = head(hidden).clone()
        for row, token in rows:
            logits[row::2, :, token] = -INF
        return logits

    return change(pipeline, head=masked)


@pytest.mark.parametrize("rows", [[(0, 3), (1, 3)], [(0, 3)], [(1, 3)]], ids=["both rows", "prompt", "unconditional"])
@pytest.mark.parametrize("guidance", [0.0, 0.5, 3.0])
def test_guidance_leaves_masked_tokens_masked(pipeline, guidance, rows):
    session = masking(pipeline, *rows).model.open(["red"], pipeline.model.grid(None), guidance, [None])
    plain = pipeline.model.open(["red"], pipeline.model.grid(None), guidance, [None])
    expected = plain.first.clone()
    expected[..., 3] = -INF
    assert torch.equal(session.first, expected)


def test_call_draws_with_masked_tokens(pipeline):
    masked = masking(pipeline, *((row, token) for row in (0, 1) for token in range(0, tiny.CODES, 2)))
    tokens = masked(["red stars", "one"], guidance=3.0, top_k=8, seed=1).tokens
    assert (tokens % 2 == 1).all()


@pytest.mark.parametrize("values", [(INF, -INF), (-INF, INF), (NAN, -INF), (INF, INF), (0.0, NAN), (INF, 0.0)])
@pytest.mark.parametrize("guidance", [0.0, 3.0])
def test_guidance_does_not_hide_faults_of_a_row(pipeline, guidance, values):
    head = pipeline.model.network.head

    def faulty(hidden):
        logits = head(hidden).clone()
        for row, value in enumerate(values):
            logits[row::2, :, 3] = value
        return logits

    with pytest.raises(ModelError, match="logits contain"):
        change(pipeline, head=faulty)("red", guidance=guidance, seed=1)


# Pixels.


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_pixels_that_are_no_numbers_are_refused(value):
    with pytest.raises(ModelError, match="the model's pixels contain NaN or inf in float32"):
        to_pixels(lambda codes: torch.full((len(codes), 3, 2, 2), value), torch.zeros(1, 4))


def test_serve_survives_previews_that_are_no_numbers(pipeline, monkeypatch, serving):
    def nothing(codes):
        return torch.full((len(codes), 3, 2 * tiny.SIDE, 2 * tiny.SIDE), NAN)

    with serving.Running(pipeline) as running:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline.model.model.model.vqmodel, "decode", nothing)
            body = {"prompt": "red stars", "stream": True, "partial_images": 2, "decoder": "ar", "n": 2}
            answer = running.post(body)
            assert "pixels contain NaN or inf" in answer.text
        assert running.engine.ready
        assert running.post({"prompt": "red stars"}).status_code == 200
        assert running.engine.images == 0


# Numbers of the caller's that overflow.


@pytest.mark.parametrize("temperature", [1e-11, 1e-38, 1e-300, 5e-324])
def test_temperatures_that_would_overflow_are_0(temperature):
    logits = torch.tensor([[[1.0, 50.0, 50.0, -INF]]])
    for options in ({}, {"top_k": 2}, {"top_p": 0.9}):
        assert torch.equal(Sampling(temperature, **options)(logits), GREEDY(logits))
    assert Sampling(1e-10)(logits * 1e20).isfinite().all()


def test_guidance_that_would_overflow_is_refused(pipeline):
    inputs = pipeline.model.tokenizer(["red"], return_tensors="pt")
    for scale in (1.1e6, 1e38, 1e300):
        with pytest.raises(ValueError, match=r"guidance must be a number <= 1000000, got"):
            pipeline("red", guidance=scale)
        with pytest.raises(ValueError, match=r"guidance must be a number <= 1000000, got"):
            fewpass.generate(pipeline.model.model, **inputs, guidance_scale=scale)
    assert len(pipeline("red", guidance=1e6, temperature=1e-10, seed=1).images) == 1


# Errors of the caller's own.


@pytest.mark.parametrize("error", [MemoryError("mine"), torch.OutOfMemoryError("mine")])
def test_on_step_errors_are_passed_on(pipeline, error):
    seen = []

    def full(canvas):
        seen.append(len(canvas.tokens))
        raise error

    with pytest.raises(type(error)) as raised:
        pipeline(["red", "one"], seed=1, on_step=full)
    assert raised.value is error
    assert seen == [2]
    with pytest.raises(type(error), match="mine"):
        list(pipeline.stream(["red", "one"], seed=1, on_step=full))


# Decoders in other processes.


@pytest.mark.parametrize("name", RECIPES)
def test_decoders_and_recipes_can_be_pickled_and_copied(name, pipeline):
    recipe, options = RECIPES[name], {} if name == "ar" else {"window": 3}
    for chosen in (recipe(), recipe(**options)):
        for twin in (pickle.loads(pickle.dumps(chosen)), copy.deepcopy(chosen)):
            assert (twin, str(twin), twin.lossless) == (chosen, str(chosen), chosen.lossless)
    assert pickle.loads(pickle.dumps(recipe)) is copy.deepcopy(recipe) is recipe
    grid = Grid(3, 4, 8)
    tokens = drawn(Toy(2, grid), recipe(**options), PLAIN, torch.arange(2))
    unpickled = pickle.loads(pickle.dumps(recipe(**options)))
    assert torch.equal(drawn(Toy(2, grid), unpickled, PLAIN, torch.arange(2)), tokens)
