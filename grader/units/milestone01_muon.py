"""Unit calls of milestone 01."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from grader.cost import matrix_products
from grader.units import Cost, Elsewhere, Kind, Property, kind, moves, normal, strangers

ON_TWO_RANKS = ()  # nothing here knows of ranks; all together run on two
SHAPES = [(8, 8), (6, 10), (24, 8), (32, 8), (8, 32)]  # square, wide, fused QKV, tall, wide


def matrices(seed: int = 0, shapes: list = SHAPES) -> list[Tensor]:
    random = np.random.RandomState(seed)
    return [torch.from_numpy(random.standard_normal(shape)) for shape in shapes]


def get_lr(function, script: ModuleType) -> Iterator:
    for warmup, warmdown in [(4, 6), (0, 6), (4, 0)]:
        args = replace(
            script.PRESETS["exact"], num_iterations=20, warmup_iters=warmup, warmdown_iters=warmdown
        )
        for step in range(20):
            call = (
                f"get_lr({step}, args) with 20 steps, {warmup} of warm-up, {warmdown} of warm-down"
            )
            yield call, function(step, args)


def zeropower_via_newtonschulz(function, script: ModuleType, shapes: list = SHAPES) -> Iterator:
    one = torch.ones(1, 1, dtype=torch.float64)
    for steps, U, text in [(0, 2 * one, "[[2.]]"), (1, one, "[[1.]]")]:  # to be checked by hand
        call = f"zeropower_via_newtonschulz({text}, steps={steps}, eps=1.0, float64)"
        yield call, function(U.clone(), steps, 1.0, torch.float64)
    diagonal = torch.diag(torch.tensor([3.0, 4.0], dtype=torch.float64))
    for steps in (0, 1):
        call = f"zeropower_via_newtonschulz(diag(3, 4), steps={steps}, eps=0.0, float64)"
        yield call, function(diagonal.clone(), steps, 0.0, torch.float64)
    call = "zeropower_via_newtonschulz(U, 5, 1e-7, bfloat16), U float32"
    with matrix_products() as dtypes:
        half = function(diagonal.float(), 5, 1e-7, torch.bfloat16)
    yield Kind(f"the dtype of {call}"), str(half.dtype)
    yield Cost(f"dtype of the matrix products in {call}"), ", ".join(sorted(dtypes))
    for steps in (1, 5):
        for U in matrices(shapes=shapes):
            call = f"zeropower_via_newtonschulz(U, {steps}, 1e-7, float64) with U {shape(*U.shape)}"
            given = U.clone()
            yield call, function(given, steps, 1e-7, torch.float64)
            yield f"the argument U after {call}; it must stay as it was", given
    for U in matrices(1, shapes):
        Y = function(U.clone(), 5, 1e-7, torch.float64)
        finite = Y.isfinite().all()
        values = torch.linalg.svdvals(Y.double()).tolist() if finite else [float("nan")]
        outside = [f"{s:.3g}" for s in values if not 0.68 < s < 1.21]
        call = f"singular values after 5 steps that are not in 0.68 to 1.21, U {shape(*U.shape)}"
        yield Property(call), outside
    yield (
        "zeropower_via_newtonschulz(U, 5, 1e-7, float64) with U all zeros (4, 6)",
        function(torch.zeros(4, 6, dtype=torch.float64), 5, 1e-7, torch.float64),
    )
    U = torch.empty(4, 6, device="meta")
    call = "whether zeropower_via_newtonschulz(U, 5, 1e-7, float32) works with U on another device"
    yield Elsewhere(call), moves(lambda: function(U, 5, 1e-7, torch.float32))


def split_qkv(function, script: ModuleType) -> Iterator:
    for rows, cols in [*SHAPES, (8, 24), (25, 8)]:
        U = normal((rows, cols), seed=0)
        call, given = f"split_qkv(U) with U {shape(*U.shape)}", U.clone()
        pieces = function(given)
        returned = "a tuple" if isinstance(pieces, tuple | list) else f"a {type(pieces).__name__}"
        yield Kind(f"the type of {call}"), returned
        yield f"number of pieces of {call}", len(pieces)
        for i, piece in enumerate(pieces):
            yield f"piece {i} of {call}", piece
        yield f"the argument U after {call}; it must stay as it was", given


def by_hand(function) -> Iterator:
    """Muon without an iteration, and lr and eps so large that it subtracts scale * U."""
    setting = "; newton_schulz_steps=0 and newton_schulz_eps=1e9 make O = U / 1e9, and lr is 1e9"

    def steps(
        rows: int, cols: int, momentum: float, nesterov: bool, count: int, gradient: float = 1.0
    ) -> list[float]:
        W = nn.Parameter(torch.zeros(rows, cols, dtype=torch.float64))
        muon, means = function([W], 1e9, momentum, nesterov, 0, 1e9, torch.float64), [0.0]
        W.grad = torch.empty_like(W)
        for _ in range(count):
            W.grad.fill_(gradient)  # in the same tensor each time, as after zero_grad(False)
            muon.step()
            means.append(W.mean().item())
        return [b - a for a, b in pairwise(means)]

    for rows, cols in [(1, 1), *SHAPES]:
        call = f"change of W {shape(rows, cols)} in a step with gradients of 1, which is -scale"
        yield f"{call}{setting}", round(steps(rows, cols, 0.0, False, 1)[0], 8) + 0.0  # not -0.0
    for nesterov, words in [(True, "U 1.95, then 2.8525"), (False, "U the same")]:
        first, second = steps(1, 1, 0.95, nesterov, 2)
        call = f"step 2 over step 1, nesterov={nesterov}: M is 1, then 1.95, {words}"
        call += f"; W (1, 1), gradients of 1, momentum 0.95, {setting[2:]}"
        yield call, round(second / first, 6) if first else 0.0
    way, further = (steps(1, 1, 0.95, True, 1, gradient)[0] for gradient in (1.0, 1 + 2**-30))
    share = (further / way - 1) * 2**30 if way else 0.0
    call = "how much further W (1, 1) goes for a gradient of 1 + 2^-30 than for 1, over 2^-30"
    yield f"{call}: in float32 not at all{setting}", round(share, 3) + 0.0
    W = nn.Parameter(torch.zeros(8, 8))
    W.grad = torch.ones(8, 8)
    function([W], 1000.0, 0.0, False, 0, 0.0, torch.bfloat16).step()
    call = "change of W (8, 8), float32, with newton_schulz_dtype=bfloat16"
    yield f"{call}; O = 0.125 everywhere, lr 1000", W.detach().double().mean()


def Muon(function, script: ModuleType) -> Iterator:
    yield from by_hand(function)
    for nesterov, momentum in [(True, 0.95), (False, 0.95), (True, 0.8)]:
        params = [nn.Parameter(m) for m in matrices()]
        muon = function(params, 0.1, momentum, nesterov, 5, 1e-7, torch.float64)
        for p in params:
            p.grad = torch.empty_like(p)
        for step in range(1, 4):
            lr = muon.param_groups[0]["lr"] = 0.1 / step  # a schedule changes it from outside
            take_step(muon, params, seed=step)
            call = f"step {step} of Muon, lr {lr:.2g}, momentum {momentum}, nesterov={nesterov}"
            for p in params:
                yield f"weight {shape(*p.shape)} after {call}", p.detach().clone()
    held = [holds(muon.state[p], p) for p in params]
    yield "whether self.state[W] holds a tensor of W's shape, for a checkpoint to find", all(held)
    resumed = [nn.Parameter(p.detach().clone()) for p in params]
    again = function(resumed, 0.1, momentum, nesterov, 5, 1e-7, torch.float64)
    again.load_state_dict(deepcopy(muon.state_dict()))
    for p in resumed:
        p.grad = torch.empty_like(p)
    take_step(muon, params, seed=4)
    take_step(again, resumed, seed=4)
    for p, q in zip(params, resumed, strict=True):
        yield (
            f"weight {shape(*p.shape)} after save, load and a step: how far off",
            (p - q).abs().max(),
        )
    W = nn.Parameter(torch.empty(4, 6, device="meta"))
    W.grad = torch.empty_like(W)
    muon = function([W], 0.1, 0.95, True, 5, 1e-7, torch.float32)
    yield Elsewhere("whether a step of Muon works with W on another device"), moves(muon.step)


def holds(state: dict | Tensor, W: Tensor) -> bool:
    """Whether there is a tensor of W's shape in it."""
    values = [state] if isinstance(state, Tensor) else state.values()
    return any(getattr(value, "shape", None) == W.shape for value in values)


