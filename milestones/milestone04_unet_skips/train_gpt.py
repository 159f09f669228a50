"""Milestone 04: an untied head, shortcuts, bfloat16, U-net skips.

Records 8 to 11 of the speedrun: 7.2 minutes on 8xH100, 1.57 B tokens of FineWeb, val_loss 3.2753.
The time falls because the model learns more from a token: 3,000 steps and no longer 5,100.

a. Record 8: embedding and head are two tables, each with a learning rate that suits it; the head
   starts at zero, so the first prediction is uniform.  Muon's step is measured as an operator's.
b. Record 9: every block sees the embedding again, every attention the first one's values, logits
   are capped, Muon's momentum warms up.
c. Record 10: what flows through the model is bfloat16; the weights of its linears stay float32.
d. Record 11: the blocks' second half receives what the first half made, mirrored as in a U-net, and
   learning rates double.

    python -m milestones.milestone04_unet_skips.train_gpt tiny
    torchrun --standalone --nproc_per_node=8 -m milestones.milestone04_unet_skips.train_gpt record

Shapes: B sequences, T tokens each, D = model_dim, H heads of width h = D / H, V rows in a table.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend as Kernel
from torch.nn.attention import sdpa_kernel

from data.shards import find_shards, read_shard
from milestones.harness import Run, UsageError, main

# ------------------------------------------------------------------------------ hyper-parameters


@dataclass(frozen=True)
class Hyperparameters:
    """The numbers of a run; the defaults in this class are the record's own."""

    # data
    train_files: str = "data/fineweb10B/fineweb_train_*.bin"  # token shards, a glob pattern
    val_files: str = "data/fineweb10B/fineweb_val_*.bin"  # token shards, a glob pattern
    batch_size: int = 512  # sequences per step, over all ranks; record: 524,288 tokens
    device_batch_size: int = 64  # sequences a GPU takes at once; fewer need less memory, same curve
    sequence_length: int = 1024  # tokens
    allow_repeat: bool = False  # go round again when the shards hold too few tokens for the run
    # model
    vocab_size: int = 50257  # record: GPT-2's encoding
    vocab_multiple: int = 128  # of the table's rows; record: 50,304, 47 stand for no token
    num_layers: int = 12
    num_heads: int = 6
    model_dim: int = 768
    norm_eps: float = 1e-6  # of rms_norm; the records' was its input's dtype's, 1/128 for bfloat16
    rotary_base: float = 10_000.0
    logit_cap: float = 30.0
    # Adam: what suits a row of a table that is looked up, and what is multiplied with, differs
    embedding_learning_rate: float = 0.6
    head_learning_rate: float = 0.008
    scalar_learning_rate: float = 0.04  # for the weights of shortcuts and skips
    beta1: float = 0.9
    beta2: float = 0.95
    adam_eps: float = 1e-8
    # Muon, for the matrices of the blocks
    muon_learning_rate: float = 0.04  # RMS of what a step adds to an output, for inputs of RMS 1
    momentum_start: float = 0.85
    momentum: float = 0.95
    momentum_warmup_iters: int = 500  # from one to the other
    nesterov: bool = True
    newton_schulz_steps: int = 5
    newton_schulz_eps: float = 1e-7  # a gradient that is exactly zero must not become 0 / 0
    newton_schulz_dtype: Literal["bfloat16", "float32", "float64"] = "bfloat16"
    # schedule
    num_iterations: int = 3000
    warmup_iters: int = 0  # record: none, steps are bounded from the first one on
    warmdown_iters: int = 900
    # evaluation
    val_loss_every: int = 125  # steps
    val_batches: int = 20  # batches of batch_size sequences; record: 10,485,760 tokens
    # arithmetic
    dtype: Literal["float32", "float64"] = "float32"  # of weights, gradients and optimizer state
    activation_dtype: Literal["bfloat16", "float32", "float64"] = "bfloat16"  # and the embedding's
    compile: Literal["no", "aot_eager", "inductor"] = "inductor"  # backend of torch.compile
    fused: bool = True  # one kernel for the whole Adam step
    # bookkeeping
    untimed_steps: int = 10  # at the start of a run or a resumed one
    portable_init: bool = False  # initial weights from numpy, the same under every torch version
    seed: int = 1  # of the initial weights

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    def check(self, world_size: int) -> None:
        """Raise UsageError if these numbers cannot train on `world_size` ranks."""
        counts = ("batch_size", "device_batch_size", "sequence_length", "vocab_size", "num_layers")
        counts += ("num_heads", "model_dim", "num_iterations", "val_loss_every", "val_batches")
        counts += ("vocab_multiple",)
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1")
        if self.batch_size % world_size:
            raise UsageError(f"batch_size {self.batch_size} does not divide by {world_size} ranks")
        rows = self.batch_size // world_size
        if rows % min(rows, self.device_batch_size):
            raise UsageError(
                f"each rank has {rows} sequences a step: not a multiple of "
                f"device_batch_size {self.device_batch_size}"
            )
        if self.model_dim % self.num_heads:
            raise UsageError(
                f"model_dim {self.model_dim} is not a multiple of {self.num_heads} heads"
            )
        if self.model_dim // self.num_heads % 2:
            raise UsageError("rotary positions need heads of even width: model_dim / num_heads")
        if self.num_layers % 2:
            raise UsageError(f"num_layers {self.num_layers}: mirrored skips need an even number")
        if self.momentum_warmup_iters < 0:
            raise UsageError("momentum_warmup_iters must be at least 0")
        if self.warmup_iters + self.warmdown_iters > self.num_iterations:
            raise UsageError(
                f"{self.warmup_iters} warmup_iters + {self.warmdown_iters} warmdown_iters > "
                f"{self.num_iterations} num_iterations: pass --warmdown-iters too"
            )


