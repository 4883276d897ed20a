"""The public names; `fewpass` itself hands them out, and loads them when one is first asked for.

There is no `__all__`: type checkers read it only where it is spelled out.
"""

from fewpass.core.canvas import Canvas as Canvas
from fewpass.core.canvas import Grid as Grid
from fewpass.core.loop import Drawing as Drawing
from fewpass.core.loop import decode as decode
from fewpass.core.protocol import Decoder as Decoder
from fewpass.core.protocol import Query as Query
from fewpass.core.sampling import Sampling as Sampling
from fewpass.decoders import decoder as decoder
from fewpass.decoders.jacobi import Jacobi as Jacobi
from fewpass.decoders.recipes import *  # noqa: F403
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
