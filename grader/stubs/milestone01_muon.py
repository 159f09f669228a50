"""Exercises of milestone 01: the trapezoid schedule, then Muon from its parts.

Replace each `raise` by your own code; `args` is the script's Hyperparameters.

    pytest grader/ -k milestone01             how you are doing
    python -m grader hint 01.2                one hint; again for the next

Each task is graded alone, beside the script's own version of the others: any order works.  Answers
lie one folder away, in milestones/milestone01_muon; reading them is learning too.  Try first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import torch
from torch import Tensor, nn


def get_lr(step: int, args) -> float:
    """Factor on the peak learning rates at `step`, which counts from 0 to args.num_iterations - 1.

    Over the first args.warmup_iters steps it rises in equal parts, from 1 / warmup_iters at step 0
    to 1 at the last of them.  Over the last args.warmdown_iters steps it falls in equal parts, from
    1 at the first of them to 1 / warmdown_iters at the last.  In between it is 1.  The two never
    overlap, and either may be 0 steps long.

    About 10 minutes, 5 lines.
    """
    raise NotImplementedError("milestone01.1 get_lr: not started")


def zeropower_via_newtonschulz(U: Tensor, steps: int, eps: float, dtype: torch.dtype) -> Tensor:
    """U (rows, cols) with all singular values brought near 1, 0.68 to 1.21; U's shape, in `dtype`.

    Start from X = U / (Frobenius norm of U + eps); the norm is taken in U's own dtype, X and all
    that follows is in `dtype`.  Then `steps` times, with A = X X^T,

        X <- a X + b A X + c A A X      matrix products; a, b, c = 3.4445, -4.7750, 2.0315

    If U has more rows than columns, iterate on its transpose and transpose the result back: A is
    then the smaller of the two squares.  Three products an iteration will do; over 1.5 times their
    FLOPs is TOO SLOW.

    About 30 minutes, 10 lines.
    """
    raise NotImplementedError("milestone01.2 zeropower_via_newtonschulz: not started")


def split_qkv(U: Tensor) -> tuple[Tensor, ...]:
    """The maps that U (rows, cols) holds: (q, k, v), each (cols, cols), or U itself alone, (U,).

    If rows == 3 * cols, U belongs to c_attn: return its three blocks of rows, q's, k's and v's, in
    that order; views are fine.  Otherwise return U whole, as a tuple of one.

    About 10 minutes, 3 lines.
    """
    raise NotImplementedError("milestone01.3 split_qkv: not started")


class Muon(torch.optim.Optimizer):
    """MomentUm Orthogonalised by Newton-Schulz.  A step, for each matrix W with gradient G:

        M <- momentum * M + G      a sum, no factor 1 - momentum; M is 0 before the first step
        U <- G + momentum * M      with the new M, which itself stays as it is; not nesterov: U <- M
        O <- the pieces of split_qkv(U), each through zeropower_via_newtonschulz, and put together
             again in the same order; cast to the dtype of W
        W <- W - lr * sqrt(max(rows, cols)) * O      rows, cols of one piece, not of the whole

    self.state[W] is a dict, empty at first: keep M in it, where a checkpoint finds it.  The
    schedule changes lr between steps, in the dicts of self.param_groups: read it there, at every
    step.  W changes in place.

    About 40 minutes, 15 lines.
    """

    def __init__(
        self,
        params: list[Tensor],
        lr: float,
        momentum: float,
        nesterov: bool,
        newton_schulz_steps: int,
        newton_schulz_eps: float,
        newton_schulz_dtype: torch.dtype,
    ):
        """The last three are those of zeropower_via_newtonschulz, in its order."""
        raise NotImplementedError("milestone01.4 Muon: not started")

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter in place, from its .grad."""
        raise NotImplementedError("milestone01.4 Muon: not started")


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Who updates what: (parameters for AdamW, parameters for Muon).

    `model` is the script's GPT.  AdamW takes the one table that reads and writes tokens:
    model.wte.weight and model.lm_head.weight are the same tensor, listed once.  Muon takes all that
    is inside the blocks, model.h, which is nothing but matrices.  No parameter is left out, none is
    in both lists.

    About 10 minutes, 1 line.
    """
    raise NotImplementedError("milestone01.5 split_parameters: not started")
