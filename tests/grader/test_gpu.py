"""The part for GPUs, held against bfloat16 on a CPU: how it judges, not what a GPU does."""

import importlib

import pytest
import torch

from grader.gpu import check_low_precision
from grader.judge import script_of, units_of
from grader.mistakes import edited
from grader.verdict import Failed
from tests.conftest import STEMS

WRONG = {  # of the solution: wrong in any precision, or right in too little of it
    "milestone00_baseline": [("math.sqrt(self.head_dim)", "self.head_dim")],
    "milestone01_muon": [
        ("2.0315 * (gram", "2.2 * (gram"),
        ("max(rows, cols) ** 0.5", "rows**0.5"),
    ],
    "milestone02_modern_arch": [
        ("base ** (-j / pairs)", "base ** (-j / h)"),
        ("math.sqrt(q.shape[-1])", "q.shape[-1]"),
        ("self.c_proj(z * z)", "self.c_proj(z)"),
    ],
    "milestone03_distributed_muon": [
        ("max(rows, cols) ** 0.5", "rows**0.5"),
        ('gradient + group["momentum"] * new if group["nesterov"] else new', "new"),
        ('"momentum_buffer"].clone()', '"momentum_buffer"] / 2'),
    ],
    "milestone04_unet_skips": [
        ("W = self.weight.to(x.dtype)", "W = self.weight.to(x.dtype) * 1.05"),
        ("math.sqrt(q.shape[-1])", "q.shape[-1]"),
        ("self.lamb * (v1 - v)", "self.lamb * (v - v1)"),
        ("renew * x0", "renew * x"),
        ("in_caps.tanh() * cap", "in_caps.tanh()"),
        ("made[L - 1 - i]", "made[i - L // 2]"),
        ("2.0315 * (gram", "2.2 * (gram"),
        ("if rows > cols:", "if False:"),
    ],
}
each_milestone = pytest.mark.parametrize("stem", STEMS)


def check(stem: str, learner) -> list[str]:
    return check_low_precision(units_of(stem), script_of(stem), learner, device="cpu")


@each_milestone
def test_solution_and_script_are_as_near_to_float64(stem):
    for right in (script_of(stem), importlib.import_module(f"solutions.{stem}")):
        assert "of what is allowed" in check(stem, right)[0]


@each_milestone
def test_what_is_wrong_is_farther_off(stem):
    solution = importlib.import_module(f"solutions.{stem}")
    for edit in WRONG[stem]:
        with pytest.raises(Failed) as failed:
            check(stem, edited(solution, (edit,)))
        assert failed.value.verdict.status == "WRONG VALUES"
        assert "against float64, on cpu" in failed.value.verdict.text


def test_low_precision_is_low():
    """The outputs do come from bfloat16: float64 is farther off than float64 could be."""
    for stem in STEMS:
        script = script_of(stem)
        cpu = torch.device("cpu")
        exact = list(units_of(stem).low_precision(script, cpu, torch.float64))
        half = list(units_of(stem).low_precision(script, cpu, torch.bfloat16))
        gaps = [(a - b).abs().max() for (_, a), (_, b) in zip(exact, half, strict=True)]
        assert max(gaps) > 1e-3