PRESETS = {
    "exact": Hyperparameters(  # the grader's run: float64, 40 steps, the whole schedule
        train_files="data/exact/exact_train.bin",
        val_files="data/exact/exact_val.bin",
        batch_size=12,
        device_batch_size=6,
        sequence_length=32,
        vocab_size=128,
        vocab_multiple=48,  # 144 rows: lets the curve judge the padding
        num_layers=4,
        num_heads=2,
        model_dim=32,
        embedding_learning_rate=0.1,
        head_learning_rate=0.01,
        adam_eps=1e-6,  # a smaller one lets Adam blow rounding noise up to full steps
        muon_learning_rate=0.02,
        momentum_warmup_iters=20,
        newton_schulz_dtype="float64",
        num_iterations=40,
        warmup_iters=4,  # not the record's: lets the curve judge a learner's warm-up
        warmdown_iters=12,
        val_loss_every=20,
        val_batches=2,
        dtype="float64",
        activation_dtype="float64",
        compile="no",
        fused=False,
        portable_init=True,
    ),
    "tiny": Hyperparameters(  # the race on a laptop: the embedded corpus, 307,200 tokens
        train_files="data/corpus/corpus_train_*.bin",
        val_files="data/corpus/corpus_val_*.bin",
        batch_size=8,
        device_batch_size=8,
        sequence_length=64,
        vocab_size=128,
        num_layers=4,
        num_heads=2,  # of width 32; half as many as in milestone 01, as in the record
        model_dim=64,
        embedding_learning_rate=0.3,  # with Muon's, lowest final loss of six pairs, seeds 1 and 2
        head_learning_rate=0.008,
        muon_learning_rate=0.01,
        scalar_learning_rate=0.02,
        momentum_warmup_iters=100,
        newton_schulz_dtype="float32",
        num_iterations=600,
        warmdown_iters=240,
        val_loss_every=25,
        val_batches=16,
        activation_dtype="float32",
        compile="no",
        fused=False,
    ),
    "record": Hyperparameters(),
}

