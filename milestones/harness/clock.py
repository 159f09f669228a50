"""The speedrun's clock: training steps count, validation and saving do not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Adds up the training time of the steps that count, in milliseconds.

    On a GPU both ends of a step wait for the device, so that no work leaks in or out of it.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.milliseconds = 0.0
        self.before = 0.0  # what it showed when the latest step began
        self.steps = 0

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return 1000 * time.perf_counter()

    @contextmanager
    def timed(self, counts: bool) -> Iterator[None]:
        """One training step; `counts` is false for the first ones, which compile and warm up."""
        self.before, started = self.milliseconds, self.now()
        yield
        if counts:
            self.milliseconds += self.now() - started
            self.steps += 1

    @property
    def step_avg(self) -> float:
        """Milliseconds a step; nan before the first that counts."""
        return self.milliseconds / self.steps if self.steps else float("nan")
