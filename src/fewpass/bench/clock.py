"""Clocks that wait for the device."""

import time

import torch


def now(device: torch.device) -> float:
    """Seconds, when all that the device was asked to do is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def busy(device: torch.device) -> float:
    """As `now`; on one thread, seconds of the processor, which other users of the machine do not lengthen."""
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return time.process_time()
    return now(device)
