"""Drawings one pass at a time."""

import itertools

import pytest
import torch

from fewpass.demo.comparison import Stream
from fewpass.pipeline import BLANK
from tests.tiny import SIDE

N = SIDE**2
PROMPT = "two red stars"


def under_way(pipeline, decoder):
    return Stream(pipeline, pipeline.job(PROMPT, decoder=decoder, seed=3))


@pytest.mark.parametrize("decoder", ["ar", "mc_sjd", "zipar(window=2)"])
def test_stream_equals_a_call(pipeline, decoder):
    stream, called = under_way(pipeline, decoder), pipeline(PROMPT, decoder=decoder, seed=3)
    assert not stream.finished
    passes = sum(1 for _ in stream)
    assert stream.finished
    streamed = stream.result()
    assert torch.equal(streamed.tokens, called.tokens)
    assert torch.equal(streamed.trace.committed, called.trace.committed)
    assert passes == called.trace.passes[0]
    assert streamed.settings == called.settings
    assert streamed.images == called.images


def test_streams_that_take_turns_are_independent(pipeline):
    decoders = ["ar", "mc_sjd", "ar"]
    streams = [Stream(pipeline, pipeline.job(PROMPT, decoder=d, seed=s)) for s, d in enumerate(decoders)]
    for _ in itertools.zip_longest(*streams):
        pass
    for seed, (decoder, stream) in enumerate(zip(decoders, streams, strict=True)):
        assert torch.equal(stream.result().tokens, pipeline(PROMPT, decoder=decoder, seed=seed).tokens)


def test_stream_gives_a_result_after_any_pass(pipeline):
    stream = under_way(pipeline, "ar")
    for _ in range(5):
        next(stream)
    part = stream.result()
    assert part.trace.passes.tolist() == [5]
    assert (part.tokens[0, 5:] == -1).all()
    assert part.images[0].getpixel((2 * SIDE - 1, 2 * SIDE - 1)) == (BLANK,) * 3
    for _ in stream:  # and gone on with
        pass
    assert torch.equal(stream.result().tokens, pipeline(PROMPT, decoder="ar", seed=3).tokens)


def test_result_before_the_first_pass_is_that_of_the_prefill(pipeline):
    assert under_way(pipeline, "ar").result().trace.passes.tolist() == [1]


def test_seconds_are_those_of_the_passes(pipeline, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    stream = under_way(pipeline, None)
    for _ in stream:
        now[0] += 100  # what the caller does meanwhile
    assert stream.trace.seconds == stream.trace.model_seconds == 0