# What a learner implements: milestones/harness/injection.py puts it in place of ours.
EXERCISES = (
    "CastedLinear",
    "CausalSelfAttention",
    "Block",
    "softcap",
    "unet",
    "init_weights",
    "zeropower_via_newtonschulz",
    "update_scale",
    "split_parameters",
    "get_momentum",
)
COMPILED = ("zeropower_via_newtonschulz",)  # by torch.compile, apart from the model

# ------------------------------------------------------------------------------------------ data


def batches_in_shard(num_tokens: int, batch_size: int, sequence_length: int) -> int:
    """How many batches a shard of `num_tokens` yields: the last target needs one token more."""
    return (num_tokens - 1) // (batch_size * sequence_length)


def cut_batch(
    shard: np.ndarray,
    index: int,
    batch_size: int,
    sequence_length: int,
    rank: int = 0,
    world_size: int = 1,
) -> tuple[Tensor, Tensor]:
    """This rank's rows of batch `index` of a shard: inputs and targets, int64 (rows, T).

    The ranks cut one shared window into equal runs of rows, so the tokens of a step are the same
    for every world size.  (In the records each rank kept a position of its own, and ranks left a
    shard at different steps.)  Targets are the inputs one token later, across the ends of rows too.
    """
    rows = batch_size // world_size
    start = (index * batch_size + rank * rows) * sequence_length
    window = shard[start : start + rows * sequence_length + 1].astype(np.int64)
    tokens = torch.from_numpy(window)
    return tokens[:-1].view(rows, sequence_length), tokens[1:].view(rows, sequence_length)


class TokenBatches:
    """All batches of a list of shards, in order: `batches[index]` is (inputs, targets).

    A batch depends on its index alone, so a resumed run reads what the killed one would have read.
    Batches do not cross shards; the tail of a shard is dropped.
    """

    def __init__(self, files: str, num_batches: int, args: Hyperparameters, run: Run):
        self.args, self.run = args, run
        paths = find_shards(files)
        self.shards = [read_shard(path) for path in paths]
        batches = [
            batches_in_shard(len(s), args.batch_size, args.sequence_length) for s in self.shards
        ]
        self.ends = np.cumsum(batches)  # index of the first batch after each shard
        available = int(self.ends[-1])
        if not available:
            raise UsageError(
                f"{files}: every shard is shorter than one batch of {args.tokens_per_step:,} "
                "tokens: pass a smaller --batch-size or --sequence-length, or larger shards"
            )
        if available < num_batches and not args.allow_repeat:
            raise UsageError(
                f"{files}: {available} batches of {args.tokens_per_step:,} tokens, the run needs "
                f"{num_batches}: get more shards, shorten the run, or pass --allow-repeat"
            )
        if available < num_batches:
            run.warn(f"{files}: {available} batches for {num_batches}; the text will REPEAT")
        self[0]  # a vocabulary that is too small shows here, before any work

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        args, run = self.args, self.run
        index %= int(self.ends[-1])
        which = int(np.searchsorted(self.ends, index, side="right"))
        index -= int(self.ends[which - 1]) if which else 0
        inputs, targets = cut_batch(
            self.shards[which],
            index,
            args.batch_size,
            args.sequence_length,
            run.rank,
            run.world_size,
        )
        if inputs.max() >= args.vocab_size:
            raise UsageError(
                f"token {int(inputs.max())} in the text, but vocab_size is {args.vocab_size}"
            )
        return inputs.to(run.device, non_blocking=True), targets.to(run.device, non_blocking=True)


# ----------------------------------------------------------------------------------------- model


