"""Exercises of milestone 00: batches of tokens, attention, the schedule, AdamW's groups, gradients.

Replace each `raise` by your own code; `args` is the script's Hyperparameters.

    pytest grader/ -k milestone00             how you are doing
    python -m grader hint 00.2                one hint; again for the next

Each task is graded alone, beside the script's own version of the others: any order works.  Answers
lie one folder away, in milestones/milestone00_baseline; reading them is learning too.  Try first.
"""

# ruff: noqa: F401 (not all of these are needed)
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def batches_in_shard(num_tokens: int, batch_size: int, sequence_length: int) -> int:
    """How many whole batches a shard of `num_tokens` tokens yields.

    The inputs of a batch are batch_size * sequence_length tokens; no token is input twice.  The
    target of a token is the one after it, so the last batch needs one token beyond its inputs.
    The rest is dropped: 48 tokens hold no batch of 6 sequences of 8 tokens, 49 hold one.

    About 5 minutes, 1 line.
    """
    raise NotImplementedError("milestone00.1 batches_in_shard: not started")


def cut_batch(
    shard: np.ndarray,
    index: int,
    batch_size: int,
    sequence_length: int,
    rank: int = 0,
    world_size: int = 1,
) -> tuple[Tensor, Tensor]:
    """This rank's rows of batch `index`: (inputs, targets), each int64 (rows, sequence_length).

    `shard` is uint16 (num_tokens,), read-only, ids up to 65,535; rows = batch_size // world_size.
    Batch 0 starts at token 0; rows follow each other without a gap, and so do batches.  The ranks
    share a batch: its first `rows` rows are rank 0's, the next rank 1's, and so on.
    Targets are the tokens one after the inputs, across the ends of rows too.

    About 15 minutes, 5 lines.
    """
    raise NotImplementedError("milestone00.2 cut_batch: not started")


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and at what came before it, through H heads.

    D = args.model_dim, H = args.num_heads, h = D / H.  Two linears with bias, of these names:

        c_attn, D to 3D    gives q, k, v side by side, each of them H heads of width h side by side
        c_proj, D to D     takes the heads' results, side by side in the same order

    In a head, position t gets the mean of v over positions 0 to t, weighted by the softmax over
    them of q . k / sqrt(h).  No dropout.

    About 30 minutes, 12 lines.
    """

    def __init__(self, args):
        raise NotImplementedError("milestone00.3 CausalSelfAttention: not started")

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D), any B and T; computed in the dtype of x, float64 included."""
        raise NotImplementedError("milestone00.3 CausalSelfAttention: not started")


def get_lr(step: int, args) -> float:
    """Factor on the peak learning rate at `step`, which counts from 0 to args.num_iterations - 1.

    Over the first args.warmup_iters steps it rises in equal parts, from 1 / warmup_iters at step 0
    to 1 at the last of them.  Then half a period of a cosine takes it from 1 at step warmup_iters
    down to 0 at step num_iterations, one after the last.  warmup_iters may be 0.

    About 10 minutes, 4 lines.
    """
    raise NotImplementedError("milestone00.4 get_lr: not started")


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """The two parameter groups for torch.optim.AdamW: what decays, and what does not.

    Each is a dict: "params", a list of parameters, and "weight_decay", a float.  Parameters of two
    or more dimensions (matrices, embedding tables) get `weight_decay`; the others (biases, gains of
    norms) get 0.0, explicitly, as AdamW's default is 0.01.  Every parameter appears once, the tied
    table too, which has two names; in the order of model.parameters(): a checkpoint counts on it.

    About 10 minutes, 6 lines.
    """
    raise NotImplementedError("milestone00.5 decay_groups: not started")


def forward_backward(
    model: nn.Module, inputs: Tensor, targets: Tensor, device_batch_size: int
) -> Tensor:
    """Leave in .grad the gradient of the mean loss over all rows; return that loss, in nats.

    `inputs` and `targets` are int64 (rows, T).  A GPU takes only device_batch_size rows at once:
    `model(x, y)` returns the mean loss over the rows it is given, and its backward() comes before
    the next rows go in.  These micro-batches are equal in size; there may be only one.  .grad is
    clear on entry; each backward() adds to it.  The loss comes back detached, a tensor of shape ()
    in the dtype of what the model returns.

    About 20 minutes, 7 lines.
    """
    raise NotImplementedError("milestone00.6 forward_backward: not started")
