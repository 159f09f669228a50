"""Exercises of milestone 04: an untied head, shortcuts, bfloat16 inside, U-net skips.

Replace each `raise` by your own code; `args` is the script's Hyperparameters.

    pytest grader/ -k milestone04             how you are doing
    python -m grader hint 04.2                one hint; again for the next

What flows through the model is x, bfloat16 in the record; the weights it meets are float32.  The
grader's curve is float64 throughout and cannot tell, so small calls look at dtypes.

Each task is graded alone, beside the script's own version of the others: any order works.  What is
imported from the script below is given.  Answers lie one folder away, in
milestones/milestone04_unet_skips; reading them is learning too, but try first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from milestones.milestone04_unet_skips.train_gpt import MLP, rms_norm, rotary


class CastedLinear(nn.Linear):
    """A linear without bias: y = x W^T, with x (..., in_features), y (..., out_features).

    The product is made in the dtype of x: bfloat16 in the record, float64 in the grader's curve.
    For that W = self.weight (out_features, in_features) takes on that dtype in each forward pass
    anew, but self.weight itself keeps its own, and so does its gradient, which must arrive there.

    About 10 minutes, 4 lines.
    """

    def __init__(self, in_features: int, out_features: int):
        raise NotImplementedError("milestone04.1 CastedLinear: not started")

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features), in the dtype of x."""
        raise NotImplementedError("milestone04.1 CastedLinear: not started")


class CausalSelfAttention(nn.Module):
    """Milestone 02's attention, whose values are mixed with those of the first block.

    D = args.model_dim, H = args.num_heads, h = D / H.  As before, c_q, c_k, c_v, c_proj are linears
    from D to D, now CastedLinear; q and k (B, T, H, h) go through rms_norm(q, args.norm_eps), then
    rotary(q, args.rotary_base); attention is causal, with scores q . k / sqrt(h).  New is lamb, an
    nn.Parameter of shape (), made by torch.empty(()) since init_weights fills it, and before v is
    averaged over the past

        v <- (1 - lamb) v + lamb v1

    where v1 are the first block's values.  Gradients flow through v, v1 and lamb.

    About 25 minutes, 20 lines.
    """

    def __init__(self, args):
        raise NotImplementedError("milestone04.2 CausalSelfAttention: not started")

    def forward(self, x: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        """(y, v1): y (B, T, D), what to add to the stream; v1 (B, T, H, h), for the next block.

        The first block is given None, and its own values are v1; others hand v1 on as they got it.
        Both have the dtype of x, where rotary(q) is at least float32.  Arguments stay as they were.
        """
        raise NotImplementedError("milestone04.2 CausalSelfAttention: not started")


class Block(nn.Module):
    """Embedding shortcut, attention, MLP.

    Its parts are named attn, a CausalSelfAttention(args), mlp, an MLP(args), and lambdas, an
    nn.Parameter of shape (2,), torch.empty(2), which init_weights fills.  With (l0, l1) = lambdas
    and norm(x) = rms_norm(x, args.norm_eps), three things happen to the stream x, in turn:

        x <- l0 x + l1 x0
        x <- x + what attn makes of norm(x) and v1
        x <- x + mlp(norm(x))

    About 15 minutes, 11 lines.
    """

    def __init__(self, args):
        raise NotImplementedError("milestone04.3 Block: not started")

    def forward(self, x: Tensor, x0: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        """(x after this block, v1 as attn returned it); x and x0 are (B, T, D), of one dtype.

        x0 is the embedding, normalised already.  The stream keeps its dtype, whatever that of
        lambdas is.  Arguments stay as they were.
        """
        raise NotImplementedError("milestone04.3 Block: not started")


def softcap(logits: Tensor, cap: float) -> Tensor:
    """cap * tanh(logits / cap), with the shape and dtype of logits, which stay as they were.

    However large a logit is, the result is finite, and so is the gradient.

    About 5 minutes, 1 line.
    """
    raise NotImplementedError("milestone04.4 softcap: not started")


def unet(blocks: nn.ModuleList, skip_weights: Tensor, x0: Tensor) -> Tensor:
    """x0 (B, T, D) through all blocks, in order; returns what the last one made, (B, T, D).

    A block is called as block(x, x0, v1), and returns the new x and v1: v1 is None for the first
    block, and afterwards what the block before returned.  x0 is also the first block's x.

    Of L = len(blocks), an even number, the second half gets skips, mirrored: block L/2 is given
    x + skip_weights[0] * s, where s is what block L/2 - 1 returned; block L/2 + 1 is given
    x + skip_weights[1] * s with s from block L/2 - 2; and the last block's s is the first's.
    skip_weights is (L/2,); x keeps the dtype of x0, whatever that of skip_weights is.

    About 20 minutes, 9 lines.
    """
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