def next_multiple_of_n(v: int, n: int) -> int:
    """The smallest multiple of n that is not below v.

    A GPU multiplies matrices in tiles: sides that are multiples of 128 waste none of them.
    """
    return -(-v // n) * n


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """x over its root mean square along the last dimension; no gain.  At least float32 inside."""
    y = x.to(torch.promote_types(x.dtype, torch.float32))
    return (y * torch.rsqrt(y.square().mean(dim=-1, keepdim=True) + eps)).type_as(x)


def rotary(x: Tensor, base: float) -> Tensor:
    """Rotate the pairs (j, j + h/2) of x (B, T, H, h) by -position * base^(-2j/h).

    The positions of q and k then enter q . k only through their difference (RoPE: Su et al., 2021);
    the sign is a convention, both turn the same way.  At least float32 throughout, as bfloat16 does
    not hold every integer above 256; under autocast the attention rounds q and k back to it.
    """
    T, h = x.size(1), x.size(3)
    like = {"dtype": torch.promote_types(x.dtype, torch.float32), "device": x.device}
    frequencies = base ** (-torch.arange(0, h, 2, **like) / h)  # radians a position, (h/2,)
    angles = torch.outer(torch.arange(T, **like), frequencies)  # (T, h/2)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]  # (T, 1, h/2), the same in all heads
    a, b = x.chunk(2, dim=3)
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=3)


class CastedLinear(nn.Linear):
    """A linear without bias whose weight takes on its input's dtype, in each forward pass anew.

    The weight itself keeps its own, float32 in the record: a step of Muon or Adam is often smaller
    than half a bfloat16 step of the weight, and would be rounded away.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and at what came before it, through H heads.

    Value residual (Zhou et al., 2024): a learned mix of the layer's own values and the first
    block's, so that what a token is stays at hand however often the stream has been rewritten.
    """

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.num_heads = args.num_heads
        self.norm_eps = args.norm_eps
        self.rotary_base = args.rotary_base
        self.c_q = CastedLinear(args.model_dim, args.model_dim)
        self.c_k = CastedLinear(args.model_dim, args.model_dim)
        self.c_v = CastedLinear(args.model_dim, args.model_dim)
        self.c_proj = CastedLinear(args.model_dim, args.model_dim)
        self.lamb = nn.Parameter(torch.empty(()))  # of v1 in the mix

    def forward(self, x: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        """(what to add to the stream, v1); v1 (B, T, H, h) are the first block's values.

        The first block is given None, and its own values are v1.
        """
        B, T, D = x.shape
        q, k, v = (c(x).view(B, T, self.num_heads, -1) for c in (self.c_q, self.c_k, self.c_v))
        # Each (B, T, H, h).  QK-norm (Dehghani et al., 2023): a score is then at most sqrt(h).
        q, k = rms_norm(q, self.norm_eps), rms_norm(k, self.norm_eps)
        q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)
        v1 = v if v1 is None else v1  # handed on as it was made, not as it is mixed below
        v = (1 - self.lamb) * v + self.lamb * v1
        q, k, v = (z.transpose(1, 2).type_as(x) for z in (q, k, v))  # (B, H, T, h)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # scores / sqrt(h)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, D)), v1


