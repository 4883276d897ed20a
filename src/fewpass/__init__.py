"""Autoregressive text-to-image models in a fraction of the forward passes, without training anything."""

from fewpass.canvas import Canvas, Grid
from fewpass.decode import Drawing, decode
from fewpass.decoders import Decoder, Jacobi, Query
from fewpass.pipeline import Pipeline, Result, load
from fewpass.recipes import RECIPES, ar, decoder, gs_sjd, jacobi, mc_sjd, sjd, sjdpp
from fewpass.sampling import Sampling
from fewpass.trace import Trace

__version__ = "0.1.0"

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
    "Trace",
    "ar",
    "decode",
    "decoder",
    "gs_sjd",
    "jacobi",
    "load",
    "mc_sjd",
    "sjd",
    "sjdpp",
]
