"""Exercises of milestone 04: an untied head, shortcuts, bfloat16 activations, U-net skips.

Replace each `raise` by your own code; `args` is the script's Hyperparameters.

    pytest grader/ -k milestone04             how you are doing
    python -m grader hint 04.2                one hint; again for the next

Each task is graded alone, beside the script's own version of the others: any order works.  Answers
lie one folder away, in milestones/milestone04_unet_skips; reading them is learning too, but try
first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def CastedLinear(*args):
    """PLACEHOLDER"""
    raise NotImplementedError("milestone04.1 CastedLinear: not started")


def CausalSelfAttention(*args):
    """PLACEHOLDER"""
    raise NotImplementedError("milestone04.2 CausalSelfAttention: not started")


def Block(*args):
    """PLACEHOLDER"""
    raise NotImplementedError("milestone04.3 Block: not started")


def softcap(*args):
    """PLACEHOLDER"""
    raise NotImplementedError("milestone04.4 softcap: not started")


def unet(*args):
    """PLACEHOLDER"""
    raise NotImplementedError("milestone04.5 unet: not started")


def init_weights(model: nn.Module) -> None:
    """Fill every parameter of the script's GPT, which come as nan, in place.

    0 for the head, model.lm_head.weight (V, D), and for the projections into the residual stream,
    attn.c_proj.weight and mlp.c_proj.weight of all blocks model.h.  N(0, 1) for the embedding,
    model.wte.weight (V, D).  U(-1/sqrt(in), 1/sqrt(in)) for the other matrices: attn.c_q, attn.c_k,
    attn.c_v and mlp.c_fc, whose weights are stored (out, in).

    Numbers to begin with: lambdas (2,) of each block (1, 0), its attn.lamb () 0.5, and
    model.skip_weights (L/2,) all 1.

    Draw with nn.init.normal_ and nn.init.uniform_, whole parameters at a time; the grader puts its
    own numbers there.  Set single numbers inside torch.no_grad().

    About 20 minutes, 13 lines.
    """
    raise NotImplementedError("milestone04.6 init_weights: not started")


def zeropower_via_newtonschulz(U: Tensor, steps: int, eps: float, dtype: torch.dtype) -> Tensor:
    """Roughly the nearest semi-orthogonal matrix to U (rows, cols): same shape, in `dtype`.

    Milestone 01's function at a lower price.  X = U / (Frobenius norm of U + eps), in `dtype`;
    then, `steps` times, with A = X X^T:

        X <- a X + b A X + c A A X,    a, b, c = 3.4445, -4.7750, 2.0315

    Each iteration may multiply with the long side of X twice, for A and once more: gather what
    stands before X in a matrix as small as A first.  A itself must be the small one of the two: a
    tall U, rows > cols, is transposed before and transposed back after.  Every product in `dtype`;
    U itself stays as it is.

    About 15 minutes, 10 lines.
    """
    raise NotImplementedError("milestone04.7 zeropower_via_newtonschulz: not started")


def update_scale(rows: int, cols: int) -> float:
    """Factor on Muon's semi-orthogonal update of a weight (rows, cols), that is (out, in).

    A tall update, rows > cols, keeps the norm of what comes in and spreads it over more features.
    The factor makes their root mean square that of the input again: sqrt(rows / cols).  Square and
    wide updates get 1.

    About 5 minutes, 1 line.
    """
    raise NotImplementedError("milestone04.8 update_scale: not started")


def split_parameters(model: nn.Module) -> tuple[list, list, list, list]:
    """(embedding, head, scalars, matrices): every parameter of the script's GPT in one of them.

    embedding: the table model.wte.  head: model.lm_head.  matrices: what has two dimensions in the
    blocks model.h, for Muon.  scalars: what has fewer, wherever it is: lambdas and attn.lamb of
    each block, and model.skip_weights.

    Lists, in an order that is the same whenever the program runs: the ranks of a run share the
    matrices out by their places in it.

    About 10 minutes, 5 lines.
    """
    raise NotImplementedError("milestone04.9 split_parameters: not started")


def get_momentum(step: int, args) -> float:
    """Muon's momentum at `step`; the first step is 0.

    A straight line from args.momentum_start at step 0 to args.momentum at step
    args.momentum_warmup_iters, and args.momentum from there on: from step 0, if
    args.momentum_warmup_iters is 0.

    About 5 minutes, 3 lines.
    """
    raise NotImplementedError("milestone04.10 get_momentum: not started")
