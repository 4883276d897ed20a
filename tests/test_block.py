"""Block verification: a lossless rule that keeps more guesses, as long as all the others are drawn anew."""

from dataclasses import dataclass

import pytest
import torch

from fewpass import Grid, Jacobi, Sampling, decoder
from fewpass.core.loop import decode
from fewpass.core.noise import Noise
from fewpass.decoders.rules import Block, Speculative, Strict, Verdict, _prefix_masses
from fewpass.testing import JointLaw, Toy, check_decoder, coming_and_going, drawn
from tests.toys import FREE, PLAIN, ROW_ENDS, WIDE, WIDE_ROW_ENDS, one_by_one

LAWS = {
    "plain": JointLaw(FREE, PLAIN),
    "sharp, guidance": JointLaw(FREE, PLAIN, sharpness=3.0, guidance=2.0),
    "top-k, temperature": JointLaw(FREE, Sampling(0.7, top_k=3)),
    "row ends, top-p": JointLaw(ROW_ENDS, Sampling(top_p=0.95)),
}


def toy(grid, decoder, draw=drawn, images=24):
    return draw(Toy(images, grid, guidance=1.5), decoder, PLAIN, torch.arange(images))


def tokens_per_pass(decoder, images=200):
    grid = Grid(8, 8, 16)
    passes = sum(
        canvas.length.lt(grid.size).sum() for canvas in decode(Toy(images, grid), decoder, PLAIN, torch.arange(images))
    )
    return grid.size * images / float(passes)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law_is_exact(law):
    figure = check_decoder(decoder("sjd_block(window=5)"), law, images=40_000)
    assert figure.exact, figure


def test_law_is_exact_in_ragged_batches():
    figure = check_decoder(decoder("sjd_block(window=5)"), LAWS["plain"], images=40_000, draw=coming_and_going)
    assert figure.exact, figure


@dataclass(frozen=True)
class CoupledBlock(Block):
    """Behind the block drafts stay as often as their laws allow, as in MC-SJD."""

    def __call__(self, x, q, p, index, noise):
        y, kept = super().__call__(x, q, p, index, noise)
        here = index[:, :-1]
        stays = noise.uniform(here, 5) < Strict().alpha(x, q, p[:, :-1])
        coupled = torch.where(stays, x, noise.draw(Strict().residual(x, q, p[:, :-1]), here, 6))
        tau = kept.long().sum(1, keepdim=True)
        behind = torch.arange(x.shape[1]) > tau
        return Verdict(torch.cat([torch.where(behind, coupled, y[:, :-1]), y[:, -1:]], 1), kept)


def test_block_with_coupled_tail_fails_the_joint_law_test():
    law = JointLaw(Grid(2, 3, 2), PLAIN)  # few images, so that each is drawn often
    wrong = check_decoder(Jacobi(5, CoupledBlock()), law, images=60_000)
    assert wrong.z > 10, wrong
    assert not wrong.exact
    right = check_decoder(Jacobi(5, Block()), law, images=60_000)
    assert right.exact, right


def test_prefix_masses_are_the_recursion_of_the_paper():
    r = torch.exp(torch.randn(200, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    r[0, 3] = 0
    b = [torch.ones(200, dtype=torch.float64)]
    for r_i in r.T:
        b.append((b[-1] * r_i).clamp(max=1))
    torch.testing.assert_close(_prefix_masses(r), torch.stack(b, 1))


def test_block_of_one_draft_is_sjd():
    """A block of one is a token: the same guesses stand, and the same residual replaces them."""
    p, q = (torch.rand(500, n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (2, 1))
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    x = torch.multinomial(q[:, 0], 1, generator=torch.Generator().manual_seed(0))
    seeds = torch.arange(500)
    noise, index = Noise(seeds, torch.zeros_like(seeds)), torch.arange(2).expand(500, -1)
    block, token = Block(end=9)(x, q, p, index, noise), Speculative()(x, q, p, index, noise)
    assert torch.equal(block.kept, token.kept)
    assert torch.equal(block.y, token.y)


def test_window_0_is_autoregression_of_sjd():
    assert torch.equal(toy(WIDE, decoder("sjd_block(window=0)")), toy(WIDE, decoder("sjd(window=0)")))


@pytest.mark.parametrize("draw", [coming_and_going, one_by_one])
@pytest.mark.parametrize("grid", [WIDE, WIDE_ROW_ENDS], ids=["free", "row_ends"])
def test_block_ends_with_the_image_in_any_batch(grid, draw):
    assert torch.equal(toy(grid, decoder("sjd_block"), draw), toy(grid, decoder("sjd_block")))


def test_block_accepts_more_than_sjd():
    assert tokens_per_pass(decoder("sjd_block")) > tokens_per_pass(decoder("sjd"))
