"""Unit calls of milestone 01."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

SHAPES = [(8, 8), (6, 10), (24, 8), (32, 8), (8, 32)]  # square, wide, fused QKV, tall, wide


def matrices(seed: int = 0) -> list[Tensor]:
    random = np.random.RandomState(seed)
    return [torch.from_numpy(random.standard_normal(shape)) for shape in SHAPES]


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


def zeropower_via_newtonschulz(function, script: ModuleType) -> Iterator:
    one = torch.ones(1, 1, dtype=torch.float64)
    for steps, U, text in [(0, 2 * one, "[[2.]]"), (1, one, "[[1.]]")]:  # to be checked by hand
        call = f"zeropower_via_newtonschulz({text}, {steps}, 1.0, float64)"
        yield call, function(U.clone(), steps, 1.0, torch.float64)
    diagonal = torch.diag(torch.tensor([3.0, 4.0], dtype=torch.float64))
    for steps in (0, 1):
        call = f"zeropower_via_newtonschulz(diag(3, 4), {steps}, 0.0, float64)"
        yield call, function(diagonal.clone(), steps, 0.0, torch.float64)
    half = function(diagonal.float(), 5, 1e-7, torch.bfloat16)
    yield (
        "the dtype of zeropower_via_newtonschulz(U, 5, 1e-7, bfloat16), U float32",
        str(half.dtype),
    )
    for steps in (1, 5):
        for U in matrices():
            call = f"zeropower_via_newtonschulz(U, {steps}, 1e-7, float64) with U {shape(U)}"
            given = U.clone()
            yield call, function(given, steps, 1e-7, torch.float64)
            yield f"the argument U after {call}: it must stay as it was", given
    yield (
        "zeropower_via_newtonschulz(U, 5, 1e-7, float64) with U all zeros (4, 6)",
        function(torch.zeros(4, 6, dtype=torch.float64), 5, 1e-7, torch.float64),
    )


def split_qkv(function, script: ModuleType) -> Iterator:
    for U in matrices():
        call, given = f"split_qkv(U) with U {shape(U)}", U.clone()
        pieces = function(given)
        kind = "tuple" if isinstance(pieces, tuple | list) else type(pieces).__name__
        yield f"what {call} returns", kind
        yield f"how many pieces {call} returns", len(pieces)
        for i, piece in enumerate(pieces):
            yield f"piece {i} of {call}", piece
        yield f"the argument U after {call}: it must stay as it was", given


def Muon(function, script: ModuleType) -> Iterator:
    for nesterov, momentum in [(True, 0.95), (False, 0.95), (True, 0.8)]:
        params = [nn.Parameter(m) for m in matrices()]
        muon = function(params, 0.1, momentum, nesterov, 5, 1e-7, torch.float64)
        for step in range(1, 4):
            lr = muon.param_groups[0]["lr"] = 0.1 / step  # a schedule changes it from outside
            gradients = matrices(seed=step)
            for p, gradient in zip(params, gradients, strict=True):
                p.grad = gradient.clone()
            muon.step()
            call = f"step {step} of Muon, lr {lr:.2g}, momentum {momentum}, nesterov={nesterov}"
            for p in params:
                yield f"weight {shape(p)} after {call}", p.detach().clone()
            for p, gradient in zip(params, gradients, strict=True):
                same = p.grad is not None and torch.equal(p.grad, gradient)
                yield f"whether .grad {shape(p)} is what it was before {call}", same
    held = [
        any(getattr(v, "shape", None) == p.shape for v in muon.state[p].values()) for p in params
    ]
    yield "whether self.state[W] holds a tensor of W's shape, for a checkpoint to find", all(held)


def split_parameters(function, script: ModuleType) -> Iterator:
    model = script.GPT(script.PRESETS["exact"])
    names = {id(p): name for name, p in model.named_parameters()}
    adamw, muon = function(model)
    for optimizer, params in [("AdamW", adamw), ("Muon", muon)]:
        call = f"the parameters for {optimizer} of split_parameters(model), sorted by name"
        yield call, sorted(names[id(p)] for p in params)


def shape(x: Tensor) -> str:
    rows, cols = x.shape
    kind = "square" if rows == cols else "tall" if rows > cols else "wide"
    return f"({rows}, {cols}), {kind}"
