"""Passes of a decoder whose drafts have correct left, or left and upper, neighbours: a bound for `jacobi_ngram`.

    python bench/oracle.py --model photo --guidance 3 --images 28

Under fixed noise a draft is the Gumbel-max token of an earlier pass. Here it is computed with the correct left
neighbour (and the correct upper one), while all other drafts before it are those of the pass. This needs the tokens of
`ar`, which are drawn first, so it is no decoder, but the limit of decoders that correct drafts for these neighbours.
"""

import argparse
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import fewpass
from fewpass.cli.prompts import own_prompts
from fewpass.core.canvas import Canvas
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, Query, State
from fewpass.engine.result import Result
from fewpass.evaluation.statistics import mean


@dataclass(frozen=True)
class Oracle(Decoder):
    """Jacobi decoding that is given the true tokens [B, N]."""

    window: int
    truth: Tensor = field(repr=False, compare=False)
    above: bool = False

    @property
    def margin(self) -> int:
        return self.window + 1

    def begin(self, canvas: Canvas, p: Tensor, noise: Noise) -> State:
        truth = F.pad(self.truth, (0, self.margin))
        canvas.write(canvas.ahead(self.window), torch.zeros_like(canvas.read(canvas.ahead(self.window))))
        return (truth,)

    def draft(self, canvas: Canvas, state: State) -> Query:
        """Query the chain of drafts, and each position again with the true token as left, and upper, neighbour."""
        W, size, (truth,) = self.window, canvas.grid.size, state
        index = canvas.ahead(W + 1, start=-1)
        ahead = index[:, 1:]
        parts = 1 + self.above
        slots = size + self.margin + torch.arange(parts * W, device=index.device).expand(len(index), -1)
        everything = torch.arange(size + self.margin + parts * W, device=index.device)
        before = everything < torch.cat([index + 1, *[ahead] * parts], 1)[..., None]
        own = F.pad(torch.eye(parts * W, dtype=torch.bool), (size + self.margin, 0, W + 1, 0))
        sees = before | own
        if self.above:
            into, width = canvas.grid.locate(ahead + 1)
            lies = (ahead + 1 - width).clamp(min=0)  # the position above the predicted one
            offset = lies - canvas.length[:, None]  # in the window
            swap = (into >= width) & (offset >= 0)
            second = sees[:, 1 + 2 * W :]
            second &= ~((everything == lies[..., None]) & swap[..., None])
            second |= (everything == (size + self.margin + offset)[..., None]) & swap[..., None]
        right = truth.gather(1, ahead.clamp(max=truth.shape[1] - 1))
        return Query(
            torch.cat([canvas.read(index), *[right] * parts], 1),
            torch.cat([index, *[ahead] * parts], 1),
            torch.cat([index, slots], 1),
            sees,
        )

    def verify(self, canvas: Canvas, state: State, p: Tensor, noise: Noise) -> State:
        W, ahead = self.window, canvas.ahead(self.window + 1)
        x, y = canvas.read(ahead[:, :-1]), noise.gumbel_max(p[:, : W + 1], ahead)
        behind = noise.gumbel_max(p[:, -W:], ahead[:, 1:])
        n = 1 + (y[:, :-1] == x).long().cumprod(1).sum(1)
        new = torch.cat([y[:, :1], behind], 1)  # with the correct left neighbour
        kept = torch.arange(W + 1, device=n.device) < n[:, None]
        canvas.write(ahead, torch.where(kept, y, new))
        canvas.commit(n)
        return state


def draw(pipe: fewpass.Pipeline, prompts: list[str], options: dict[str, Any], decoder: Decoder | str) -> Result:
    """Draw one image of each prompt."""
    return pipe(prompts, seed=list(range(len(prompts))), decoder=decoder, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--images", type=int, default=28)
    parser.add_argument("--windows", type=int, nargs="+", default=[32, 64])
    options = parser.parse_args()
    pipe = fewpass.load(options.model)
    rows, _ = own_prompts(pipe.model, options.images)
    prompts = [rows[i % len(rows)].prompt for i in range(options.images)]
    given = {} if options.guidance is None else {"guidance": options.guidance}
    ar = draw(pipe, prompts, given, "ar")
    for window in options.windows:
        kinds = {"left": Oracle(window, ar.tokens), "left and upper": Oracle(window, ar.tokens, above=True)}
        for name, decoder in (*kinds.items(), ("none, but jacobi_ngram", f"jacobi_ngram(window={window})")):
            result = draw(pipe, prompts, given, decoder)
            assert torch.equal(result.tokens, ar.tokens)
            found = mean(result.trace.passes)
            print(f"window {window}, {name}: {found.mean:.1f} +- {found.error:.1f} passes")


if __name__ == "__main__":
    main()
