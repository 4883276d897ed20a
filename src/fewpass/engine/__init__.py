"""Requests become images: options, scheduler, memory, results."""
