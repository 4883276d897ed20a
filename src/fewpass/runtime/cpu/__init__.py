"""Faster forward passes of small models on a CPU."""
