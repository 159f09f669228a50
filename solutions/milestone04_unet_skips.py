"""Solutions of milestone 04: the plainest correct version of each task, with the reasoning."""

import math

import torch
from torch import Tensor, nn

from milestones.milestone04_unet_skips.train_gpt import MLP, rms_norm, rotary


class CastedLinear(nn.Module):
    """A matrix of its own, and a copy of it in another dtype for each product."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))  # init_weights fills it

    def forward(self, x: Tensor) -> Tensor:
        # The cast is an operation like others: its backward casts the gradient back.
        W = self.weight.to(x.dtype)
        return x @ W.mT


class CausalSelfAttention(nn.Module):
    """Attention spelled out, heads as an index h of its own: no dimension changes its place."""

    def __init__(self, args):
        super().__init__()
        self.num_heads = args.num_heads
        self.norm_eps = args.norm_eps
        self.rotary_base = args.rotary_base
        width = args.model_dim
        self.c_q = CastedLinear(width, width)
        self.c_k = CastedLinear(width, width)
        self.c_v = CastedLinear(width, width)
        self.c_proj = CastedLinear(width, width)
        self.lamb = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        T = x.shape[1]
        q, k, v = self.heads(self.c_q(x)), self.heads(self.c_k(x)), self.heads(self.c_v(x))
        q, k = rms_norm(q, self.norm_eps), rms_norm(k, self.norm_eps)
        q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)  # at least float32 now
        if v1 is None:
            v1 = v  # this is the first block: it mixes its values with themselves
        mixed = v + self.lamb * (v1 - v)  # of v1 the part lamb, of v what is left
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
        past = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        weights = scores.where(past, -torch.inf).softmax(dim=-1)  # (B, H, T, T)
        y = torch.einsum("bhij,bjhd->bihd", weights.type_as(mixed), mixed)  # in x's dtype again
        return self.c_proj(y.flatten(2)), v1

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1))


class Block(nn.Module):
    """Three sentences about the stream."""

    def __init__(self, args):
        super().__init__()
        self.norm_eps = args.norm_eps
        self.attn = CausalSelfAttention(args)
        self.mlp = MLP(args)
        self.lambdas = nn.Parameter(torch.empty(2))

    def forward(self, x: Tensor, x0: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        keep, renew = self.lambdas  # each of shape (): such a number leaves x its dtype
        start = keep * x + renew * x0
        attended, v1 = self.attn(rms_norm(start, self.norm_eps), v1)
        middle = start + attended
        return middle + self.mlp(rms_norm(middle, self.norm_eps)), v1


def softcap(logits: Tensor, cap: float) -> Tensor:
    """tanh is the identity near 0 and goes to 1: measured in caps, so are the logits."""
    in_caps = logits / cap
    return in_caps.tanh() * cap


def unet(blocks: nn.ModuleList, skip_weights: Tensor, x0: Tensor) -> Tensor:
    """Keep what every block made; mirrored means that the two numbers add up to L - 1."""
    L = len(blocks)
    made = []
    x, v1 = x0, None
    for i in range(L):
        if i >= L // 2:
            x = x + skip_weights[i - L // 2] * made[L - 1 - i]
        x, v1 = blocks[i](x, x0, v1)
        made.append(x)
    return x


def init_weights(model: nn.Module) -> None:
    """From the tables to the blocks, each parameter by its place in the model."""
    nn.init.zeros_(model.lm_head.weight)  # no token preferred: the first loss is ln V
    nn.init.normal_(model.wte.weight)  # Adam's steps are large: entries of 1 are their measure
    nn.init.ones_(model.skip_weights)
    for block in model.h:
        attn, mlp = block.attn, block.mlp
        for linear in (attn.c_q, attn.c_k, attn.c_v, mlp.c_fc):
            bound = 1 / math.sqrt(linear.weight.shape[1])  # what goes into a linear: second size
            nn.init.uniform_(linear.weight, -bound, bound)
        for linear in (attn.c_proj, mlp.c_proj):
            nn.init.zeros_(linear.weight)  # a block adds nothing to the stream
        nn.init.constant_(attn.lamb, 0.5)
        with torch.no_grad():
            block.lambdas[0], block.lambdas[1] = 1.0, 0.0  # all stream, no embedding


def zeropower_via_newtonschulz(U: Tensor, steps: int, eps: float, dtype: torch.dtype) -> Tensor:
    """Milestone 01's solution: what stands before X, a I + b A + c A A, was gathered there too."""
    if U.shape[0] > U.shape[1]:
        # X^T has the same singular values; its Gram matrix has the smaller side's size.
        return zeropower_via_newtonschulz(U.mT, steps, eps, dtype).mT
    frobenius = U.square().sum().sqrt()
    X = U.to(dtype) / (frobenius + eps)
    identity = torch.eye(X.shape[0], dtype=dtype, device=X.device)
    for _ in range(steps):
        gram = X @ X.mT
        # Of three products two have the long side in them: the one above, and the last of these.
        X = (3.4445 * identity - 4.7750 * gram + 2.0315 * (gram @ gram)) @ X
    return X


def update_scale(rows: int, cols: int) -> float:
    """One norm, over `cols` features that come in and `rows` that go out."""
    if rows > cols:
        return math.sqrt(rows / cols)
    return 1.0  # a wide one drops what lies outside its rows: on average the mean square stays


def split_parameters(model: nn.Module) -> tuple[list, list, list, list]:
    """Name by name: the two tables have names of their own, dimensions decide on the rest."""
    embedding, head, scalars, matrices = [], [], [], []
    for name, parameter in model.named_parameters():
        if name == "wte.weight":
            embedding.append(parameter)
        elif name == "lm_head.weight":
            head.append(parameter)
        elif parameter.dim() == 2:
            matrices.append(parameter)
        else:
            scalars.append(parameter)  # lamb has no dimension, lambdas and skip_weights one
    return embedding, head, scalars, matrices


def get_momentum(step: int, args) -> float:
    """A weighted mean of both ends while the warm-up lasts."""
    warmup = args.momentum_warmup_iters
    if step >= warmup:  # at once, if there is none
        return args.momentum
    part = step / warmup
    return (1 - part) * args.momentum_start + part * args.momentum
