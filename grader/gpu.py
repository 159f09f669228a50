"""On a GPU, in bfloat16: the learner's error against float64 beside our own."""

from types import ModuleType

import numpy as np
import torch

from grader.verdict import Failed
from grader.words import flat
from milestones.harness.injection import injected

ALLOWED = 2.0  # times our own error, both measured on this machine
EPS = torch.finfo(torch.bfloat16).eps  # an error this large, relative, is always allowed


def outputs(units: ModuleType, script: ModuleType, learner, device: str, dtype) -> list:
    with injected(script, learner):
        return list(units.low_precision(script, torch.device(device), dtype))


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def check_low_precision(
    units: ModuleType, script: ModuleType, learner: ModuleType, device: str = "cuda"
) -> list[str]:
    """T6: every low-precision output is as near to float64 as ours.  Raises Failed.

    SKIPPED if there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise Failed("SKIPPED", "needs a GPU; the tasks above were graded in float64")
    exact = outputs(units, script, None, "cpu", torch.float64)
    ours = outputs(units, script, None, device, torch.bfloat16)
    theirs = outputs(units, script, learner, device, torch.bfloat16)
    worst = 0.0
    for (call, right), (_, a), (_, b) in zip(exact, ours, theirs, strict=True):
        right, a, b = (flat(x.cpu()) for x in (right, a, b))
        error, allowed = rms(b - right), max(ALLOWED * rms(a - right), EPS * rms(right))
        worst = max(worst, error / allowed)
        if not error <= allowed:
            raise Failed(
                "WRONG VALUES",
                f"called     {call}",
                f"error      {error:.2e} root mean square against float64, on {device}",
                f"ours       {rms(a - right):.2e}; allowed {allowed:.2e}",
            )
    return [f"{device}, bfloat16: error at most {worst:.2f} of what is allowed"]