class MLP(nn.Module):
    """Four times as wide inside, with ReLU^2 (So et al., 2021)."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.c_fc = CastedLinear(args.model_dim, 4 * args.model_dim)
        self.c_proj = CastedLinear(4 * args.model_dim, args.model_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    """Embedding shortcut, then attention, then MLP, each added to the residual stream x (B, T, D).

    The stream is mixed with the normalised embedding x0 before anything else: l0 x + l1 x0.
    """

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.norm_eps = args.norm_eps
        self.attn = CausalSelfAttention(args)
        self.mlp = MLP(args)
        self.lambdas = nn.Parameter(torch.empty(2))  # (l0, l1)

    def forward(self, x: Tensor, x0: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        """(x after this block, v1)."""
        x = self.lambdas[0] * x + self.lambdas[1] * x0
        y, v1 = self.attn(rms_norm(x, self.norm_eps), v1)
        x = x + y
        return x + self.mlp(rms_norm(x, self.norm_eps)), v1


def unet(blocks: nn.ModuleList, skip_weights: Tensor, x0: Tensor) -> Tensor:
    """x0 (B, T, D) through all blocks; the second half of L receives what the first half made.

    Mirrored, as in a U-net (Ronneberger et al., 2015): the last output of the first half goes to
    the first block of the second, and the first to the last, each times its entry of `skip_weights`
    (L/2,), added to what that block is given.  Late layers then have early features at hand.
    """
    x, v1, skips = x0, None, []
    half = len(blocks) // 2
    for i, block in enumerate(blocks):
        if i >= half:
            x = x + skip_weights[i - half] * skips.pop()  # block `half` gets (1 + w) times its x
        x, v1 = block(x, x0, v1)
        if i < half:
            skips.append(x)
    return x


def softcap(logits: Tensor, cap: float) -> Tensor:
    """Squeezed smoothly into (-cap, cap): nearly itself near 0, same shape and dtype.

    As in Gemma 2 (2024).  No token gets arbitrarily certain, and large logits are hardly pushed.
    """
    return cap * torch.tanh(logits / cap)


class GPT(nn.Module):
    """GPT-2's skeleton, bent into a U: two tables, shortcuts from the embedding, mirrored skips."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.norm_eps = args.norm_eps
        self.logit_cap = args.logit_cap
        rows = next_multiple_of_n(args.vocab_size, args.vocab_multiple)  # V, with the padding
        self.wte = nn.Embedding(rows, args.model_dim)
        self.h = nn.ModuleList([Block(args) for _ in range(args.num_layers)])
        self.skip_weights = nn.Parameter(torch.empty(args.num_layers // 2))
        self.lm_head = CastedLinear(args.model_dim, rows)

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores of the next token, (B, T, V), for token ids (B, T); at least float32.

        The embedding's dtype is that of all activations.  (Upstream capped them in bfloat16, whose
        values lie 1/8 apart between 16 and 32.)
        """
        x0 = rms_norm(self.wte(inputs), self.norm_eps)  # (B, T, D)
        x = unet(self.h, self.skip_weights, x0)
        logits = self.lm_head(rms_norm(x, self.norm_eps))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return softcap(logits, self.logit_cap)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats; inputs and targets are token ids (B, T)."""
        # The first that this machine has; in record 8 cuDNN's was 4 ms a step ahead of flash.
        order = [Kernel.CUDNN_ATTENTION, Kernel.FLASH_ATTENTION, Kernel.EFFICIENT_ATTENTION]
        with sdpa_kernel([*order, Kernel.MATH], set_priority=True):
            logits = self.logits(inputs)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def init_weights(model: GPT) -> None:
    """Zero for the head and the projections into the stream; N(0, 1) for the embedding.

    With a head of zeros all tokens are equally likely, and the loss is ln V; in the first step the
    head alone gets a gradient.  Shortcuts start as if they were not there, l = (1, 0); of the first
    block's values comes half, and skips count in full.  All else is as a linear is by default.
    """
    for name, p in model.named_parameters():
        if name.endswith("c_proj.weight") or name == "lm_head.weight":
            nn.init.zeros_(p)
        elif name == "wte.weight":
            nn.init.normal_(p)
        elif name == "skip_weights":
            nn.init.ones_(p)
        elif name.endswith("lambdas"):
            with torch.no_grad():
                p.copy_(torch.tensor([1.0, 0.0]))
        elif name.endswith("lamb"):
            nn.init.constant_(p, 0.5)
        else:
            bound = 1 / math.sqrt(p.size(1))  # weights are stored (out, in)
            nn.init.uniform_(p, -bound, bound)


# ------------------------------------------------------------------------------------- optimizer


def zeropower_via_newtonschulz(U: Tensor, steps: int, eps: float, dtype: torch.dtype) -> Tensor:
    """Roughly the nearest semi-orthogonal matrix to U (rows, cols): same shape, in `dtype`.

    U = P S Q^T becomes P S' Q^T with all of S' near 1: every singular value to the power of zero.
    X X^T X is P S^3 Q^T, so a polynomial in X acts on each singular value alone; an iteration takes
    it to p(s) = a s + b s^3 + c s^5.  The coefficients (Keller Jordan, 2024)
    are chosen for a steep p at 0, to lift small values fast, and not to converge: after five
    iterations whatever was above 0.002 lies between 0.68 and 1.21, and that is near enough.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    X = U.to(dtype) / (U.norm() + eps)  # by the Frobenius norm: no singular value exceeds 1
    tall = U.size(0) > U.size(1)
    if tall:
        X = X.T  # the Gram matrix below is then the small one of the two
    for _ in range(steps):
        A = X @ X.T
        B = b * A + c * (A @ A)  # small and square: two products with X and not three
        X = a * X + B @ X  # a X + b (X X^T) X + c (X X^T)^2 X
    return X.T if tall else X


def flat_layout(matrices: list[Tensor], world_size: int) -> list[tuple[int, int, int]]:
    """(owner, start, end) of each matrix: the rank that updates it, and its place in a flat buffer.

    The ranks take turns, matrix by matrix.  Every matrix has a place of its own, whoever owns it,
    and every rank finds the same layout, so nobody has to be told where anything lies.
    """
    layout, start = [], 0
    for index, p in enumerate(matrices):
        layout.append((index % world_size, start, start + p.numel()))
        start += p.numel()
    return layout


def update_scale(rows: int, cols: int) -> float:
    """Factor on the semi-orthogonal update of a matrix (rows, cols): 2 for c_fc, 1 for the others.

    A tall update keeps the norm of its input, sqrt(cols) if that has RMS 1, and spreads it over
    more features; with the factor the output has RMS 1 again.  Of a wide one it has so on average
    over inputs.  A step is then measured by what it does, not by its entries.
    """
    return math.sqrt(max(1, rows / cols))


class Muon(torch.optim.Optimizer):
    """MomentUm Orthogonalised by Newton-Schulz (Keller Jordan, 2024), shared out over the ranks.

    For matrices inside blocks; not for embeddings or the head: a row there is a token, seen often
    or rarely, and wants a step size of its own, which Adam gives it.  A step changes an output by
    about `lr`, for inputs of RMS 1; by twice that in mlp.c_proj, whose inputs made the update.

    A rank holds momentum for its own matrices alone.  What it computes travels in
    `newton_schulz_dtype`, so nothing is rounded that was not rounded before; the scale is applied
    on arrival.  (Upstream sent scaled updates, rounded once more.)
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
        self.newton_schulz = (newton_schulz_steps, newton_schulz_eps, newton_schulz_dtype)
        self.rank, self.world_size = rank, world_size
        self.layout = flat_layout(params, world_size)
        numel = sum(p.numel() for p in params)
        self.updates = torch.zeros(numel, dtype=newton_schulz_dtype, device=params[0].device)
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self) -> None:
        (group,) = self.param_groups
        self.updates.zero_()  # what others own must be 0 here: the all-reduce below adds
        for p, (owner, start, end) in zip(group["params"], self.layout, strict=True):
            if owner == self.rank:
                self.updates[start:end] = self._orthogonalized(p, group).flatten()
        if self.world_size > 1:
            dist.all_reduce(self.updates)  # one call for all matrices, and every rank gets there
        for p, (_, start, end) in zip(group["params"], self.layout, strict=True):
            update = self.updates[start:end].view_as(p).to(p.dtype)
            p.add_(update, alpha=-group["lr"] * update_scale(*p.shape))

    def _orthogonalized(self, p: Tensor, group: dict) -> Tensor:
        """Update of a matrix that this rank owns: same shape, in `newton_schulz_dtype`."""
        state, mu = self.state[p], group["momentum"]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        M = state["momentum_buffer"].mul_(mu).add_(p.grad)  # a sum: no factor 1 - mu
        U = p.grad + mu * M if group["nesterov"] else M  # looks ahead with the new M
        return zeropower_via_newtonschulz(U, *self.newton_schulz)


