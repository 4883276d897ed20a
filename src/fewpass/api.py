"""The public names; `fewpass` itself hands them out, and loads them when one is first asked for."""

from fewpass.core.canvas import Canvas as Canvas
from fewpass.core.canvas import Grid as Grid
from fewpass.core.loop import Drawing as Drawing
from fewpass.core.loop import decode as decode
from fewpass.core.protocol import Decoder as Decoder
from fewpass.core.protocol import Query as Query
from fewpass.core.sampling import Sampling as Sampling
from fewpass.decoders import decoder as decoder
from fewpass.decoders.jacobi import Jacobi as Jacobi
from fewpass.decoders.recipes import RECIPES as RECIPES
from fewpass.decoders.recipes import ar as ar
from fewpass.decoders.recipes import cool_sd as cool_sd
from fewpass.decoders.recipes import gs_sjd as gs_sjd
from fewpass.decoders.recipes import gsd as gsd
from fewpass.decoders.recipes import jacobi as jacobi
from fewpass.decoders.recipes import jacobi_ngram as jacobi_ngram
from fewpass.decoders.recipes import jacobi_relaxed as jacobi_relaxed
from fewpass.decoders.recipes import lantern as lantern
from fewpass.decoders.recipes import lantern_pp as lantern_pp
from fewpass.decoders.recipes import mc_sjd as mc_sjd
from fewpass.decoders.recipes import pjd as pjd
from fewpass.decoders.recipes import sjd as sjd
from fewpass.decoders.recipes import sjd_block as sjd_block
from fewpass.decoders.recipes import sjd_pac as sjd_pac
from fewpass.decoders.recipes import sjdpp as sjdpp
from fewpass.decoders.recipes import zipar as zipar
from fewpass.engine.group import Failed as Failed
from fewpass.engine.group import Finished as Finished
from fewpass.engine.request import Job as Job
from fewpass.engine.result import Result as Result
from fewpass.engine.scheduler import Scheduler as Scheduler
from fewpass.engine.trace import Trace as Trace
from fewpass.integrations.transformers import custom_generate as custom_generate
from fewpass.integrations.transformers import generate as generate
from fewpass.loading import load as load
from fewpass.loading import wrap as wrap
from fewpass.pipeline import Pipeline as Pipeline

__all__ = sorted(name for name in globals() if not name.startswith("_"))
