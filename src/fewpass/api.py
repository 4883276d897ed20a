"""The public names; `fewpass` itself hands them out, and loads them when one is first asked for."""

from fewpass.bridge import generate
from fewpass.canvas import Canvas, Grid
from fewpass.decoders import Decoder, Jacobi, Query
from fewpass.loading import load, wrap
from fewpass.loop import Drawing, decode
from fewpass.pipeline import Pipeline
from fewpass.recipes import (
    RECIPES,
    ar,
    cool_sd,
    decoder,
    gs_sjd,
    gsd,
    jacobi,
    lantern,
    lantern_pp,
    mc_sjd,
    pjd,
    sjd,
    sjd_block,
    sjd_pac,
    sjdpp,
    zipar,
)
from fewpass.result import Result
from fewpass.sampling import Sampling
from fewpass.stream import Stream
from fewpass.trace import Trace

__all__ = [
    "RECIPES",
    "Canvas",
    "Decoder",
    "Drawing",
    "Grid",
    "Jacobi",
    "Pipeline",
    "Query",
    "Result",
    "Sampling",
    "Stream",
    "Trace",
    "ar",
    "cool_sd",
    "decode",
    "decoder",
    "generate",
    "gs_sjd",
    "gsd",
    "jacobi",
    "lantern",
    "lantern_pp",
    "load",
    "mc_sjd",
    "pjd",
    "sjd",
    "sjd_block",
    "sjd_pac",
    "sjdpp",
    "wrap",
    "zipar",
]
