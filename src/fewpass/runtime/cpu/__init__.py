"""The CPU fast path: small models of Llama's layout answer from fewer calls of torch."""

from fewpass.runtime.cpu.fast_path import fast as fast
