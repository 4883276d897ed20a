"""The session of a transformer: prompts with a KV cache, asked by decoders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from fewpass.core.canvas import Grid
from fewpass.core.codebook import Codebook
from fewpass.core.protocol import Query
from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.transformer import Body


def _in_order(position: Tensor, offset: Tensor) -> Tensor:
    return position


@dataclass(frozen=True, eq=False)
class Network:
    """A language model seen from the image side.

    `embed` turns image tokens [R, n] into inputs [R, n, D]; `body` turns inputs, their positions [R, n] and the mask
    over slots into hidden states [R, n, D]; `head` turns those into logits [R, n, V] of image tokens. `positions`
    turns positions [R, n] in rows whose image begins at [R] into the position ids that `body` takes. `codebook` serves
    relaxed acceptance rules.
    """

    embed: Callable[[Tensor], Tensor]
    body: Callable[[Tensor, Tensor, Tensor, SlotCache], Tensor]
    head: Callable[[Tensor], Tensor]
    layers: int
    positions: Callable[[Tensor, Tensor], Tensor] = _in_order
    codebook: Codebook | None = None

    @classmethod
    def of(
        cls, body: PreTrainedModel, embed: Callable[[Tensor], Tensor], head: Callable[[Tensor], Tensor], codes: Tensor
    ) -> Self:
        """The network of a model of transformers, whose image codes have the vectors `codes` [codes, D]."""
        return cls(embed, Body(body), head, body.config.num_hidden_layers, codebook=Codebook(codes, embed))


@dataclass(eq=False)
class PromptSession:
    """B images, each G rows of the network: the conditional one and, with guidance, the unconditional ones.

    `weights` [B, G - 1]: the logits are those of the last row plus, for each row before it, the weight times its
    difference to the last. One weight is classifier-free guidance, with the unconditional row last. A token that has
    the logit -inf in any of the rows has it in the mixture.
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
        """Run the prefill.

        Args:
            network: The network that continues the prompts.
            grid: Layout of the images.
            prompts: G embedded rows [length, D] for each image, of any lengths.
            weights: Guidance [B, G - 1], see the class.
        """
        rows = [row for image in prompts for row in image]
        device = rows[0].device
        offset = torch.tensor([len(row) for row in rows], device=device)
        inputs = pad_sequence(rows, batch_first=True)  # [R, P, D], padded on the right
        slot = torch.arange(inputs.shape[1], device=device).expand(len(rows), -1)
        cache = SlotCache(network.layers, len(rows), inputs.shape[1] + grid.size, device)
        mask = cache.begin_pass(slot, real=slot < offset[:, None])
        hidden = network.body(inputs, network.positions(slot, offset), mask, cache)
        first = network.head(hidden[torch.arange(len(rows), device=device), offset - 1][:, None])
        session = cls(network, grid, cache, offset, weights, first)
        session.first = session._guide(first, torch.full((len(prompts), 1), -1, device=device))
        return session

    @property
    def codebook(self) -> Codebook | None:
        return self.network.codebook

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the keys and values."""
        return self.cache.layers[0].dtype

    def __call__(self, query: Query) -> Tensor:
        if query.sees is not None:
            self.cache.reserve(self._longest + query.sees.shape[-1] - 1)
        position = self._rows(query.index) + self.offset[:, None]
        slot = position if query.slot is None else self._rows(query.slot) + self.offset[:, None]
        sees = None if query.sees is None else self._behind_prompt(self._rows(query.sees))
        inputs, ids = self.network.embed(self._rows(query.tokens)), self.network.positions(position, self.offset)
        hidden = self.network.body(inputs, ids, self.cache.begin_pass(slot, sees=sees), self.cache)
        return self._guide(self.network.head(hidden), query.index)

    @cached_property
    def _longest(self) -> int:
        return int(self.offset.max())

    def _rows(self, images: Tensor) -> Tensor:
        """Repeat the values of an image for each of its rows: [B, ...] -> [B * G, ...]."""
        return images.repeat_interleave(self.weights.shape[1] + 1, 0)

    def _behind_prompt(self, sees: Tensor) -> Tensor:
        """From image slots [R, n, M] to the slots of the cache [R, n, S], where every row has its own prompt first."""
        image = torch.arange(self.cache.written.shape[1], device=sees.device) - self.offset[:, None]  # [R, S]
        known = (image < sees.shape[-1])[:, None]
        at = image.clamp(0, sees.shape[-1] - 1)[:, None].expand(-1, sees.shape[1], -1)
        return torch.where((image < 0)[:, None], True, sees.gather(-1, at) & known)

    def _guide(self, logits: Tensor, index: Tensor) -> Tensor:
        """Mix the rows of each image; logits of the query at `index` are those of the position after it."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        images, contrasts = self.weights.shape
        rows = logits.view(images, contrasts + 1, *logits.shape[1:])  # [B, G, n, V]
        mixed = last = rows[:, -1]
        for row, weight in zip(rows.unbind(1), self.weights.T[..., None, None], strict=False):
            mixed = (row - last).mul_(weight).add_(mixed)
        if contrasts:
            # -inf in a row; not where another has NaN or +inf, which must show in the mixture.
            mixed.masked_fill_(rows.sum(1) == -torch.inf, -torch.inf)
        return self.grid.forbid(index + 1, mixed)

    def select(self, images: Tensor) -> Self:
        """A session of the images listed in `images` [b]; this one must not be used afterwards."""
        group = self.weights.shape[1] + 1
        rows = (images[:, None] * group + torch.arange(group, device=images.device)).flatten()
        cache, offset = self.cache.select(rows), self.offset[rows]
        return replace(self, cache=cache, offset=offset, weights=self.weights[images], first=self.first[images])

    def join(self, other: Self) -> Self:
        """These images and then those of `other`, a session of the same network, grid and number of rows."""
        return replace(
            self,
            cache=self.cache.join(other.cache),
            offset=torch.cat([self.offset, other.offset]),
            weights=torch.cat([self.weights, other.weights]),
            first=torch.cat([self.first, other.first]),
        )
