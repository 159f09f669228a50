"""Solutions of milestone 02: the plainest correct version of each task, with the reasoning."""

import math

import torch
from torch import Tensor, nn


def next_multiple_of_n(v: int, n: int) -> int:
    """Add what is missing: v + missing leaves no remainder, and missing is below n."""
    missing = -v % n  # Python's % is never negative: 0 for a multiple
    return v + missing


def rotary(x: Tensor, base: float) -> Tensor:
    """x cos + y sin, where y holds every feature's partner, with its sign."""
    _, T, _, h = x.shape
    pairs = h // 2
    like = {"dtype": torch.promote_types(x.dtype, torch.float32), "device": x.device}
    # Pair 0 turns by one radian a position, the last one by almost 1 / base.
    speed = torch.tensor([base ** (-j / pairs) for j in range(pairs)], **like)
    position = torch.arange(T, **like).view(T, 1, 1)  # the same in every row and head
    angle = position * torch.cat([speed, speed])  # (T, 1, h): partners turn together
    partner = torch.cat([x[..., pairs:], -x[..., :pairs]], dim=-1)
    return x * angle.cos() + partner * angle.sin()


class CausalSelfAttention(nn.Module):
    """Attention spelled out, heads as an index h of its own: no dimension changes its place."""

    def __init__(self, args):
        super().__init__()
        self.num_heads = args.num_heads
        self.norm_eps = args.norm_eps
        self.rotary_base = args.rotary_base
        width = args.model_dim
        self.c_q = nn.Linear(width, width, bias=False)
        self.c_k = nn.Linear(width, width, bias=False)
        self.c_v = nn.Linear(width, width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        q, k = self.heads(self.c_q(x)), self.heads(self.c_k(x))  # (B, T, H, h)
        q, k = self.normalised(q), self.normalised(k)  # however large W_q and W_k have grown
        q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)
        v = self.heads(self.c_v(x))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
        past = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        weights = scores.where(past, -torch.inf).softmax(dim=-1)  # (B, H, T, T)
        y = torch.einsum("bhij,bjhd->bihd", weights, v)
        return self.c_proj(y.flatten(2))  # the heads side by side again

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1))

    def normalised(self, x: Tensor) -> Tensor:
        mean_square = x.pow(2).mean(dim=-1, keepdim=True)  # over one head's features
        return x / torch.sqrt(mean_square + self.norm_eps)


class MLP(nn.Module):
    """Out, ReLU^2, and back."""

    def __init__(self, args):
        super().__init__()
        self.c_fc = nn.Linear(args.model_dim, 4 * args.model_dim, bias=False)
        self.c_proj = nn.Linear(4 * args.model_dim, args.model_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.c_fc(x).clamp(min=0)
        return self.c_proj(z * z)  # no kink at 0: the slope, 2 z, begins there at 0


def init_weights(model: nn.Module) -> None:
    """Everything as a linear is by default; then each block's two projections are emptied."""
    for parameter in model.parameters():  # a tied table comes once
        bound = 1 / math.sqrt(parameter.shape[1])  # what goes into a linear is its second size
        nn.init.uniform_(parameter, -bound, bound)
    for block in model.h:
        nn.init.zeros_(block.attn.c_proj.weight)
        nn.init.zeros_(block.mlp.c_proj.weight)
