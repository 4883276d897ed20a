"""The public names; `fewpass` itself hands them out, and loads them when one is first asked for."""

from fewpass.core.canvas import Canvas, Grid
from fewpass.core.loop import Drawing, decode
from fewpass.core.protocol import Decoder, Query
from fewpass.core.sampling import Sampling
from fewpass.decoders.jacobi import Jacobi
from fewpass.decoders.recipes import (
    RECIPES,
    ar,
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
from fewpass.engine.request import Job
from fewpass.engine.result import Result
from fewpass.engine.scheduler import Failed, Finished, Scheduler
from fewpass.engine.trace import Trace
from fewpass.integrations.transformers import custom_generate, generate
from fewpass.loading import load, wrap
from fewpass.pipeline import Pipeline

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
    "cool_sd",
    "custom_generate",
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