def split_parameters(model: GPT) -> tuple[list, list, list, list]:
    """(embedding, head, scalars, matrices): four lists of parameters, each in one.

    The weights of shortcuts and skips are the scalars: whatever has fewer than two dimensions.
    """
    in_blocks = list(model.h.parameters())
    scalars = [p for p in in_blocks if p.dim() < 2] + [model.skip_weights]
    matrices = [p for p in in_blocks if p.dim() == 2]
    return [model.wte.weight], [model.lm_head.weight], scalars, matrices


def build_optimizers(model: GPT, args: Hyperparameters, run: Run) -> list[torch.optim.Optimizer]:
    """Adam for the tables and the scalars, Muon for the matrices."""
    embedding, head, scalars, matrices = split_parameters(model)
    adam = torch.optim.Adam(
        [
            {"params": embedding, "lr": args.embedding_learning_rate},
            {"params": head, "lr": args.head_learning_rate},
            {"params": scalars, "lr": args.scalar_learning_rate},
        ],
        betas=(args.beta1, args.beta2),
        eps=args.adam_eps,
        fused=args.fused,
    )
    muon = Muon(
        matrices,
        lr=args.muon_learning_rate,
        momentum=args.momentum,
        nesterov=args.nesterov,
        newton_schulz_steps=args.newton_schulz_steps,
        newton_schulz_eps=args.newton_schulz_eps,
        newton_schulz_dtype=getattr(torch, args.newton_schulz_dtype),
        rank=run.rank,
        world_size=run.world_size,
    )
    return [adam, muon]


