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
    shard = (np.arange(1000) * 65).astype(np.uint16)  # ids up to 64,935: more than int16 holds
    for index, rank, world_size in [(0, 0, 1), (3, 0, 1), (0, 1, 2), (2, 2, 3)]:
        call = f"cut_batch(shard, {index}, 6, 8, rank={rank}, world_size={world_size})"
        inputs, targets = function(shard, index, 6, 8, rank, world_size)
        yield f"inputs of {call}", inputs
        yield f"targets of {call}", targets


def CausalSelfAttention(function, script: ModuleType) -> Iterator:
    for heads in (2, 4):
        args = replace(script.PRESETS["exact"], num_heads=heads)
        attention = function(args).double()
        draw(attention)
        x = normal((3, 8, args.model_dim), seed=1).requires_grad_()
        y = attention(x)
        yield f"CausalSelfAttention(args)(x) with x (3, 8, 32), {heads} heads", y.detach()
        y.square().sum().backward()
        yield f"the gradient of x in the same, {heads} heads", x.grad


def get_lr(function, script: ModuleType) -> Iterator:
    for warmup in (5, 1):
        args = replace(script.PRESETS["exact"], num_iterations=20, warmup_iters=warmup)
        for step in range(20):
            call = f"get_lr({step}, args) with 20 steps, {warmup} of warm-up"
            yield call, function(step, args)


def decay_groups(function, script: ModuleType) -> Iterator:
    model = script.GPT(script.PRESETS["exact"])
    names = {id(p): name for name, p in model.named_parameters()}
    groups = function(model, 0.25)
    decays = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    yield (
        "how many parameters decay_groups(model, 0.25) lists",
        sum(len(g["params"]) for g in groups),
    )
    for name in names.values():
        yield f"weight decay of {name} in decay_groups(model, 0.25)", decays.get(name, "none")


def forward_backward(function, script: ModuleType) -> Iterator:
    args = script.PRESETS["exact"]
    model = script.GPT(args).double()
    initialize(model, script.init_weights, seed=3, portable=True)
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
    for rows in (12, 4, 1):
        call = f"forward_backward(model, inputs, targets, {rows}) with 12 rows"
        yield f"loss of {call}", function(model, tokens[:, :-1], tokens[:, 1:], rows)
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
