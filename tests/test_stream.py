"""Streams: what comes out is what single calls draw, whoever shares the batch, in bounded memory."""

import itertools

import pytest
import torch

import fewpass
from fewpass import RECIPES, Failed, Scheduler
from tests.tiny import SIDE

N = SIDE**2
PROMPTS = ["red stars", "two blue stars on a red background", "one", "a blue background", "stars"]


def tokens(results):
    """The tokens [N] of each image by its number."""
    return {i: result.tokens[0].tolist() for i, result in results}


@pytest.mark.parametrize(("recipe", "batch"), [*((name, 3) for name in RECIPES), ("mc_sjd", 1), ("mc_sjd", 8)])
def test_stream_draws_what_single_calls_draw(pipeline, recipe, batch):
    streamed = tokens(pipeline.stream(PROMPTS, batch_size=batch, decoder=recipe, seed=5))
    for i, prompt in enumerate(PROMPTS):
        assert streamed[i] == pipeline(prompt, decoder=recipe, seed=5 + i).tokens[0].tolist()


def test_results_are_those_of_calls_in_every_respect(pipeline):
    options = {"guidance": 2.0, "temperature": 0.9, "top_k": 20, "top_p": 0.95, "negative_prompt": "one"}
    options["decoder"] = "jacobi_ngram"  # whose passes do not depend on how fast they are
    for i, result in pipeline.stream(PROMPTS, batch_size=4, seed=3, logprobs=True, **options):
        alone = pipeline(PROMPTS[i], seed=3 + i, logprobs=True, **options)
        assert result.settings == alone.settings
        assert result.seeds == alone.seeds
        assert result.images[0].tobytes() == alone.images[0].tobytes()
        assert torch.equal(result.trace.committed, alone.trace.committed)
        assert (result.logprobs - alone.logprobs).abs().max() < 1e-9
        assert 0 < result.trace.model_seconds < result.trace.seconds


def test_images_come_as_they_are_finished(pipeline):
    order = [i for i, _ in pipeline.stream(PROMPTS * 4, batch_size=4, decoder="mc_sjd", seed=1)]
    assert sorted(order) == list(range(len(PROMPTS) * 4))
    assert order != sorted(order)


def test_next_prompt_enters_when_an_image_is_finished(pipeline):
    """Autoregression finishes all four at once; a lossless decoder does not, and no place may stay empty then."""
    full = []
    stream = pipeline.stream(
        PROMPTS * 2, batch_size=3, decoder="mc_sjd", seed=1, on_step=lambda c: full.append(len(c.tokens))
    )
    for _ in stream:
        pass
    busy = [n for n in full if n == 3]
    assert max(full) <= 3
    assert len(busy) > len(full) / 3  # those of which one has just finished count as less


def test_endless_prompts_are_read_as_places_fall_free(pipeline):
    read = []
    endless = (read.append(i) or PROMPTS[i % len(PROMPTS)] for i in itertools.count())
    stream = pipeline.stream(endless, batch_size=3, seed=0)
    for done in range(1, 12):
        next(stream)
        assert len(read) <= done + 3
    stream.close()


def test_count_and_seeds(pipeline):
    counted = dict(pipeline.stream(PROMPTS[:2], batch_size=2, seed=7, count=2))
    assert [counted[i].seeds for i in range(4)] == [[7], [8], [9], [10]]
    assert [counted[i].settings[0]["prompt"] for i in range(4)] == [PROMPTS[0]] * 2 + [PROMPTS[1]] * 2
    listed = dict(pipeline.stream(PROMPTS, batch_size=2, seed=itertools.count(100, -3)))
    assert [listed[i].seeds for i in range(5)] == [[100 - 3 * i] for i in range(5)]
    drawn = dict(pipeline.stream(PROMPTS, batch_size=2))
    assert len({result.seeds[0] for result in drawn.values()}) == 5


def test_jobs_with_settings_of_their_own_share_a_batch(pipeline):
    own = [
        {"guidance": 2.0, "seed": 4},
        {"guidance": 5.0, "seed": 4},
        {"guidance": 1, "seed": 4},  # one row: cannot share with those of two
        {"decoder": "jacobi", "seed": 9},
        {"temperature": 0.5, "seed": 9},
        {"negative_prompt": "one", "seed": 4},
    ]
    jobs = [pipeline.job(PROMPTS[1], **options) for options in own]
    streamed = tokens(pipeline.stream([*jobs, *jobs], batch_size=5))
    for i, options in enumerate(own):
        assert streamed[i] == streamed[i + len(own)] == pipeline(PROMPTS[1], **options).tokens[0].tolist()
    assert jobs[0].batch_key == jobs[1].batch_key == jobs[5].batch_key
    assert len({job.batch_key for job in jobs}) == 4


def test_guidance_of_one_batch_may_differ_by_image(pipeline):
    rows = []
    model = pipeline.model.network.body.model
    hook = model.register_forward_pre_hook(
        lambda model, args, kwargs: rows.append(len(kwargs["inputs_embeds"])), with_kwargs=True
    )
    jobs = [pipeline.job("red stars", guidance=g, decoder="ar", seed=0) for g in (2, 3, 4)]
    list(pipeline.stream(jobs, batch_size=3))
    hook.remove()
    assert rows == [6] * N


def test_on_step_stops_a_stream(pipeline):
    passes = []
    stopped = pipeline.stream(PROMPTS, batch_size=2, on_step=lambda canvas: passes.append(1) or len(passes) < 3)
    assert list(stopped) == []
    assert len(passes) == 3


