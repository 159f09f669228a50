"""Exercises of milestone 03: Muon's work shared out over the ranks, and checkpoints that keep it.

Replace each `raise` by your own code.

    pytest grader/ -k milestone03             how you are doing
    python -m grader hint 03.2                one hint; again for the next

Every rank is a process that runs all of your code; the grader starts up to three of them on your
CPU (gloo).  If one waits for the others in vain, it says which waits where.

Each task is graded alone, beside the script's own version of the others: any order works.  Answers
lie one folder away, in milestones/milestone03_distributed_muon; reading them is learning too, but
try first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from milestones.milestone03_distributed_muon.train_gpt import zeropower_via_newtonschulz


def flat_layout(matrices: list[Tensor], world_size: int) -> list[tuple[int, int, int]]:
    """(owner, start, end) of each matrix, in order: ints.

    Ranks 0 to world_size - 1 take turns as owners, matrix by matrix.  All matrices, whoever owns
    them, lie one after another in a flat buffer: entries start to end, `end` not included.

    About 10 minutes, 5 lines.
    """
    raise NotImplementedError("milestone03.1 flat_layout: not started")


class Muon(torch.optim.Optimizer):
    """Muon, shared out: a rank computes the updates of what it owns, all ranks apply all of them.

    Owners and places are those of flat_layout(params, world_size).  In a step, the owner of a
    matrix W with gradient G computes

        M <- momentum * M + G      a sum, no factor 1 - momentum; M, of W's dtype, begins at 0
        U <- G + momentum * M      with the new M, which itself stays as it is; not nesterov: U <- M
        O <- zeropower_via_newtonschulz(U, newton_schulz_steps, newton_schulz_eps,
                                        newton_schulz_dtype)

    One collective call brings all O to all ranks, in newton_schulz_dtype and not scaled yet.  Then
    every rank updates every W in place, the same way, with O cast to the dtype of W:

        W <- W - lr * sqrt(max(rows, cols)) * O

    Gradients are averaged over the ranks already, and may be overwritten.  A rank may own nothing.
    With world_size 1 there is no process group: make no collective call.  More than 1.5 times our
    collective calls, their bytes or our FLOPs is TOO SLOW.

    M is the owner's alone, in self.state[W]["momentum_buffer"]: a checkpoint saves it from there,
    and no other rank may keep one.  Buffers and settings go where you like.  The schedule changes
    lr between steps, in the one dict of self.param_groups: read it there, at every step.

    About 40 minutes, 25 lines.
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
        rank: int,
        world_size: int,
    ):
        """`params` are matrices; this process is `rank` of 0 to world_size - 1."""
        raise NotImplementedError("milestone03.2 Muon: not started")

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter in place, from the gradients; all ranks call it."""
        raise NotImplementedError("milestone03.2 Muon: not started")


def gather_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> list[Tensor]:
    """The momentum of every matrix, on every rank: a list of (rows, cols), in the matrix's dtype.

    In the order of muon.param_groups[0]["params"].  Owners are those of flat_layout, and the owner
    of W has its momentum in muon.state[W]["momentum_buffer"]; muon stays as it is.  Zeros stand
    for momentum that has not begun.  All ranks call this together; with world_size 1 there is no
    process group.

    About 20 minutes, 10 lines.
    """
    raise NotImplementedError("milestone03.3 gather_momentum: not started")


def keep_own_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> None:
    """Drop from muon.state what this rank does not own, and nothing else.

    A checkpoint holds everybody's momentum, and every rank has just loaded all of it.  Owners are
    those of flat_layout, of muon.param_groups[0]["params"]; muon.state may hold them in another
    order.  No collective is needed.

    About 10 minutes, 4 lines.
    """
    raise NotImplementedError("milestone03.4 keep_own_momentum: not started")
