"""Unit calls of milestone 04."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import nn

from grader.cost import Counter
from grader.units import Cost, Invariant, Kind, Property, draw, kind, milestone01_muon, strangers
from grader.units.milestone01_muon import matrices, shape
from milestones.harness.initialization import initialize

ON_TWO_RANKS = ()  # nothing here knows of ranks; all together run on two
SHAPES = [(8, 8), (6, 10), (32, 8), (8, 32)]  # square, wide, tall, wide


class Products(Cost):
    """How many FLOPs of matrix products an iteration of Newton-Schulz takes."""

    says = "The values are right; two products with the long side of X, X X^T and one more, do."


def init_weights(function, script: ModuleType) -> Iterator:
    args = replace(script.PRESETS["exact"], num_layers=4, vocab_size=40)  # 48 rows
    model = script.GPT(args).double()
    initialize(model, function, seed=3, portable=True)
    for name, p in model.named_parameters():
        if p.dim() < 2:
            yield f"{name} after init_weights(model)", p.tolist()
    for name, p in model.named_parameters():
        if name == "wte.weight":
            yield f"standard deviation of {name} {tuple(p.shape)}", round(p.std().item(), 3)
        elif p.dim() == 2:
            largest = p.abs().max().item() * p.size(1) ** 0.5
            call = f"largest entry of {name} {tuple(p.shape)}, in units of 1 / sqrt({p.size(1)})"
            yield call, round(largest, 3)
    x, x0 = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 1, 4, args.model_dim)))
    moved = [i for i, block in enumerate(model.h) if not torch.equal(block(x, x0, None)[0], x)]
    call = "blocks that do not return x itself after init_weights(model), whatever x0 is"
    yield Property(call), [f"h.{i}" for i in moved]
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (4, 9)))
    loss = model(tokens[:, :-1], tokens[:, 1:])
    yield Property("the first loss, with 48 rows in the head: ln 48"), round(loss.item(), 6)
    loss.backward()
    learns = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    yield Property("weights whose gradient is not 0 at the first step: the head alone"), learns
    for name, p in model.named_parameters():
        if p.dim() == 2:
            yield f"{name} after init_weights(model)", p.detach()


def zeropower_via_newtonschulz(function, script: ModuleType) -> Iterator:
    yield from milestone01_muon.zeropower_via_newtonschulz(function, script, SHAPES)
    for U in matrices(seed=2, shapes=[(32, 8), (8, 32)]):
        with Counter() as counter:
            function(U, 5, 1e-7, torch.float64)
        n, m = sorted(U.shape)
        needed = 5 * (4 * n * n * m + 2 * n**3)  # X X^T, A A, and once more with X
        times = counter.flops / needed
        call = f"zeropower_via_newtonschulz(U, 5, 1e-7, float64) with U {shape(*U.shape)}"
        yield (
            Products(f"FLOPs of {call}, in units of {needed:,}"),
            1.0 if times < 1.2 else round(times, 2),
        )


def update_scale(function, script: ModuleType) -> Iterator:
    sizes = [(768, 768), (3072, 768), (768, 3072), (32, 32), (128, 32), (32, 128), (50, 20)]
    for rows, cols in [*sizes, (20, 50), (7, 1), (1, 7)]:
        yield f"update_scale({rows}, {cols})", function(rows, cols)


def split_parameters(function, script: ModuleType) -> Iterator:
    models = [script.GPT(script.PRESETS["exact"]) for _ in range(4)]
    lists, orders = ("embedding", "head", "scalars", "matrices"), []
    for model in models:
        names = {id(p): name for name, p in model.named_parameters()}
        four = function(model)
        if model is models[0]:
            yield "number of lists that split_parameters(model) returns", len(four)
        for which, params in zip(lists, four, strict=True):
            held = list(params)
            if model is models[0]:
                call = f"{which} of split_parameters(model)"
                yield Kind(f"the type of {call}"), kind(params)
                wrong = [p for p in held if id(p) not in names]
                yield Kind(f"what is no parameter of the model in {call}"), strangers(wrong)
                found = sorted(names[id(p)] for p in held if id(p) in names)
                yield f"{call}, sorted by name", found
        orders.append([names.get(id(p)) for p in held])  # of the matrices
    same = all(order == orders[0] for order in orders)
    yield Invariant("whether the matrices of four equal models come in the same order"), same


def get_momentum(function, script: ModuleType) -> Iterator:
    for start, end, warmup in [(0.85, 0.95, 10), (0.5, 0.9, 16), (0.85, 0.95, 0)]:
        args = replace(
            script.PRESETS["exact"],
            momentum_start=start,
            momentum=end,
            momentum_warmup_iters=warmup,
        )
        for step in [*range(19), 39]:
            call = f"get_momentum({step}, args) from {start} to {end} in {warmup} steps"
            yield call, function(step, args)


def low_precision(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Newton-Schulz, three steps of Muon, and the loss, as the record runs them."""
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    for U in matrices(shapes=SHAPES):
        call = f"zeropower_via_newtonschulz(U, 5, 1e-7, {dtype}) with U {shape(*U.shape)}"
        yield call, script.zeropower_via_newtonschulz(U.to(device, weights), 5, 1e-7, dtype)
    params = [nn.Parameter(m.to(device, weights)) for m in matrices(shapes=SHAPES)]
    muon = script.Muon(params, 0.1, 0.95, True, 5, 1e-7, dtype, rank=0, world_size=1)
    for step in range(1, 4):
        for p, gradient in zip(params, matrices(seed=step, shapes=SHAPES), strict=True):
            p.grad = gradient.to(device, weights)
        muon.step()
    for p in params:
        yield f"weight {shape(*p.shape)} after 3 steps of Muon", p.detach()
    args = script.PRESETS["exact"]
    model = script.GPT(args).to(device, weights)
    initialize(model, script.init_weights, seed=3, portable=True)
    draw(model.lm_head)  # zero, it would leave nothing to be seen
    model.wte.to(dtype)
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
    loss = script.forward_backward(model, tokens[:, :-1].to(device), tokens[:, 1:].to(device), 4)
    yield "loss of forward_backward(model, inputs, targets, 4)", loss
    yield "gradient of wte.weight after it", model.wte.weight.grad
    yield "gradient of lm_head.weight after it", model.lm_head.weight.grad


def CastedLinear(function, script):
    yield "x", 1


def CausalSelfAttention(function, script):
    yield "x", 1


def Block(function, script):
    yield "x", 1


def softcap(function, script):
    yield "x", 1


def unet(function, script):
    yield "x", 1