REFUSED = {
    "one prompt": ({"prompts": "red stars"}, "several texts, got 'red stars'"),
    "no batch": ({"batch_size": 0}, "batch_size must be a whole number of images >= 1, got 0"),
    "half a batch": ({"batch_size": 1.5}, "batch_size .*1.5"),
    "count 0": ({"count": 0}, "count .*0"),
    "guidance below 0": ({"guidance": -1}, "guidance .*-1"),
    "seed below 0": ({"seed": -1}, "seed .*-1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused_at_once(pipeline, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        pipeline.stream(**{"prompts": PROMPTS} | options)


LATE = {
    "unknown word": (["one", "dragon"], {}, "'dragon'"),
    "empty": (["one", " "], {}, "' '"),
    "text of a number": (["one", 3], {}, "3"),
    "too few seeds": (["one", "two"], {"seed": [1]}, "no seed for 'two'"),
    "bad seed": (["one", "two"], {"seed": [1, -5]}, "-5"),
    "needs rows": (["one"], {"decoder": "zipar", "size": (8, 8), "seed": [2**63]}, str(2**63)),
}


@pytest.mark.parametrize("case", LATE)
def test_a_prompt_that_will_not_do_is_named_when_it_comes(pipeline, case):
    prompts, options, message = LATE[case]
    with pytest.raises(ValueError, match=message):
        list(pipeline.stream(prompts, batch_size=1, **options))


# The scheduler itself.


def drawn(scheduler):
    over = []
    while scheduler.drawing or scheduler.waiting:
        over += scheduler.step()
    return over


def test_dropped_jobs_leave_between_two_passes_and_change_nothing(pipeline):
    jobs = [pipeline.job(prompt, seed=i, decoder="ar") for i, prompt in enumerate(PROMPTS)]
    scheduler = Scheduler(pipeline.model, 3)
    for job in jobs:
        scheduler.add(job)
    scheduler.step()
    scheduler.step()
    assert scheduler.drawing == jobs[:3]
    scheduler.drop([jobs[1], jobs[3]])  # one is being drawn, one waits
    assert scheduler.drawing == [jobs[0], jobs[2]]
    scheduler.step()
    assert scheduler.drawing == [jobs[0], jobs[2], jobs[4]]
    over = drawn(scheduler)
    assert [jobs.index(f.job) for f in over] == [0, 2, 4]
    for f in over:
        alone = pipeline(f.job.prompt, seed=f.job.seed, decoder="ar")
        assert torch.equal(f.canvas.tokens[:, :N], alone.tokens)
    scheduler.drop(jobs)  # long done


def test_all_may_be_dropped(pipeline):
    scheduler = Scheduler(pipeline.model, 2)
    jobs = [pipeline.job("one", seed=i) for i in range(3)]
    for job in jobs:
        scheduler.add(job)
    scheduler.step()
    scheduler.drop(jobs)
    assert not scheduler.drawing
    assert not scheduler.waiting
    assert scheduler.step() == []


def test_an_error_ends_only_the_jobs_it_concerns(pipeline, monkeypatch):
    scheduler = Scheduler(pipeline.model, 4)
    guided, bare = (pipeline.job("red stars", seed=0, guidance=g, decoder="ar") for g in (3, 1))
    for job in (guided, bare):
        scheduler.add(job)
    scheduler.step()
    body = type(pipeline.model.network.body)
    call = body.__call__

    def broken(self, inputs, *rest):
        if len(inputs) == 2:
            raise RuntimeError("out of memory")
        return call(self, inputs, *rest)

    monkeypatch.setattr(body, "__call__", broken)
    over = drawn(scheduler)
    failed = [o for o in over if isinstance(o, Failed)]
    assert [(f.job, str(f.error)) for f in failed] == [(guided, "out of memory")]
    (finished,) = [o for o in over if o not in failed]
    assert torch.equal(finished.canvas.tokens[:, :N], pipeline("red stars", seed=0, guidance=1, decoder="ar").tokens)
    scheduler.add(guided)
    assert [f.job for f in drawn(scheduler)] == [guided]  # its prompt's pass fails too, and nothing is left behind
    with pytest.raises(RuntimeError, match="out of memory"):
        list(pipeline.stream([guided]))


def test_request_of_another_model_is_refused(pipeline):
    other = fewpass.wrap(pipeline.model.model, pipeline.model.tokenizer)
    job = other.job("one", seed=0)
    with pytest.raises(ValueError, match="the request was made for another model"):
        Scheduler(pipeline.model, 2).add(job)
    with pytest.raises(ValueError, match="the request was made for another model"):
        next(pipeline.stream([job]))
    assert len(list(other.stream([job]))) == 1


def test_seed_by_two_names_is_refused(pipeline):
    with pytest.raises(ValueError, match="seed is given twice"):
        pipeline.stream(["one"], seed=5, generator=torch.Generator())


def test_passes_are_counted(pipeline):
    scheduler = Scheduler(pipeline.model, 4)
    for guidance in (3, 1):
        scheduler.add(pipeline.job("one", decoder="ar", guidance=guidance, seed=0))
    drawn(scheduler)
    assert scheduler.passes == 2 * N


def test_public_names():
    assert {"Job", "Scheduler", "Finished", "Failed"} <= set(fewpass.__all__)
