"""Exercises of milestone 02: rotary positions, QK-norm, ReLU^2, projections that start at zero.

Replace each `raise` by your own code; `args` is the script's Hyperparameters.

    pytest grader/ -k milestone02             how you are doing
    python -m grader hint 02.2                one hint; again for the next

Each task is graded alone, beside the script's own version of the others: any order works.  Answers
lie one folder away, in milestones/milestone02_modern_arch; reading them is learning too, but try
first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def next_multiple_of_n(v: int, n: int) -> int:
    """The smallest multiple of n that is not below v; v and n are at least 1.

    The table of tokens has so many rows: GPT-2's 50,257 tokens fill up to 50,304, 393 times 128.

    About 5 minutes, 1 line.
    """
    raise NotImplementedError("milestone02.1 next_multiple_of_n: not started")


def rotary(x: Tensor, base: float) -> Tensor:
    """x (B, T, H, h), queries or keys, turned by angles that grow with the position; same shape.

    In each head, features j and j + h/2 are a pair (a, b), for j = 0 to h/2 - 1.  At position t,
    counted from 0 along T, pair j is turned by the angle t * base^(-2j/h), in radians:

        a <- a cos + b sin,    b <- b cos - a sin

    Positions, angles, cos and sin in x's dtype, but at least float32, on x's device; the result may
    have either dtype.  x itself stays as it is.

    About 30 minutes, 8 lines.
    """
    raise NotImplementedError("milestone02.2 rotary: not started")


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and at what came before it, through H heads.

    D = args.model_dim, H = args.num_heads, h = D / H.  Four linears without bias, each D to D,
    named as here since the script fills them by name: c_q, c_k, c_v give q, k, v, each of them H
    heads side by side, h wide; c_proj takes the heads' results, side by side again.

    First QK-norm: in each head, at each position, q is divided by its root mean square over the h
    features, sqrt(mean of q^2 + args.norm_eps), and k by its own; there are no gains.  Then
    rotary(q, args.rotary_base) and rotary(k, args.rotary_base), on (B, T, H, h).  Then position t
    gets the mean of v over positions 0 to t, weighted by the softmax over them of q . k / sqrt(h).

    About 30 minutes, 15 lines.
    """

    def __init__(self, args):
        raise NotImplementedError("milestone02.3 CausalSelfAttention: not started")

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D), any B and T; computed in the dtype of x, float64 included."""
        raise NotImplementedError("milestone02.3 CausalSelfAttention: not started")


class MLP(nn.Module):
    """Four times as wide inside, with ReLU^2: the negative becomes 0, the positive is squared.

    D = args.model_dim.  Two linears without bias, named as here since the script fills them by
    name: c_fc, D to 4D, then ReLU^2, then c_proj, 4D to D.

    About 10 minutes, 5 lines.
    """

    def __init__(self, args):
        raise NotImplementedError("milestone02.4 MLP: not started")

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        raise NotImplementedError("milestone02.4 MLP: not started")


def init_weights(model: nn.Module) -> None:
    """Fill every parameter of the script's GPT, which come as nan, in place.

    0 for the projections into the residual stream: attn.c_proj.weight and mlp.c_proj.weight of all
    blocks model.h.  U(-1/sqrt(in), 1/sqrt(in)) for the other weights, which are stored (out, in);
    that of the head, model.lm_head, is the same tensor as the table's, model.wte, (V, D): in = D.

    Draw with nn.init.uniform_, whole parameters at a time; the grader puts its own numbers there.

    About 15 minutes, 6 lines.
    """
    raise NotImplementedError("milestone02.5 init_weights: not started")
