"""Seconds, forward passes, memory and throughput on this machine: `fewpass bench`."""
