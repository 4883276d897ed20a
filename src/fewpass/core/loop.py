"""The loop that every algorithm shares."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.errors import ModelError, not_finite
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, ElasticSession, Session, fitted
from fewpass.core.sampling import Law


class Drawing:
    """Images that are being drawn together, each committing its own number of tokens in every pass.

    `session` continues their prompts, `law` turns its logits into probabilities, `seeds` [B] int64 are the images'.
    What an image becomes depends on its seed, never on who else is here: `select` and `join` may be called between
    any two passes.

    Raises ValueError naming what the decoder needs and the session cannot offer.
    """

    def __init__(self, session: Session, decoder: Decoder, law: Law, seeds: Tensor):
        self.decoder = fitted(decoder, session)
        self.session, self.law, self.seeds = session, law, seeds
        self.step = torch.zeros_like(seeds)
        self.canvas = Canvas.blank(session.grid, seeds, decoder.margin)
        p, first = self._judged(session.first, self.canvas.ahead(1)), self.canvas.ahead(1)
        self.canvas.write(first, self.noise.race(p, first))
        self.canvas.commit(1)
        self.state = self.decoder.begin(self.canvas, p, self.noise)

    @property
    def noise(self) -> Noise:
        """The random numbers of this pass."""
        return Noise(self.seeds, self.step)

    def advance(self) -> None:
        """One forward pass of the model."""
        self.step = self.step + 1
        query = self.decoder.draft(self.canvas, self.state)
        self.canvas.asked = query.tokens.shape[1]
        p = self._judged(self.session(query), query.index + 1)
        self.state = self.decoder.verify(self.canvas, self.state, p, self.noise)

    def _judged(self, logits: Tensor, index: Tensor) -> Tensor:
        """The probabilities at the positions `index` [B, n], with a note on the canvas where there are none."""
        self.canvas.inspect(logits, index)
        return self.law(logits)

    def errors(self, canvas: Canvas) -> list[ModelError | None]:
        """For each image of a `canvas` that has just been committed to, why it cannot go on; None if it can."""
        dtype = getattr(self.session, "dtype", self.session.first.dtype)
        return [None if fault is None else not_finite("logits", fault, dtype) for fault in canvas.faults]

    def check(self, canvas: Canvas) -> None:
        """Raise the first of these errors."""
        for error in self.errors(canvas):
            if error is not None:
                raise error

    def select(self, images: Tensor) -> None:
        """Go on with only the images listed in `images` [b]. The session must be elastic."""
        assert isinstance(self.session, ElasticSession)
        self.session = self.session.select(images)
        self.canvas = self.canvas.select(images)
        self.seeds, self.step = self.seeds[images], self.step[images]
        self.state = tuple(part[images] for part in self.state)

    def join(self, other: "Drawing") -> None:
        """Go on with the images of `other` too, drawn by the same decoder and law on the same grid."""
        assert isinstance(self.session, ElasticSession)
        assert isinstance(other.session, ElasticSession)
        self.session = self.session.join(other.session)
        self.canvas = self.canvas.join(other.canvas)
        self.seeds, self.step = torch.cat([self.seeds, other.seeds]), torch.cat([self.step, other.step])
        self.state = tuple(torch.cat(pair) for pair in zip(self.state, other.state, strict=True))


def staying(leaves: Sequence[bool]) -> list[int]:
    """The numbers of the images that do not leave: the last ones in the places of those that do, so that few move."""
    n = sum(not leaving for leaving in leaves)
    last = iter([i for i in range(n, len(leaves)) if not leaves[i]])
    return [next(last) if leaves[i] else i for i in range(n)]


@torch.inference_mode()
def decode(session: Session, decoder: Decoder, law: Law, seeds: Tensor) -> Iterator[Canvas]:
    """Draw one image for each of `seeds` [B] int64; yield the same canvas after every pass, the prompt's included.

    `canvas.tokens` is [B, N + margin], of which `canvas.length` [B] are committed. An elastic session is narrowed
    to the images that are not finished yet.

    Raises ValueError naming what the decoder needs and the session cannot offer, and ModelError for logits that give
    no probabilities, where a token is drawn or a draft verified.
    """
    drawing, elastic = Drawing(session, decoder, law, seeds), isinstance(session, ElasticSession)
    del session  # it takes memory, and the drawing has its own as soon as an image is finished
    images = torch.arange(len(seeds), device=seeds.device)
    whole = drawing.canvas.select(images)
    drawing.check(whole)
    yield whole
    while not all(whole.finished):
        if any(drawing.canvas.finished) and elastic:
            going = torch.tensor(staying(drawing.canvas.finished), device=seeds.device)
            drawing.select(going)
            images = images[going]
        drawing.advance()
        whole.update(images, drawing.canvas)
        drawing.check(whole)
        yield whole
