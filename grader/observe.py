"""Looking into a run without touching its script: the model it trains, and its weights by step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import torch
from torch import Tensor, nn

from milestones.harness import Run


@dataclass
class Seen:
    """What a run has shown so far."""

    model: nn.Module | None = None
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    weights: list[dict[str, Tensor]] = field(default_factory=list)  # after updates 0, 1, ...

    def optimizer_of(self, name: str) -> str:
        """The kind of optimizer that updates the parameter of this name."""
        p = dict(self.model.named_parameters())[name]
        for optimizer in self.optimizers:
            if any(p is q for group in optimizer.param_groups for q in group["params"]):
                return type(optimizer).__name__
        return "no optimizer"


@contextmanager
def observed(steps: int = 0) -> Iterator[Seen]:
    """Inside, a run leaves its model here, and copies of its weights after the first `steps`."""
    seen, check_coverage, log_train = Seen(), Run.check_coverage, Run.log_train

    def check_and_keep(run, model, optimizers):
        check_coverage(run, model, optimizers)
        seen.model, seen.optimizers = model, optimizers

    def log_and_copy(run, step, loss):
        if step < steps:
            weights = {n: p.detach().clone() for n, p in seen.model.named_parameters()}
            seen.weights.append(weights)
        log_train(run, step, loss)

    with mock.patch.multiple(Run, check_coverage=check_and_keep, log_train=log_and_copy):
        yield seen
