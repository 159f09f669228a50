"""Unit calls of milestone 00."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from milestones.harness.initialization import initialize


def batches_in_shard(function, script: ModuleType) -> Iterator:
    for tokens in (1000, 960, 961, 959, 48, 49, 1):
        yield f"batches_in_shard({tokens}, 6, 8)", function(tokens, 6, 8)


def cut_batch(function, script: ModuleType) -> Iterator:
    shard = (np.arange(1000) * 331 % 2**16).astype(np.uint16)  # ids beyond int16, any two differ
    for index, rank, world_size in [(0, 0, 1), (3, 0, 1), (0, 1, 2), (2, 2, 3)]:
        call = f"cut_batch(shard, {index}, 6, 8, rank={rank}, world_size={world_size})"
        call += ", shard[i] = 331 i mod 65536"
        inputs, targets = function(shard, index, 6, 8, rank, world_size)
        yield f"inputs of {call}", inputs
        yield f"targets of {call}", targets


def CausalSelfAttention(function, script: ModuleType) -> Iterator:
    for heads in (2, 4):
        args = replace(script.PRESETS["exact"], num_heads=heads)
        attention = function(args).double()
        yield (
            "names and shapes of the parameters of CausalSelfAttention(args)",
            sorted(f"{name} {tuple(p.shape)}" for name, p in attention.named_parameters()),
        )
        draw(attention)
        early, late = normal((2, 1, 8, args.model_dim), seed=0)
        both = [attention(torch.cat([early[:, :5], end[:, 5:]], dim=1)) for end in (early, late)]
        yield (
            "whether outputs 0 to 4 change with inputs 5 to 7: they must not see the future",
            not torch.equal(both[0][:, :5], both[1][:, :5]),
        )
        x = normal((3, 8, args.model_dim), seed=1).requires_grad_()
        y = attention(x)
        yield f"CausalSelfAttention(args)(x) with x (3, 8, 32), {heads} heads", y.detach()
        y.square().sum().backward()
        yield f"the gradient of x in the same, {heads} heads", x.grad


def get_lr(function, script: ModuleType) -> Iterator:
    for warmup in (5, 1, 0):
        args = replace(script.PRESETS["exact"], num_iterations=20, warmup_iters=warmup)
        for step in range(20):
            call = f"get_lr({step}, args) with 20 steps, {warmup} of warm-up"
            yield call, function(step, args)


def decay_groups(function, script: ModuleType) -> Iterator:
    model = script.GPT(script.PRESETS["exact"])
    names = {id(p): name for name, p in model.named_parameters()}
    groups = list(function(model, 0.25))
    lacks = [(i, k) for i, g in enumerate(groups) for k in ("params", "weight_decay") if k not in g]
    yield "what groups lack", [f"group {i} has no {key!r}" for i, key in lacks]
    listed = [(p, g.get("weight_decay")) for g in groups for p in g.get("params", [])]
    strangers = [type(p).__name__ for p, _ in listed if id(p) not in names]
    yield "what stands in params and is no parameter of the model", strangers
    held = [names[id(p)] for p, _ in listed if id(p) in names]
    yield "parameters in no group", sorted(set(names.values()) - set(held))
    yield "parameters listed twice", sorted({name for name in held if held.count(name) > 1})
    decays = {names.get(id(p)): decay for p, decay in listed}
    for name in names.values():
        yield f"weight decay of {name} in decay_groups(model, 0.25)", decays.get(name)


class Watched(nn.Module):
    """A model that notes how many rows each call brings, and which calls found a gradient."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.rows, self.found = model, [], []

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.rows.append(len(inputs))
        self.found.append(any(p.grad is not None for p in self.model.parameters()))
        return self.model(inputs, targets)


def forward_backward(function, script: ModuleType) -> Iterator:
    args = script.PRESETS["exact"]
    model = script.GPT(args).double()
    initialize(model, script.init_weights, seed=3, portable=True)
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
    for size in (12, 4, 1):
        watched = Watched(model)
        call = f"forward_backward(model, inputs, targets, {size}) with 12 rows"
        loss = function(watched, tokens[:, :-1], tokens[:, 1:], size)
        yield f"rows in each call of the model in {call}", [str(rows) for rows in watched.rows]
        yield f"calls of the model that found a gradient in {call}", sum(watched.found)
        yield f"loss of {call}", loss
        yield f"whether that loss still holds its graph after {call}", loss.requires_grad
        for name in ("wte.weight", "h.0.attn.c_attn.bias"):
            yield f"gradient of {name} after {call}", dict(model.named_parameters())[name].grad
        model.zero_grad()


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape))


def draw(module: nn.Module) -> None:
    """Fill the parameters with the same numbers for every implementation, by name."""
    for i, (_, p) in enumerate(sorted(module.named_parameters())):
        with torch.no_grad():
            p.copy_(normal(tuple(p.shape), seed=10 + i) * 0.3)
