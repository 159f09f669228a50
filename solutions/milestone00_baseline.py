"""Solutions of milestone 00: the plainest correct version of each task, with the reasoning."""

import math

import numpy as np
import torch
from torch import Tensor, nn


def batches_in_shard(num_tokens: int, batch_size: int, sequence_length: int) -> int:
    """A batch reads B x T tokens and peeks at one more, the target of its last position."""
    return (num_tokens - 1) // (batch_size * sequence_length)


def cut_batch(
    shard: np.ndarray,
    index: int,
    batch_size: int,
    sequence_length: int,
    rank: int = 0,
    world_size: int = 1,
) -> tuple[Tensor, Tensor]:
    """Row by row: row i of the batch starts T tokens after row i - 1."""
    rows_per_rank = batch_size // world_size
    first_row = index * batch_size + rank * rows_per_rank
    inputs, targets = [], []
    for row in range(first_row, first_row + rows_per_rank):
        start = row * sequence_length
        inputs.append(shard[start : start + sequence_length])
        targets.append(shard[start + 1 : start + 1 + sequence_length])
    # uint16 would do for the ids, but torch indexes with int64
    as_tensor = lambda rows: torch.from_numpy(np.stack(rows).astype(np.int64))  # noqa: E731
    return as_tensor(inputs), as_tensor(targets)


class CausalSelfAttention(nn.Module):
    """Attention spelled out: scores, mask, softmax, weighted mean of the values."""

    def __init__(self, args):
        super().__init__()
        self.num_heads = args.num_heads
        self.head_dim = args.model_dim // args.num_heads
        self.c_attn = nn.Linear(args.model_dim, 3 * args.model_dim)
        self.c_proj = nn.Linear(args.model_dim, args.model_dim)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = self.c_attn(x).split(D, dim=-1)  # each (B, T, D), in this order
        q, k, v = self.into_heads(q), self.into_heads(k), self.into_heads(v)  # (B, H, T, h)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)  # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(diagonal=1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        heads = weights @ v  # (B, H, T, h)
        return self.c_proj(heads.transpose(1, 2).contiguous().view(B, T, D))

    def into_heads(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        return x.view(B, T, self.num_heads, self.head_dim).transpose(1, 2)


def get_lr(step: int, args) -> float:
    """Up in warmup_iters equal steps, the first of them not zero; then along a cosine to zero."""
    if step < args.warmup_iters:
        return (step + 1) / args.warmup_iters
    elapsed = step - args.warmup_iters
    whole = args.num_iterations - args.warmup_iters
    return math.cos(0.5 * math.pi * elapsed / whole) ** 2  # = (1 + cos(2 angle)) / 2


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay pulls a weight towards zero; for a norm's gain, zero is no neutral place to be."""
    groups = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
    for parameter in model.parameters():
        is_vector = parameter.dim() < 2  # biases and gains
        groups[is_vector]["params"].append(parameter)
    return groups


def forward_backward(
    model: nn.Module, inputs: Tensor, targets: Tensor, device_batch_size: int
) -> Tensor:
    """backward() adds to .grad, so a micro-batch must bring its share of the whole mean."""
    rows = len(inputs)
    mean_loss = torch.zeros((), device=inputs.device)
    for start in range(0, rows, device_batch_size):
        x = inputs[start : start + device_batch_size]
        y = targets[start : start + device_batch_size]
        share = model(x, y) * (len(x) / rows)
        share.backward()
        mean_loss = mean_loss + share.detach()
    return mean_loss
