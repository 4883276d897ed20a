"""The loop that every algorithm shares."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from fewpass.core.canvas import Canvas
from fewpass.core.errors import ModelError, not_finite
from fewpass.core.noise import Noise
from fewpass.core.protocol import Decoder, ElasticSession, Session, SessionInfo, bind
from fewpass.core.sampling import Sampler


class Drawing:
    """A ragged batch of images; each commits its own number of tokens in every pass.

    `session` holds their prompts, `sampling` turns logits into probabilities, `seeds` [B] int64 are theirs. The
    tokens of an image depend on its seed, not on the batch: `select` and `join` may be called between any two passes.

    `clock` is entered while the model runs.

    Raises ValueError naming a requirement of the decoder that the session lacks.
    """

    def __init__(
        self,
        session: Session,
        decoder: Decoder,
        sampling: Sampler,
        seeds: Tensor,
        clock: AbstractContextManager = nullcontext(),  # noqa: B008  it has no state
    ):
        self.decoder = bind(decoder, SessionInfo(session.grid, getattr(session, "codebook", None)))
        self.session, self.sampling, self.seeds, self.clock = session, sampling, seeds, clock
        self.step = torch.zeros_like(seeds)
        self.canvas = Canvas.blank(session.grid, seeds, decoder.margin)
        p, first = self._distribution(session.first, self.canvas.ahead(1)), self.canvas.ahead(1)
        self.canvas.write(first, self.noise.gumbel_max(p, first))
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
        with self.clock:
            logits = self.session(query)
        p = self._distribution(logits, query.index + 1)
        self.state = self.decoder.verify(self.canvas, self.state, p, self.noise)

    def _distribution(self, logits: Tensor, index: Tensor) -> Tensor:
        """The sampling distribution at the positions `index` [B, n]; the canvas notes faults of the logits."""
        self.canvas.inspect(logits, index)
        return self.sampling(logits)

    def errors(self, canvas: Canvas) -> list[ModelError | None]:
        """The error of each image on a `canvas` whose logits were faulty; None for the others."""
        dtype = getattr(self.session, "dtype", self.session.first.dtype)
        return [None if fault is None else not_finite("logits", fault, dtype) for fault in canvas.faults]

    def check(self, canvas: Canvas) -> None:
        """Raise the first of the `errors`."""
        for error in self.errors(canvas):
            if error is not None:
                raise error

    def select(self, images: Tensor) -> None:
        """Keep only the images listed in `images` [b]. The session must be elastic."""
        assert isinstance(self.session, ElasticSession)
        self.session = self.session.select(images)
        self.canvas = self.canvas.select(images)
        self.seeds, self.step = self.seeds[images], self.step[images]
        self.state = tuple(part[images] for part in self.state)

    def join(self, other: "Drawing") -> None:
        """Append the images of `other`, which has the same decoder, sampling and grid."""
        assert isinstance(self.session, ElasticSession)
        assert isinstance(other.session, ElasticSession)
        self.session = self.session.join(other.session)
        self.canvas = self.canvas.join(other.canvas)
        self.seeds, self.step = torch.cat([self.seeds, other.seeds]), torch.cat([self.step, other.step])
        self.state = tuple(torch.cat(pair) for pair in zip(self.state, other.state, strict=True))


@torch.inference_mode()
def decode(session: Session, decoder: Decoder, sampling: Sampler, seeds: Tensor) -> Iterator[Canvas]:
    """Draw one image for each of `seeds` [B] int64; yield the same canvas after every pass, the prefill included.

    `canvas.tokens` is [B, N + margin], of which `canvas.length` [B] are committed. Finished images leave an elastic
    session.

    Raises ValueError naming a requirement of the decoder that the session lacks, and ModelError for NaN or infinite
    logits where a token is drawn or a draft verified.
    """
    drawing, elastic = Drawing(session, decoder, sampling, seeds), isinstance(session, ElasticSession)
    del session  # it takes memory, and the drawing has its own as soon as an image is finished
    images = torch.arange(len(seeds), device=seeds.device)
    whole = drawing.canvas.select(images)
    drawing.check(whole)
    yield whole
    while not all(whole.finished):
        if any(drawing.canvas.finished) and elastic:
            going = drawing.canvas.unfinished
            drawing.select(going)
            images = images[going]
        drawing.advance()
        whole.update(images, drawing.canvas)
        drawing.check(whole)
        yield whole