def forward_backward(
    model: nn.Module, inputs: Tensor, targets: Tensor, device_batch_size: int
) -> Tensor:
    """Leave in .grad the gradient of the mean loss over all rows of this rank; return that loss.

    Rows go through the model `device_batch_size` at a time.  Gradients add up over backward passes,
    so each micro-batch's mean loss counts one part in as many as there are micro-batches.
    """
    micro_batches = list(
        zip(inputs.split(device_batch_size), targets.split(device_batch_size), strict=True)
    )
    losses = []
    for x, y in micro_batches:
        loss = model(x, y) / len(micro_batches)
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def average_gradients(model: nn.Module, run: Run) -> None:
    """Give every rank the mean gradient over ranks, an all-reduce per tensor.

    All ranks hold the same weights, so they then make the same update.
    """
    if run.world_size > 1:
        # The first block's lamb may have none: its values are mixed with themselves.
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        works = [dist.all_reduce(g, dist.ReduceOp.AVG, async_op=True) for g in grads]
        for work in works:
            work.wait()


def optimizer_step(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], args: Hyperparameters
) -> None:
    """Update, and clear the gradients for the next step.  The record clips nothing."""
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad(set_to_none=True)


# -------------------------------------------------------------------------------------- schedule


def get_lr(step: int, args: Hyperparameters) -> float:
    """Factor on the learning rates at `step`, a trapezoid: up, flat, down to 1/warmdown_iters."""
    if step < args.warmup_iters:
        return (step + 1) / args.warmup_iters
    if step < args.num_iterations - args.warmdown_iters:
        return 1.0
    return (args.num_iterations - step) / args.warmdown_iters


def get_momentum(step: int, args: Hyperparameters) -> float:
    """Muon's momentum at `step`: a line from momentum_start to momentum, and then flat.

    A smaller one forgets sooner, which was found to help early in training (record 9).
    """
    done = min(step / args.momentum_warmup_iters, 1.0) if args.momentum_warmup_iters else 1.0
    return args.momentum_start + done * (args.momentum - args.momentum_start)