def take_step(muon: torch.optim.Optimizer, params: list[Tensor], seed: int) -> None:
    for p, gradient in zip(params, matrices(seed=seed), strict=True):
        p.grad.copy_(gradient)
    muon.step()


def split_parameters(function, script: ModuleType) -> Iterator:
    model = script.GPT(script.PRESETS["exact"])
    names = {id(p): name for name, p in model.named_parameters()}
    both = function(model)
    yield "number of lists that split_parameters(model) returns", len(both)
    for optimizer, params in zip(("AdamW", "Muon"), both, strict=True):
        yield Kind(f"the type of the list for {optimizer}, split_parameters(model)"), kind(params)
        listed = list(params)
        call = f"what is no parameter of the model in the list for {optimizer}"
        yield Kind(call), strangers([p for p in listed if id(p) not in names])
        held = sorted(names[id(p)] for p in listed if id(p) in names)
        yield f"the list for {optimizer} of split_parameters(model), sorted by name", held


def low_precision(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Newton-Schulz and three steps of Muon as the record runs them: iterations in `dtype`."""
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    for U in matrices():
        call = f"zeropower_via_newtonschulz(U, 5, 1e-7, {dtype}) with U {shape(*U.shape)}"
        yield call, script.zeropower_via_newtonschulz(U.to(device, weights), 5, 1e-7, dtype)
    params = [nn.Parameter(m.to(device, weights)) for m in matrices()]
    muon = script.Muon(params, 0.1, 0.95, True, 5, 1e-7, dtype)
    for step in range(1, 4):
        for p, gradient in zip(params, matrices(seed=step), strict=True):
            p.grad = gradient.to(device, weights)
        muon.step()
    for p in params:
        yield f"weight {shape(*p.shape)} after 3 steps of Muon", p.detach()


def shape(rows: int, cols: int) -> str:
    if rows == 3 * cols:
        return f"({rows}, {cols}: q, k, v)"
    return f"({rows}, {cols}: {'square' if rows == cols else 'tall' if rows > cols else 'wide'})"
