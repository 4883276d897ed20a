"""Prompts being continued by a transformer: the session that decoders talk to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fewpass.cache import SlotCache
from fewpass.canvas import Grid
from fewpass.decoders import Query


@dataclass(frozen=True, eq=False)
class Network:
    """A language model seen from the image side.

    `embed` turns image tokens [R, n] into inputs [R, n, D]; `body` turns inputs, the slots [R, n] they go to and the
    mask over slots into hidden states [R, n, D]; `head` turns those into logits [R, n, V] of image tokens.
    """

    embed: Callable[[Tensor], Tensor]
    body: Callable[[Tensor, Tensor, Tensor, SlotCache], Tensor]
    head: Callable[[Tensor], Tensor]
    layers: int


@dataclass(eq=False)
class PromptSession:
    """B images, each G rows of the network: the prompt's, and with guidance those it is contrasted with.

    `weights` [B, G - 1]: the logits are those of the last row plus, for each row before it, the weight times its
    difference to the last. One weight is classifier-free guidance, with the unconditional row last.
    """

    network: Network
    grid: Grid
    cache: SlotCache  # rows in the order image 0 row 0, image 0 row 1, ...
    offset: Tensor  # [B * G] slot of image position 0: the length of the row's prompt
    weights: Tensor
    first: Tensor  # [B, 1, V]

    @classmethod
    def open(
        cls, network: Network, grid: Grid, prompts: Sequence[Sequence[Tensor]], weights: Tensor
    ) -> "PromptSession":
        """Run the prompts' pass. `prompts` are G embedded rows [length, D] for each image, of any lengths."""
        rows = [row for image in prompts for row in image]
        device = rows[0].device
        offset = torch.tensor([len(row) for row in rows], device=device)
        inputs = pad_sequence(rows, batch_first=True)  # [R, P, D], padded on the right
        slot = torch.arange(inputs.shape[1], device=device).expand(len(rows), -1)
        cache = SlotCache(network.layers, len(rows), inputs.shape[1] + grid.size, device)
        mask = cache.place(slot, real=slot < offset[:, None])
        hidden = network.body(inputs, slot, mask, cache)
        last = hidden[torch.arange(len(rows), device=device), offset - 1][:, None]
        session = cls(network, grid, cache, offset, weights, last)
        session.first = session._guide(network.head(last), torch.full((len(prompts), 1), -1, device=device))
        return session

    def __call__(self, query: Query) -> Tensor:
        rows = self.weights.shape[1] + 1
        slot = query.index.repeat_interleave(rows, 0) + self.offset[:, None]
        inputs = self.network.embed(query.tokens).repeat_interleave(rows, 0)
        hidden = self.network.body(inputs, slot, self.cache.place(slot), self.cache)
        return self._guide(self.network.head(hidden), query.index)

    def _guide(self, logits: Tensor, index: Tensor) -> Tensor:
        """Mix the rows of each image; what answers the token at `index` concerns the position after it."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        images, contrasts = self.weights.shape
        rows = logits.view(images, contrasts + 1, *logits.shape[1:])  # [B, G, n, V]
        base = rows[:, -1]
        if contrasts:
            base = base + (self.weights[:, :, None, None] * (rows[:, :-1] - base[:, None])).sum(1)
        return self.grid.forbid(index + 1, base)

    def select(self, images: Tensor) -> "PromptSession":
        group = self.weights.shape[1] + 1
        rows = (images[:, None] * group + torch.arange(group, device=images.device)).flatten()
        return PromptSession(
            self.network,
            self.grid,
            self.cache.select(rows),
            self.offset[rows],
            self.weights[images],
            self.first[images],
        )

    def join(self, other: "PromptSession") -> "PromptSession":
        return PromptSession(
            self.network,
            self.grid,
            self.cache.join(other.cache),
            torch.cat([self.offset, other.offset]),
            torch.cat([self.weights, other.weights]),
            torch.cat([self.first, other.first]),
        )
