"""The public names; `fewpass` itself hands them out, and loads them when one is first asked for."""

from fewpass.bridge import generate
from fewpass.canvas import Canvas, Grid
from fewpass.decoders import Decoder, Jacobi, Query
from fewpass.job import Job
from fewpass.loading import load, wrap
from fewpass.loop import Drawing, decode
from fewpass.pipeline import Pipeline
from fewpass.recipes import (
    RECIPES,
    ar,
    auto,
    cool_sd,
    decoder,
    gs_sjd,
    gsd,
    jacobi,
    jacobi_ngram,
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
from fewpass.scheduler import Failed, Finished, Scheduler
from fewpass.trace import Trace

__all__ = [
    "RECIPES",
    "Canvas",
    "Decoder",
    "Drawing",
    "Failed",
    "Finished",
    "Grid",
    "Jacobi",
    "Job",
    "Pipeline",
    "Query",
    "Result",
    "Sampling",
    "Scheduler",
    "Trace",
    "ar",
    "auto",
    "cool_sd",
    "decode",
    "decoder",
    "generate",
    "gs_sjd",
    "gsd",
    "jacobi",
    "jacobi_ngram",
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