def set_schedules(
    optimizers: list[torch.optim.Optimizer], step: int, args: Hyperparameters
) -> None:
    """Set learning rates and momentum for this step; the first call notes the peaks."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("peak_lr", group["lr"])
            group["lr"] = group["peak_lr"] * get_lr(step, args)
            if "momentum" in group:
                group["momentum"] = get_momentum(step, args)


# ------------------------------------------------------------------------------------ evaluation


@torch.no_grad()
def evaluate(model: nn.Module, batches: TokenBatches, args: Hyperparameters, run: Run) -> float:
    """Mean loss over the same `val_batches` batches each time, over all ranks, in nats."""
    losses = []
    for index in range(args.val_batches):
        inputs, targets = batches[index]
        n = args.device_batch_size
        losses += [model(x, y) for x, y in zip(inputs.split(n), targets.split(n), strict=True)]
    return run.mean_over_ranks(torch.stack(losses).mean()).item()


# -------------------------------------------------------------------------------------- training


def gather_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> list[Tensor]:
    """The momentum of every matrix, owned or not, on every rank: (rows, cols) each, in its dtype.

    A collective: all ranks must call it.  Zeros stand for momentum that has not begun.
    """
    matrices = muon.param_groups[0]["params"]
    layout = flat_layout(matrices, world_size)
    flat = matrices[0].new_zeros(sum(p.numel() for p in matrices))
    for p, (owner, start, end) in zip(matrices, layout, strict=True):
        if owner == rank and p in muon.state:
            flat[start:end] = muon.state[p]["momentum_buffer"].flatten()
    if world_size > 1:
        dist.all_reduce(flat)
    return [flat[start:end].view_as(p) for p, (_, start, end) in zip(matrices, layout, strict=True)]


def keep_own_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> None:
    """Drop the state of matrices that other ranks own; the inverse of `gather_momentum`."""
    matrices = muon.param_groups[0]["params"]
    for p, (owner, _, _) in zip(matrices, flat_layout(matrices, world_size), strict=True):
        if owner != rank:
            muon.state.pop(p, None)


def checkpoint(model: nn.Module, optimizers: list[torch.optim.Optimizer], run: Run) -> dict:
    """All that the next step depends on; batches and schedules follow from the step's number.

    Muon's state is whole, as if one rank had held it, so any number of ranks can go on from here.
    (Upstream saved what rank 0 owned: seven eighths of the momentum were lost.)
    """
    adam, muon = optimizers
    momentum = gather_momentum(muon, run.rank, run.world_size)
    state = {index: {"momentum_buffer": M} for index, M in enumerate(momentum)}
    return {
        "model": model.state_dict(),
        "optimizers": [adam.state_dict(), {**muon.state_dict(), "state": state}],
    }


def load_checkpoint(
    state: dict, model: nn.Module, optimizers: list[torch.optim.Optimizer], run: Run
) -> None:
    """The inverse of `checkpoint`, in place."""
    model.load_state_dict(state["model"])
    for optimizer, optimizer_state in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(optimizer_state)
    keep_own_momentum(optimizers[1], run.rank, run.world_size)


def train(args: Hyperparameters, run: Run) -> GPT:
    """The whole run, top to bottom.  Returns the trained model."""
    train_batches = TokenBatches(args.train_files, args.num_iterations, args, run)
    val_batches = TokenBatches(args.val_files, args.val_batches, args, run)

    model = GPT(args).to(run.device, getattr(torch, args.dtype))
    run.initialize(model, init_weights)  # from args.seed, alike on all ranks
    model.wte.to(dtype=getattr(torch, args.activation_dtype))  # its gradient and Adam's moments too
    run.compile(model)  # in place, if the preset says so
    optimizers = build_optimizers(model, args, run)
    run.check_coverage(model, optimizers)  # each parameter in exactly one group
    if run.resumed:
        load_checkpoint(run.resumed, model, optimizers, run)

    for step in range(run.first_step, args.num_iterations + 1):
        last_step = step == args.num_iterations  # only measured: N updates make N + 1 rows
        if last_step or step % args.val_loss_every == 0:
            run.log_validation(step, evaluate(model, val_batches, args, run))
        if run.save_due(step, last_step):
            run.save(step, checkpoint(model, optimizers, run))
        if last_step:
            break

        # Validation and saving are off the clock, and so are the first steps, which compile.
        with run.clock.timed(counts=step >= run.first_step + args.untimed_steps):
            inputs, targets = train_batches[step]
            set_schedules(optimizers, step, args)
            loss = forward_backward(model, inputs, targets, args.device_batch_size)
            average_gradients(model, run)
            optimizer_step(model, optimizers, args)
        run.log_train(step, loss)  # averages over ranks; stops the run if it is not finite
    return model


if __name__ == "__main__":
    main("milestones.milestone04_unet_skips.train_gpt")
