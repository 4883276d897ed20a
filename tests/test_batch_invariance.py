"""Logits on the CPU fast path do not depend on the window, the batch or the threads: not in a single bit."""

import itertools

import pytest
import torch

import fewpass
from fewpass.core.protocol import Query
from fewpass.runtime.cpu.attention import attention_in
from fewpass.runtime.cpu.capability import operators_work
from fewpass.runtime.cpu.linear import packed, product

PROMPTS = ("two red apples left of a cat on a blue background", "a star on a teal background", "three dogs")


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def emoji(request):
    return fewpass.load("emoji", "cpu", request.param)


@pytest.fixture(scope="module")
def invariant(emoji):
    """Skip where torch's own operations are not batch-invariant, which depends on the processor and the release."""
    if not operators_work(emoji.model.model.dtype):
        pytest.skip("on this processor oneDNN does not multiply in this precision")
    torch.manual_seed(0)
    shapes = (320, 320), (99, 320), (1, 2, 20, 64), (1, 2, 384, 64)
    weight, x, q, kv = (torch.randn(*shape).to(emoji.model.model.dtype) for shape in shapes)
    few, many = (product(x[:n], packed(weight), torch.zeros_like(weight[:, 0])) for n in (3, 99))
    mask = (torch.arange(384) <= torch.arange(150, 170)[:, None]).expand(1, 1, -1, -1)
    attention = attention_in(x.dtype)
    short, long = (
        attention.of(mask[:, :, :n, :s], x.dtype, 2, 1)(q[:, :, :n], kv[:, :, :s], kv[:, :, :s], 0.125)
        for n, s in ((4, 192), (20, 384))
    )
    if not (torch.equal(few, many[:3]) and torch.equal(short, long[:, :, :4])):
        pytest.skip("on this processor torch itself rounds by the number of rows")


@torch.inference_mode()
def logits(pipe, tokens, batch, windows, guidance):
    """Logits of all positions of the images `batch`, from forward passes over windows of these sizes in turn."""
    grid, chosen = pipe.model.grid(None), tokens[list(batch)]
    session = pipe.model.open([PROMPTS[i] for i in batch], grid, guidance, [None] * len(batch))
    found, at, windows = [session.first], 0, itertools.cycle(windows)
    least = 1 if pipe.model.model.dtype == torch.bfloat16 else 3  # in float32 fewer positions are rounded differently
    while grid.size - at > least:
        index = torch.arange(at, min(at + next(windows) + 1, grid.size - 1)).expand(len(batch), -1)
        found.append(session(Query(chosen.gather(1, index), index)))
        at += index.shape[1]
    return torch.cat(found, 1)


@pytest.mark.usefixtures("invariant")
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_logits_depend_neither_on_window_nor_batch(emoji, guidance):
    tokens = emoji(PROMPTS, seed=5, decoder="jacobi_ngram").tokens
    whole = logits(emoji, tokens, (0, 1, 2), (15,), guidance)
    windows_of = [((0, 1, 2), (2,)), ((0, 2), (32, 33, 34)), ((1,), (2, 64, 7, 95)), ((2,), (254,))]
    if emoji.model.model.dtype == torch.bfloat16:
        windows_of += [((0, 1, 2), (0,)), ((1,), (0,)), ((0, 2), (0, 5, 1))]  # passes over a single position
    for batch, windows in windows_of:
        part = logits(emoji, tokens, batch, windows, guidance)
        n = min(part.shape[1], whole.shape[1])
        assert torch.equal(part[:, :n], whole[list(batch), :n]), (batch, windows)


@pytest.mark.usefixtures("invariant")
def test_logits_do_not_depend_on_threads(emoji):
    tokens, threads = emoji(PROMPTS, seed=5, decoder="jacobi_ngram").tokens, torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = logits(emoji, tokens, (0, 1), (20,), 3.0)
        torch.set_num_threads(2)
        assert torch.equal(logits(emoji, tokens, (0, 1), (20,), 3.0), alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.usefixtures("invariant")
def test_tokens_do_not_depend_on_the_window(emoji):
    decoders = ["jacobi_ngram(window=48)", "jacobi_ngram(window=9)"]
    decoders += ["ar"] if emoji.model.model.dtype == torch.bfloat16 else []
    drawn, *others = [emoji(PROMPTS[:2], seed=5, decoder=decoder).tokens for decoder in decoders]
    assert all(torch.equal(drawn, other) for other in others)
