"""Unit calls of milestone 00."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from grader.units import (
    Elsewhere,
    Invariant,
    Kind,
    Property,
    draw,
    kind,
    leaks,
    moves,
    normal,
    strangers,
)
from milestones.harness.initialization import initialize

ON_TWO_RANKS = ("cut_batch",)


def batches_in_shard(function, script: ModuleType) -> Iterator:
    for tokens in (1000, 960, 961, 959, 48, 49, 1):
        yield f"batches_in_shard({tokens}, 6, 8)", function(tokens, 6, 8)
    for rows, length in [(4, 16), (8, 6), (1, 7)]:
        yield f"batches_in_shard(1000, {rows}, {length})", function(1000, rows, length)


def cut_batch(function, script: ModuleType) -> Iterator:
    shard = np.arange(40_000, 41_000, dtype=np.uint16)  # ids beyond int16, any two differ
    for size, rank, world_size in [((6, 8), 0, 1), ((6, 8), 1, 2), ((6, 8), 2, 3), ((4, 5), 1, 2)]:
        for index in (0, 3):
            call = f"cut_batch(shard, {index}, {size[0]}, {size[1]}, {rank}, {world_size})"
            call += ", shard[i] = 40000 + i"
            inputs, targets = function(shard, index, *size, rank, world_size)
            yield f"inputs of {call}", inputs
            yield f"targets of {call}", targets
    read = np.zeros(1000, dtype=int)
    for index in range(20):
        for rank in range(3):
            inputs, _ = function(np.arange(1000, dtype=np.uint16), index, 6, 8, rank, 3)
            np.add.at(read, inputs.numpy().ravel(), 1)
    yield (
        Invariant("how often each of tokens 0 to 959 is an input, over 20 batches and 3 ranks"),
        f"{read[:960].min()} to {read[:960].max()} times",
    )


def CausalSelfAttention(function, script: ModuleType) -> Iterator:
    for heads in (2, 4):
        args = replace(script.PRESETS["exact"], num_heads=heads)
        attention = function(args).double()
        yield (
            f"names and shapes of the parameters of CausalSelfAttention(args), {heads} heads",
            sorted(f"{name} {tuple(p.shape)}" for name, p in attention.named_parameters()),
        )
        draw(attention)
        call = f"outputs before 5 that change when only inputs 5 to 7 do, {heads} heads"
        yield Property(call), leaks(lambda x, f=attention: f(x).nan_to_num(), args.model_dim)
        yield from by_hand(attention, args.model_dim, heads)
        draw(attention)
        x = normal((3, 8, args.model_dim), seed=1).requires_grad_()
        before = x.detach().clone()
        y = attention(x)
        call = f"CausalSelfAttention(args)(x) with x (3, 8, 32), {heads} heads"
        yield call, y.detach()
        y.square().sum().backward()
        yield f"gradient of x after {call}", x.grad
        yield f"the argument x after {call}; it must stay as it was", x.detach() - before
        x = normal((1, 1030, args.model_dim), seed=2)
        with torch.no_grad():
            yield f"the last output for x (1, 1030, 32), {heads} heads", attention(x)[0, -1]
    x, attention = x[:, :3].to("meta"), attention.to("meta")
    call = "whether CausalSelfAttention(args) works on another device"
    yield Elsewhere(call), moves(lambda: attention(x))


@torch.no_grad()
def by_hand(attention: nn.Module, D: int, heads: int) -> Iterator:
    """Attention with weights so simple that its outputs can be worked out."""
    h = D // heads
    for p in attention.parameters():
        p.zero_()
    attention.c_attn.weight[2 * D :] = torch.eye(D)
    attention.c_proj.weight.copy_(torch.eye(D))
    setting = f"{heads} heads; q = k = 0, v = x, c_proj the identity"
    x = torch.arange(1.0, D + 1, dtype=torch.float64).view(1, 1, D)
    call = f"CausalSelfAttention(args)(x), x (1, 1, {D}) = 1 to {D}, {setting}"
    yield call, attention(x.clone())[0, 0]
    x = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64).view(1, 3, 1).repeat(1, 1, D)
    call = f"first number of each output, x (1, 3, {D}) = 1s, 2s, 6s, {setting}"
    yield call, attention(x)[0, :, 0]
    attention.c_attn.bias[:D:h] = 1.0
    attention.c_attn.weight[D : 2 * D] = torch.eye(D)
    x = torch.zeros(1, 2, D, dtype=torch.float64)
    x[:, 1, ::h] = 4.0
    call = f"output at position 1, where q . k is 0 and 4, v is 0 and 4, heads are {h} wide"
    yield call, attention(x)[0, 1, 0]


def get_lr(function, script: ModuleType) -> Iterator:
    for warmup in (5, 1, 0):
        args = replace(script.PRESETS["exact"], num_iterations=20, warmup_iters=warmup)
        for step in range(20):
            call = f"get_lr({step}, args) with 20 steps, {warmup} of warm-up"
            yield call, function(step, args)


class Odd(nn.Module):
    """Parameters of 0, 1, 2 and 3 dimensions."""

    def __init__(self):
        super().__init__()
        for dims in range(4):
            self.register_parameter(f"p{dims}", nn.Parameter(torch.zeros((2,) * dims)))


def decay_groups(function, script: ModuleType) -> Iterator:
    gpt = script.GPT(script.PRESETS["exact"])
    for model, of in [(gpt, "model"), (Odd(), "a model with p0, ..., p3 of 0, ..., 3 dimensions")]:
        names = {id(p): name for name, p in model.named_parameters()}
        groups = function(model, 0.25)
        yield Kind(f"the type of decay_groups({of}, 0.25)"), kind(groups)
        others = [type(g).__name__ for g in groups if not isinstance(g, dict)]
        yield Kind(f"groups that are no dicts, of {of}"), others
        groups = [g for g in groups if isinstance(g, dict)]
        lacks = [
            f"group {i} has no {key!r}, but {', '.join(map(repr, g)) or 'nothing'}"
            for i, g in enumerate(groups)
            for key in ("params", "weight_decay")
            if key not in g
        ]
        yield "keys that groups lack", lacks
        yield (
            "params that are no lists",
            [kind(g["params"]) for g in groups if kind(g.get("params", [])) != "a list"],
        )
        listed = [(p, g.get("weight_decay")) for g in groups for p in g.get("params", [])]
        foreign = strangers([p for p, _ in listed if id(p) not in names])
        yield Kind(f"what is no parameter of the model in params, of {of}"), foreign
        held = [names[id(p)] for p, _ in listed if id(p) in names]
        yield f"parameters in no group, of {of}", sorted(set(names.values()) - set(held))
        twice = sorted({name for name in held if held.count(name) > 1})
        call = f"parameters listed twice (a tied table is one with two names), of {of}"
        yield call, twice
        decays = {names.get(id(p)): decay for p, decay in listed}
        for name in names.values():
            yield f"weight decay of {name} in decay_groups({of}, 0.25)", decays.get(name)
        again = deepcopy(model)
        theirs = {id(p): name for name, p in again.named_parameters()}
        order = [theirs.get(id(p)) for g in function(again, 0.25) for p in g["params"]]
        call = f"whether a copy of {of} gets another order: then a checkpoint would not fit"
        yield Invariant(call), order != held


class Watched(nn.Module):
    """A model that notes which rows each call brings, and which calls found a gradient."""

    def __init__(self, model: nn.Module, rows: Tensor):
        super().__init__()
        self.model, self.rows = model, rows
        self.shapes, self.seen, self.found = [], [], []

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.shapes.append(str(tuple(inputs.shape)))
        self.seen += [self.number(row) for row in inputs]
        self.found.append(any(p.grad is not None for p in self.model.parameters()))
        return self.model(inputs, targets)

    def number(self, row: Tensor) -> int | None:
        same = [i for i, other in enumerate(self.rows) if torch.equal(row, other)]
        return same[0] if same else None

    def amiss(self) -> list[str]:
        """Rows that were not read exactly once, in words."""
        counts = [(i, self.seen.count(i)) for i in range(len(self.rows))]
        words = [f"row {i} {n} times" if n else f"row {i} never" for i, n in counts if n != 1]
        cut = self.seen.count(None)
        return words + ([f"{cut} rows that are not whole rows of inputs"] if cut else [])


def forward_backward(function, script: ModuleType) -> Iterator:
    args = script.PRESETS["exact"]
    model = script.GPT(args).double()
    initialize(model, script.init_weights, seed=3, portable=True)
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
    for size in (12, 4, 1):
        watched = Watched(model, tokens[:, :-1])
        call = f"forward_backward(model, inputs, targets, {size}) with 12 rows"
        loss = function(watched, tokens[:, :-1], tokens[:, 1:], size)
        yield (
            Property(f"rows that went through the model never or twice in {call}"),
            watched.amiss(),
        )
        yield Invariant(f"shapes of the inputs of each call of the model in {call}"), watched.shapes
        found = sum(watched.found)
        yield Invariant(f"how often backward() had run before the next rows went in, {call}"), found
        yield f"loss of {call}", loss
        graph = getattr(loss, "requires_grad", False)
        yield Invariant(f"whether the returned loss still holds its graph, {call}"), graph
        for name in ("wte.weight", "h.0.attn.c_attn.bias"):
            yield f"gradient of {name} after {call}", dict(model.named_parameters())[name].grad
        model.zero_grad()


def low_precision(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Attention and a training step as the record runs them: matrix products in `dtype`."""
    args = script.PRESETS["exact"]
    half = dtype if dtype != torch.float64 else None
    weights = torch.float64 if half is None else torch.float32
    with torch.autocast(torch.device(device).type, half, enabled=half is not None):
        attention = script.CausalSelfAttention(args).to(device, weights)
        draw(attention)
        x = normal((3, 32, args.model_dim), seed=1).to(device, weights).requires_grad_()
        y = attention(x)
        yield "CausalSelfAttention(args)(x) with x (3, 32, 32)", y.detach()
        y.square().sum().backward()
        yield "the gradient of x in the same", x.grad
        model = script.GPT(args).to(device, weights)
        initialize(model, script.init_weights, seed=3, portable=True)
        tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
        inputs, targets = tokens[:, :-1].to(device), tokens[:, 1:].to(device)
        loss = script.forward_backward(model, inputs, targets, 4)
    yield "loss of forward_backward(model, inputs, targets, 4)", loss
    yield "gradient of wte.weight after it", model.wte.weight.grad
