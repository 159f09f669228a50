"""Unit calls of milestone 02."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import nn

from grader.units import Elsewhere, Kind, Property, bounded, draw, moves, normal, parameters_of
from milestones.harness.initialization import initialize

ON_TWO_RANKS = ()  # nothing here knows of ranks; all together run on two


def next_multiple_of_n(function, script: ModuleType) -> Iterator:
    small = [(10, 4), (12, 4), (13, 4), (3, 4), (1, 1), (7, 1)]
    for v, n in [*small, (50257, 128), (50304, 128), (10, 6)]:
        yield f"next_multiple_of_n({v}, {n})", function(v, n)


def rotary(function, script: ModuleType) -> Iterator:
    x = torch.zeros(1, 3, 1, 4, dtype=torch.float64)
    yield "rotary(x, 100.) with x (1, 3, 1, 4), all zeros", function(x, 100.0)
    for feature in range(4):
        x = torch.zeros(1, 3, 1, 4, dtype=torch.float64)
        x[..., feature] = 1.0
        turned = function(x.clone(), 100.0)
        for position in range(3):
            call = f"rotary(x, 100.)[0, {position}, 0] with x (1, 3, 1, 4), every head's features "
            yield f"{call}{x[0, 0, 0].tolist()}", turned[0, position, 0]
    x = normal((2, 12, 3, 8), seed=0)
    turned = function(x.clone(), 50.0)
    gap = (turned.norm(dim=3) - x.norm(dim=3)).abs().max().item()
    yield Property("how far rotary changes the length of a head's features"), round(gap, 6) + 0.0
    precision = "float64" if gap < 1e-12 else "less than float64"
    call = "precision of rotary(x, 50.) with x float64: the length of each head, to its last digit"
    yield Kind(call), precision
    q, k = (function(z.expand(1, 12, 1, 8), 50.0)[0, :, 0] for z in normal((2, 8), seed=1))
    scores = q @ k.T  # of one q and one k at every pair of positions
    gap = (scores[3:, 3:] - scores[:-3, :-3]).abs().max().item()
    call = "how far q . k changes when both positions grow by 3, rotary(q, 50.) and rotary(k, 50.)"
    yield Property(call), round(gap, 6) + 0.0
    settings = [((2, 12, 3, 8), 50.0), ((3, 5, 2, 6), 10_000.0), ((1, 1, 4, 2), 10.0)]
    settings += [((1, 1500, 1, 2), 10_000.0)]  # longer than the record's context, 1,024
    for shape, base in [*settings, ((2, 12, 3, 8), 10_000.0)]:  # a shape seen before, another base
        x = normal(shape, seed=2)
        call, given = f"rotary(x, {base:g}) with x {shape}", x.clone()
        yield call, function(given, base)
        yield f"the argument x after {call}; it must stay as it was", given - x
    x = normal((2, 12, 3, 8), seed=3).requires_grad_()
    y = function(x, 50.0)
    call = "rotary(x, 50) with x (2, 12, 3, 8)"
    yield f"whether a gradient flows through {call}", y.requires_grad
    if y.requires_grad:
        (y * normal((2, 12, 3, 8), seed=4)).sum().backward()
        yield f"gradient of x after {call}", x.grad
    half = function(torch.ones(1, 1024, 1, 64, dtype=torch.bfloat16), 10_000.0)
    yield (
        "positions that rotary(x, 10000.) tells apart with x (1, 1024, 1, 64), bfloat16, all ones",
        len(half[0, :, 0].unique(dim=0)),
    )
    x = torch.empty(1, 3, 1, 4, device="meta")
    call = "whether rotary(x, 100.) works with x on another device"
    yield Elsewhere(call), moves(lambda: function(x, 100.0))


def CausalSelfAttention(function, script: ModuleType) -> Iterator:
    for heads in (2, 4):
        args = replace(script.PRESETS["exact"], num_heads=heads)
        attention = function(args).double()
        function(
            replace(args, norm_eps=1.0, rotary_base=20.0)
        )  # another model's settings, which must not count
        yield (
            f"names and shapes of the parameters of CausalSelfAttention(args), {heads} heads",
            parameters_of(attention),
        )
        yield from by_hand(attention, args.model_dim, heads)
        yield from bounded(attention, attention, draw, args.model_dim, heads)
        x = normal((3, 8, args.model_dim), seed=1).requires_grad_()
        before = x.detach().clone()
        y = attention(x)
        call = f"CausalSelfAttention(args)(x) with x (3, 8, 32), {heads} heads"
        yield call, y.detach()
        y.square().sum().backward()
        yield f"gradient of x after {call}", x.grad
        yield f"the argument x after {call}; it must stay as it was", x.detach() - before
    x = normal((1, 128, args.model_dim), seed=2)  # so long that the scores cost more than q, k, v
    yield "CausalSelfAttention(args)(x) with x (1, 128, 32), 4 heads", attention(x).detach()
    x = normal((1, 1500, args.model_dim), seed=2)  # longer than the record's context, 1,024
    call = "last output of CausalSelfAttention(args)(x) with x (1, 1500, 32), 4 heads"
    yield call, attention(x)[0, -1].detach()
    x, attention = x[:, :3].float().to("meta"), attention.float().to("meta")
    call = "whether CausalSelfAttention(args) works on another device"
    yield Elsewhere(call), moves(lambda: attention(x))
    attention = function(replace(args, norm_eps=1.0, rotary_base=20.0)).double()
    draw(attention)
    call = "CausalSelfAttention(args)(x) with x (3, 8, 32), 4 heads"
    yield f"{call}, norm_eps 1, rotary_base 20", attention(before).detach()


@torch.no_grad()
def by_hand(attention: nn.Module, D: int, heads: int) -> Iterator:
    """Attention with weights so simple that its outputs can be worked out."""
    h = D // heads
    for p in attention.parameters():
        p.zero_()
    attention.c_v.weight.copy_(torch.eye(D))
    attention.c_proj.weight.copy_(torch.eye(D))
    setting = f"{heads} heads; q = k = 0, v = x, c_proj the identity"
    x = torch.arange(1.0, D + 1, dtype=torch.float64).view(1, 1, D)
    call = f"CausalSelfAttention(args)(x), x (1, 1, {D}) = 1 to {D}, {setting}"
    yield call, attention(x.clone())[0, 0]
    x = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64).view(1, 3, 1).repeat(1, 1, D)
    call = f"first number of each output, x (1, 3, {D}) = 1s, 2s, 6s, {setting}"
    yield call, attention(x)[0, :, 0]
    attention.c_q.weight.copy_(torch.eye(D))
    attention.c_k.weight.copy_(torch.eye(D))
    x = torch.zeros(1, 2, D, dtype=torch.float64)
    x[:, 0, 0::h] = 400.0  # feature 0 of every head
    x[:, 1, 1::h] = 4.0  # and feature 1: another pair, at right angles however both are turned
    call = f"number 0 of the output at position 1, {heads} heads: 400 softmax(0, sqrt({h}))[0]"
    setting = "x has 400 at position 0, at right angles 4 at position 1; q = k = v = x"
    yield f"{call}; {setting}", attention(x)[0, 1, 0]


def MLP(function, script: ModuleType) -> Iterator:
    args = script.PRESETS["exact"]
    D = args.model_dim
    mlp = function(args).double()
    yield "names and shapes of the parameters of MLP(args)", parameters_of(mlp)
    with torch.no_grad():
        mlp.c_fc.weight.copy_(torch.eye(4 * D, D))
        mlp.c_proj.weight.copy_(torch.eye(D, 4 * D))
    x = torch.zeros(1, 1, D, dtype=torch.float64)
    x[0, 0, :5] = torch.tensor([-3.0, -0.5, 0.5, 2.0, 3.0])
    x.requires_grad_()
    y = mlp(x)
    call = "MLP(args)(x) with x = (-3, -0.5, 0.5, 2, 3, 0, ...), both weights the identity"
    yield f"the first five numbers of {call}", y[0, 0, :5].detach()
    y.sum().backward()
    yield f"the slopes there: gradient of x after {call}", x.grad[0, 0, :5]
    for width in (32, 8):
        mlp = function(replace(args, model_dim=width)).double()
        draw(mlp)
        x = normal((3, 5, width), seed=1).requires_grad_()
        before = x.detach().clone()
        y = mlp(x)
        call = f"MLP(args)(x) with x (3, 5, {width})"
        yield call, y.detach()
        y.square().sum().backward()
        yield f"gradient of x after {call}", x.grad
        yield f"gradient of c_fc.weight after {call}", mlp.c_fc.weight.grad
        yield f"the argument x after {call}; it must stay as it was", x.detach() - before


def init_weights(function, script: ModuleType) -> Iterator:
    args = replace(script.PRESETS["exact"], num_layers=2, vocab_size=40)  # 48 rows
    model = script.GPT(args).double()
    initialize(model, function, seed=3, portable=True)
    for name, p in model.named_parameters():
        scale = p.size(1) ** -0.5
        call = f"largest entry of {name} {tuple(p.shape)}, in units of 1 / sqrt({p.size(1)})"
        yield call, round(p.abs().max().item() / scale, 3)
    x = normal((1, 4, args.model_dim), seed=0)
    moved = [i for i, block in enumerate(model.h) if not torch.equal(block(x), x)]
    call = "blocks that do not return x itself after init_weights(model)"
    yield Property(call), [f"h.{i}" for i in moved]
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (4, 9)))
    model(tokens[:, :-1], tokens[:, 1:]).backward()
    still = [name for name, p in model.named_parameters() if not p.grad.any()]
    yield Property("weights whose gradient is exactly 0 at the first step"), still
    for name, p in model.named_parameters():
        yield f"{name} after init_weights(model)", p.detach()


def low_precision(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Rotation, attention, MLP and loss as the record runs them: matrix products in `dtype`."""
    args = script.PRESETS["exact"]
    half = dtype if dtype != torch.float64 else None
    weights = torch.float64 if half is None else torch.float32
    x = normal((3, 32, args.model_dim), seed=1).to(device, weights)
    yield (
        "rotary(x, 10000.) with x (3, 32, 4, 8)",
        script.rotary(x.view(3, 32, 4, 8).to(dtype), 10_000.0),
    )
    with torch.autocast(torch.device(device).type, half, enabled=half is not None):
        for name in ("CausalSelfAttention", "MLP"):
            module = getattr(script, name)(args).to(device, weights)
            draw(module)
            given = x.clone().requires_grad_()
            y = module(given)
            yield f"{name}(args)(x) with x (3, 32, 32)", y.detach()
            y.square().sum().backward()
            yield "the gradient of x in the same", given.grad
        model = script.GPT(args).to(device, weights)
        initialize(model, script.init_weights, seed=3, portable=True)
        tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
        loss = script.forward_backward(
            model, tokens[:, :-1].to(device), tokens[:, 1:].to(device), 4
        )
    yield "loss of forward_backward(model, inputs, targets, 4)", loss
    yield "gradient of wte.weight after it", model.wte.weight.grad
