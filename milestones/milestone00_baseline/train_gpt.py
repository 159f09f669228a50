r"""Milestone 00: GPT-2 124M, trained the way llm.c trains it.

Record 1 of the speedrun, whose finish line is a val_loss of 3.28 on FineWeb: 45 minutes on 8xH100,
10.26 B tokens, val_loss 3.2722.  Model and training are those of the PyTorch twin of Andrej
Karpathy's llm.c (train_gpt2.py, 2024): learned positions, LayerNorm, GELU, a tied head, AdamW,
linear warm-up and a cosine.

    python -m milestones.milestone00_baseline.train_gpt tiny
    torchrun --standalone --nproc_per_node=8 \
        -m milestones.milestone00_baseline.train_gpt record --allow-repeat

Shapes: B sequences, T tokens each, D = model_dim, H heads of width h = D / H, V = vocab_size.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

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
    num_layers: int = 12
    num_heads: int = 12
    model_dim: int = 768
    norm_eps: float = 1e-5  # of LayerNorm
    # optimizer
    learning_rate: float = 6e-4  # at the peak of the schedule
    beta1: float = 0.9
    beta2: float = 0.95
    adam_eps: float = 1e-8
    weight_decay: float = 0.1  # decoupled; matrices and tables only
    grad_clip: float = 1.0  # largest allowed norm of all gradients together
    # schedule
    num_iterations: int = 19560  # record: one pass over all 103 shards of 100 M tokens
    warmup_iters: int = 700
    # evaluation
    val_loss_every: int = 250  # steps
    val_batches: int = 20  # batches of batch_size sequences; record: 10,485,760 tokens
    # arithmetic
    dtype: Literal["float32", "float64"] = "float32"  # of weights, gradients and optimizer state
    autocast: bool = True  # matrix products in bfloat16
    compile: Literal["no", "aot_eager", "inductor"] = "inductor"  # backend of torch.compile
    fused: bool = True  # one kernel for the whole AdamW step
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
        if self.warmup_iters >= self.num_iterations:
            raise UsageError(
                f"{self.warmup_iters} warmup_iters >= {self.num_iterations} num_iterations: "
                "pass --warmup-iters too"
            )


PRESETS = {
    "exact": Hyperparameters(  # the grader's run: float64, 40 steps, the whole schedule
        train_files="data/exact/exact_train.bin",
        val_files="data/exact/exact_val.bin",
        batch_size=12,
        device_batch_size=6,
        sequence_length=32,
        vocab_size=128,
        num_layers=4,
        num_heads=2,
        model_dim=32,
        learning_rate=3e-3,
        adam_eps=1e-6,  # a smaller one lets Adam blow rounding noise up to full steps
        num_iterations=40,
        warmup_iters=8,
        val_loss_every=20,
        val_batches=2,
        dtype="float64",
        autocast=False,
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
        num_heads=4,
        model_dim=64,
        learning_rate=3e-3,  # lowest final loss of six, seeds 1 and 2
        num_iterations=600,
        warmup_iters=30,
        val_loss_every=25,
        val_batches=16,
        autocast=False,
        compile="no",
        fused=False,
    ),
    "record": Hyperparameters(),
}

# What a learner implements: milestones/harness/injection.py puts it in place of ours.
EXERCISES = (
    "batches_in_shard",
    "cut_batch",
    "CausalSelfAttention",
    "get_lr",
    "decay_groups",
    "forward_backward",
)

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


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and at what came before it, through H heads."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.num_heads = args.num_heads
        self.c_attn = nn.Linear(args.model_dim, 3 * args.model_dim)  # q, k, v, in that order
        self.c_proj = nn.Linear(args.model_dim, args.model_dim)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.num_heads, -1).unbind(2)  # each (B, T, H, h)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, T, h)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # scores / sqrt(h)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, D))


class MLP(nn.Module):
    """Four times as wide inside."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.c_fc = nn.Linear(args.model_dim, 4 * args.model_dim)
        self.c_proj = nn.Linear(4 * args.model_dim, args.model_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """Attention, then MLP, each added to the residual stream x (B, T, D)."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.ln_1 = nn.LayerNorm(args.model_dim, eps=args.norm_eps)
        self.attn = CausalSelfAttention(args)
        self.ln_2 = nn.LayerNorm(args.model_dim, eps=args.norm_eps)
        self.mlp = MLP(args)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """GPT-2 (Radford et al., 2019).  Parameter names are llm.c's."""

    def __init__(self, args: Hyperparameters):
        super().__init__()
        self.autocast = args.autocast
        self.wte = nn.Embedding(args.vocab_size, args.model_dim)
        self.wpe = nn.Embedding(args.sequence_length, args.model_dim)
        self.h = nn.ModuleList([Block(args) for _ in range(args.num_layers)])
        self.ln_f = nn.LayerNorm(args.model_dim, eps=args.norm_eps)
        self.lm_head = nn.Linear(args.model_dim, args.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight  # tied: one table reads and writes tokens

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores of the next token, (B, T, V), for token ids (B, T)."""
        positions = torch.arange(inputs.size(1), device=inputs.device)
        x = self.wte(inputs) + self.wpe(positions)  # (B, T, D)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats; inputs and targets are token ids (B, T)."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.autocast):
            logits = self.logits(inputs)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def init_weights(model: GPT) -> None:
    """GPT-2's: N(0, 0.02), and less for the projections that write into the residual stream.

    2L of them add up there; 1/sqrt(2L) on each keeps the sum's variance at that of one.
    """
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(p)
        elif "ln_" in name:
            nn.init.ones_(p)
        elif name.endswith("c_proj.weight"):
            nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * len(model.h)))
        else:
            nn.init.normal_(p, mean=0.0, std=0.02)


# ------------------------------------------------------------------------------------- optimizer


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's two groups: matrices and tables decay, biases and norm gains do not."""
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def build_optimizers(model: GPT, args: Hyperparameters) -> list[torch.optim.Optimizer]:
    """AdamW (Loshchilov and Hutter, 2017) for everything."""
    adamw = torch.optim.AdamW(
        decay_groups(model, args.weight_decay),
        lr=args.learning_rate,
        betas=(args.beta1, args.beta2),
        eps=args.adam_eps,
        fused=args.fused,
    )
    return [adamw]


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
        grads = [p.grad for p in model.parameters()]
        works = [dist.all_reduce(g, dist.ReduceOp.AVG, async_op=True) for g in grads]
        for work in works:
            work.wait()


def optimizer_step(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], args: Hyperparameters
) -> None:
    """Clip, update, and clear the gradients for the next step."""
    nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad(set_to_none=True)


# -------------------------------------------------------------------------------------- schedule


def get_lr(step: int, args: Hyperparameters) -> float:
    """Factor on the learning rate at `step`: linear warm-up to 1, then half a cosine to 0."""
    if step < args.warmup_iters:
        return (step + 1) / args.warmup_iters
    progress = (step - args.warmup_iters) / (args.num_iterations - args.warmup_iters)
    return 0.5 * (1 + math.cos(math.pi * progress))


def set_schedules(
    optimizers: list[torch.optim.Optimizer], step: int, args: Hyperparameters
) -> None:
    """Set every group's learning rate for this step; the first call notes the peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("peak_lr", group["lr"])
            group["lr"] = group["peak_lr"] * get_lr(step, args)


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


def checkpoint(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict:
    """All that the next step depends on; batches and schedules follow from the step's number."""
    return {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}


def load_checkpoint(state: dict, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    """The inverse of `checkpoint`, in place."""
    model.load_state_dict(state["model"])
    for optimizer, optimizer_state in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(optimizer_state)


def train(args: Hyperparameters, run: Run) -> GPT:
    """The whole run, top to bottom.  Returns the trained model."""
    train_batches = TokenBatches(args.train_files, args.num_iterations, args, run)
    val_batches = TokenBatches(args.val_files, args.val_batches, args, run)

    model = GPT(args).to(run.device, getattr(torch, args.dtype))
    run.initialize(model, init_weights)  # from args.seed, alike on all ranks
    run.compile(model)  # in place, if the preset says so
    optimizers = build_optimizers(model, args)
    run.check_coverage(model, optimizers)  # each parameter in exactly one group
    if run.resumed:
        load_checkpoint(run.resumed, model, optimizers)

    for step in range(run.first_step, args.num_iterations + 1):
        last_step = step == args.num_iterations  # only measured: N updates make N + 1 rows
        if last_step or step % args.val_loss_every == 0:
            run.log_validation(step, evaluate(model, val_batches, args, run))
        if run.save_due(step, last_step):
            run.save(step, checkpoint(model, optimizers))
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
    main("milestones.milestone00_baseline.train_gpt")
