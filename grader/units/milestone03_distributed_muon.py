"""Unit calls of milestone 03."""

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn

from grader.cost import ALLOWED, Counter
from grader.ranks import COLLECTIVES, Traffic, on_ranks
from grader.units import Cost, Elsewhere, Invariant, Kind, moves, normal

ON_TWO_RANKS = ("flat_layout", "Muon")
SHAPES = [(8, 8), (6, 10), (24, 8), (32, 8), (8, 32)]  # square, wide, tall; five do not divide
TWO = SHAPES[3:]  # on three ranks: one owns nothing


class Sent(Cost):
    """How much travels between ranks."""

    says = "The values are right, but more travels between the GPUs than need be."


def matrices(shapes: list[tuple[int, int]], seed: int = 0) -> list[nn.Parameter]:
    return [nn.Parameter(normal(shape, seed=100 * seed + i)) for i, shape in enumerate(shapes)]


def home(function: Callable) -> Path:
    """The file that a function or class was written in."""
    return Path(sys.modules[function.__module__].__file__)


def flat_layout(function, script: ModuleType) -> Iterator:
    for shapes, world_size in [
        ([(2, 3)] * 3, 2),
        ([(2, 3), (4, 1), (1, 5), (2, 2)], 3),
        (SHAPES, 2),
        (SHAPES * 2, 4),
        (SHAPES, 1),
        (TWO, 3),
    ]:
        layout = function(matrices(shapes), world_size)
        call = f"flat_layout(matrices, {world_size}) with matrices {shapes}"
        yield Kind(f"the type of {call}"), type(layout).__name__
        yield call, [tuple(place) for place in layout]
        kinds = sorted({type(number).__name__ for place in layout for number in place})
        yield Kind(f"the types in {call}"), kinds


# ------------------------------------------------------------------------------------------- Muon


def muon_on(function, params: list[Tensor], rank: int = 0, world_size: int = 1, **changes):
    """A Muon with the course's settings but for `changes`."""
    settings = {
        "lr": 0.1,
        "momentum": 0.95,
        "nesterov": True,
        "newton_schulz_steps": 5,
        "newton_schulz_eps": 1e-7,
        "newton_schulz_dtype": torch.float64,
    }
    return function(params, **settings | changes, rank=rank, world_size=world_size)


def take_step(muon: torch.optim.Optimizer, seed: int) -> None:
    """A step with gradients that are alike on all ranks, in the same tensors each time."""
    (group,) = muon.param_groups
    for i, p in enumerate(group["params"]):
        if p.grad is None:
            p.grad = torch.empty_like(p)
        p.grad.copy_(normal(tuple(p.shape), seed=100 * seed + i))
    muon.step()


def holders(muon: torch.optim.Optimizer) -> list[str]:
    """The matrices for which this rank keeps a tensor as large as they are."""
    params = muon.param_groups[0]["params"]
    states = [muon.state.get(p) or {} for p in params]
    tensors = [[x for x in state.values() if isinstance(x, Tensor)] for state in states]
    found = [
        any(x.numel() >= p.numel() for x in held) for p, held in zip(params, tensors, strict=True)
    ]
    return [f"matrix {i} of {len(params)}" for i, holds in enumerate(found) if holds]


def has_buffers(muon: torch.optim.Optimizer, numbers: list[int]) -> bool:
    """Whether state[W]["momentum_buffer"] is a tensor of W's shape, for the matrices `numbers`."""
    params = [muon.param_groups[0]["params"][i] for i in numbers]
    found = [(muon.state.get(p) or {}).get("momentum_buffer") for p in params]
    return all(getattr(M, "shape", None) == p.shape for M, p in zip(found, params, strict=True))


def by_hand(function) -> Iterator:
    """Muon without an iteration, and lr and eps so large that it subtracts scale * U."""
    setting = "; newton_schulz_steps=0 and newton_schulz_eps=1e9 make O = U / 1e9, and lr is 1e9"
    plain = {"lr": 1e9, "newton_schulz_steps": 0, "newton_schulz_eps": 1e9}

    def steps(
        shape: tuple[int, int], momentum: float, nesterov: bool, count: int, gradient: float = 1.0
    ) -> list[float]:
        W = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        muon = muon_on(function, [W], momentum=momentum, nesterov=nesterov, **plain)
        W.grad, means = torch.empty_like(W), [0.0]
        for _ in range(count):
            W.grad.fill_(gradient)
            muon.step()
            means.append(W.mean().item())
        return [b - a for a, b in pairwise(means)]

    for shape in [(1, 1), *SHAPES]:
        call = f"change of W {shape} in a step with gradients of 1 on one rank, which is -scale"
        yield f"{call}{setting}", round(steps(shape, 0.0, False, 1)[0], 8) + 0.0  # no minus zero
    for nesterov, words in [(True, "U 1.95, then 2.8525"), (False, "U the same")]:
        first, second = steps((1, 1), 0.95, nesterov, 2)
        call = f"step 2 over step 1, nesterov={nesterov}, one rank: M is 1, then 1.95, {words}"
        call += f"; W (1, 1), gradients of 1, momentum 0.95, {setting[2:]}"
        yield call, round(second / first, 6) if first else 0.0
    way, further = (steps((1, 1), 0.95, True, 1, gradient)[0] for gradient in (1.0, 1 + 2**-30))
    share = (further / way - 1) * 2**30 if way else 0.0
    call = "how much further W (1, 1) goes for a gradient of 1 + 2^-30 than for 1, over 2^-30"
    yield f"{call}: in float32 not at all{setting}", round(share, 3) + 0.0


def on_one_rank(function) -> Iterator:
    for changes in [{}, {"nesterov": False}, {"momentum": 0.8, "newton_schulz_eps": 0.5}]:
        muon = muon_on(function, matrices(SHAPES), **changes)
        words = "".join(f", {name}={value}" for name, value in changes.items())
        for step in range(1, 4):
            lr = muon.param_groups[0]["lr"] = 0.1 / step  # a schedule changes it from outside
            take_step(muon, seed=step)
            for p in muon.param_groups[0]["params"]:
                call = f"weight {tuple(p.shape)} after step {step} on one rank, lr {lr:.2g}{words}"
                yield call, p.detach().clone()
    found = has_buffers(muon, [0, 1, 2, 3, 4])
    call = (
        'whether self.state[W]["momentum_buffer"] is a tensor of the shape of W, for a checkpoint'
    )
    yield f"{call} to find", found


def sharing(function, script: ModuleType, shapes: list) -> Callable:
    """What each of several ranks does: three steps, then all that is to be seen there."""

    def work(rank: int, world_size: int, traffic: Traffic) -> dict:
        params = matrices(shapes)
        muon = muon_on(function, params, rank, world_size)
        weights = []
        with Counter() as counter:
            for step in range(1, 4):
                muon.param_groups[0]["lr"] = 0.1 / step
                take_step(muon, seed=step)
                weights.append([p.detach().clone() for p in params])
        own = range(rank, len(params), world_size)
        found = {"weights": weights, "holds": holders(muon), "found": has_buffers(muon, own)}
        found |= {"bytes": traffic.bytes, "flops": counter.flops}
        found["own flops"] = 3 * sum(map(newton_schulz_flops, shapes[rank::world_size]))
        if all(traffic.exchange(found["found"], "after its steps")):  # all ranks gather, or none
            found["resumed"] = resumed(function, script, muon, rank, world_size)
        return found

    return work


def newton_schulz_flops(shape: tuple[int, int]) -> int:
    """Of five iterations: three products each, on the shorter side."""
    return 5 * 3 * 2 * min(shape) ** 2 * max(shape)


def resumed(function, script: ModuleType, muon, rank: int, world_size: int) -> list[Tensor]:
    """How far a step after save and load is from the step without them."""
    params = muon.param_groups[0]["params"]
    momentum = script.gather_momentum(muon, rank, world_size)
    state = {index: {"momentum_buffer": M} for index, M in enumerate(momentum)}
    saved = deepcopy({**muon.state_dict(), "state": state})
    again = muon_on(function, [nn.Parameter(p.detach().clone()) for p in params], rank, world_size)
    again.load_state_dict(saved)
    script.keep_own_momentum(again, rank, world_size)
    take_step(muon, seed=4)
    take_step(again, seed=4)
    both = zip(params, again.param_groups[0]["params"], strict=True)
    return [(p - q).detach().abs().max() for p, q in both]


def times(count: float, ours: float, what: str) -> str:
    """A cost beside ours, in words: what is allowed reads the same for everybody."""
    if count <= ALLOWED * ours:
        return f"at most {ALLOWED} times {what}"
    return f"{count / ours:.1f} times {what}" if ours else f"more than {what}, which is none"


def on_several_ranks(function, script: ModuleType) -> Iterator:
    for world_size, shapes in [(2, SHAPES), (3, SHAPES), (3, TWO)]:
        ranks = on_ranks(world_size, sharing(function, script, shapes), home(function))
        where = f"of {world_size}, {len(shapes)} matrices"
        for step in (1, 2, 3):
            for rank, seen in enumerate(ranks):
                for shape, W in zip(shapes, seen["weights"][step - 1], strict=True):
                    yield f"weight {shape} after step {step} on rank {rank} {where}", W
        for rank, seen in enumerate(ranks):
            call = (
                f'whether state[W]["momentum_buffer"] is there for what rank {rank} {where}, owns'
            )
            yield call, seen["found"]
            call = f"matrices that have momentum on rank {rank} {where}"
            yield Invariant(call), seen["holds"]
            for shape, gap in zip(shapes, seen.get("resumed", []), strict=False):
                call = (
                    f"weight {shape} after save, load and a step: how far off, rank {rank} {where}"
                )
                yield call, gap
            call = f"FLOPs of 3 steps on rank {rank} {where}"
            share = times(seen["flops"], seen["own flops"], "Newton-Schulz of what it owns")
            yield Cost(call), share
        if len(shapes) > world_size:  # with few matrices, padding is not small
            size = 3 * 8 * sum(rows * cols for rows, cols in shapes)
            call = f"bytes of the collectives in 3 steps of {world_size} ranks"
            yield Sent(call), times(ranks[0]["bytes"], size, "those of all updates")


def in_low_precision(function) -> Iterator:
    """float32 weights, Newton-Schulz in bfloat16, and numbers that do not fit into bfloat16."""

    def work(rank: int, world_size: int, traffic: Traffic) -> dict:
        params = [nn.Parameter(torch.zeros(8, 8)) for _ in range(2)]
        low = {"newton_schulz_steps": 0, "newton_schulz_eps": 0.0}
        low |= {"newton_schulz_dtype": torch.bfloat16, "momentum": 0.0, "nesterov": False}
        muon = muon_on(function, params, rank, world_size, lr=1001.0, **low)
        for p in params:
            p.grad = torch.ones_like(p)
        places = [p.data_ptr() for p in params]
        muon.step()
        means = torch.stack([p.detach().double().mean() for p in params])
        M = (muon.state.get(params[rank]) or {}).get("momentum_buffer")
        dtype = str(getattr(M, "dtype", None))
        stay = places == [p.data_ptr() for p in params]
        return {"means": means, "bytes": traffic.bytes, "dtype": dtype, "stay": stay}

    ranks = on_ranks(2, work, home(function))
    setting = (
        "float32, on rank {} of 2, newton_schulz_dtype=bfloat16, O = 0.125 everywhere, lr 1001"
    )
    for rank, seen in enumerate(ranks):
        call = f"change of W (8, 8), {setting.format(rank)}: scale and lr are applied in float32"
        yield call, seen["means"]
        call = (
            f"dtype of the momentum of W, float32, with newton_schulz_dtype=bfloat16, rank {rank}"
        )
        yield Kind(call), seen["dtype"]
        call = f"whether W keeps its place in memory, as it is updated in place, rank {rank}"
        yield Invariant(call), seen["stay"]
    call = "bytes of the collectives in a step, newton_schulz_dtype=bfloat16"
    yield Sent(call), times(ranks[0]["bytes"], 2 * 128, "those of all updates in bfloat16")


def elsewhere(function) -> torch.optim.Optimizer:
    """A Muon of rank 0 of 2, whose matrices and gradients lie on another device."""
    params = [nn.Parameter(torch.empty(shape, device="meta")) for shape in SHAPES]
    for p in params:
        p.grad = torch.empty_like(p)
    return muon_on(function, params, 0, 2, newton_schulz_dtype=torch.bfloat16)


def sends(run: Callable) -> bool:
    """`moves`, and whether what is sent lies there too; no collective has an effect."""
    sent = []

    def send(*args, **kwargs):
        given = [*args, *kwargs.values()]
        lists = [x if isinstance(x, list) else [x] for x in given]
        sent.extend(x for xs in lists for x in xs if isinstance(x, Tensor))
        return mock.Mock()

    with mock.patch.multiple(dist, **dict.fromkeys(COLLECTIVES, send)):
        return moves(run) and all(x.device.type == "meta" for x in sent)


def Muon(function, script: ModuleType) -> Iterator:
    yield from by_hand(function)
    yield from on_one_rank(function)
    muon = elsewhere(function)
    yield Elsewhere("whether a step of Muon works on another device"), sends(muon.step)
    yield from on_several_ranks(function, script)
    yield from in_low_precision(function)


# ------------------------------------------------------------------------------------ checkpoints


def gathering(function, script: ModuleType, shapes: list, dtype: torch.dtype) -> Callable:
    """What each rank does: gather before any step, then after two of the script's own Muon."""

    def work(rank: int, world_size: int, traffic: Traffic | None) -> dict:
        params = [nn.Parameter(p.detach().to(dtype)) for p in matrices(shapes)]
        muon = muon_on(script.Muon, params, rank, world_size)
        before = deepcopy(function(muon, rank, world_size))
        if traffic:
            traffic.exchange(None, "after gather_momentum")  # who made no call waits here
        for step in (1, 2):
            take_step(muon, seed=step)
        own = [muon.state[p]["momentum_buffer"] for p in params[rank::world_size]]
        copies = [M.clone() for M in own]
        after = function(muon, rank, world_size)
        if traffic:
            traffic.exchange(None, "after gather_momentum")
        back = list(after)[rank::world_size] if isinstance(after, list | tuple) else []
        return {
            "before": before,
            "after": after,
            "kind": type(after).__name__,
            "exact": [is_the_same(*both) for both in zip(copies, back, strict=False)],
            "changed": [(M - copy).abs().max() for M, copy in zip(own, copies, strict=True)],
            "holds": holders(muon),
        }

    return work


def is_the_same(M: Tensor, found) -> bool:
    """Whether momentum has come back to the last digit."""
    return isinstance(found, Tensor) and torch.equal(M, found.to(M.dtype))


def by_itself(work: Callable) -> dict:
    """What the only rank of one does; a torch.empty holds nan, as on several ranks."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return work(0, 1, None)
    finally:
        torch.use_deterministic_algorithms(before)


def gather_momentum(function, script: ModuleType) -> Iterator:
    settings = [(1, SHAPES), (2, SHAPES), (3, SHAPES), (3, TWO)]
    for world_size, shapes in settings:
        dtype = torch.float32 if shapes is TWO else torch.float64
        work = gathering(function, script, shapes, dtype)
        alone = world_size == 1  # and then there is no process group
        ranks = [by_itself(work)] if alone else on_ranks(world_size, work, home(function))
        for rank, seen in enumerate(ranks):
            call = f"gather_momentum(muon, {rank}, {world_size}), {len(shapes)} matrices"
            yield Kind(f"the type of {call}"), seen["kind"]
            for moment, words in [("before", "before the first step"), ("after", "after 2 steps")]:
                yield f"number of tensors in {call}, {words}", len(seen[moment])
                for i, M in enumerate(seen[moment]):
                    yield f"{call}, {words}: matrix {i}", M
            own = range(rank, len(shapes), world_size)
            for i, same in zip(own, seen["exact"], strict=False):
                yield f"whether {call} keeps every digit of matrix {i}, which is its own", same
            for i, gap in zip(own, seen["changed"], strict=True):
                call = f"the argument muon: how far state changes, matrix {i}, rank {rank}"
                yield f"{call} of {world_size}", gap
            call = (
                f"matrices that have momentum in muon.state after it, rank {rank} of {world_size}"
            )
            yield Invariant(call), seen["holds"]

    muon = elsewhere(script.Muon)
    sends(muon.step)
    call = "whether gather_momentum(muon, 0, 2) works on another device"
    yield Elsewhere(call), sends(lambda: function(muon, 0, 2)[0])


def keep_own_momentum(function, script: ModuleType) -> Iterator:
    for world_size, shapes in [(1, SHAPES), (2, SHAPES), (3, SHAPES), (3, TWO)]:
        for rank in range(world_size):
            params = matrices(shapes)
            muon = muon_on(script.Muon, params, rank, world_size)
            call = f"keep_own_momentum(muon, {rank}, {world_size}), {len(shapes)} matrices"
            for i, p in reversed(list(enumerate(params))):  # state has an order of its own
                M = normal(tuple(p.shape), seed=50 + i)
                muon.state[p] = {"momentum_buffer": M, "another": i}
            function(muon, rank, world_size)
            yield f"matrices that have momentum after {call}", holders(muon)
            for i, p in list(enumerate(params))[rank::world_size]:
                M = (muon.state.get(p) or {}).get("momentum_buffer")
                yield f"momentum of matrix {i} after {call}", M
                kept = sorted((muon.state.get(p) or {}).keys() - {"momentum_buffer"})
                yield f"what else there is for matrix {i} after {call}", kept
            others = [i for i in range(len(params)) if i % world_size != rank]
            left = [f"matrix {i}" for i in others if muon.state.get(params[i])]
            yield f"others' matrices of which something is left after {call}", left
            tensors = [M for i in others for M in (muon.state.get(params[i]) or {}).values()]
            sizes = [M.abs().max() for M in tensors if isinstance(M, Tensor)]
            yield f"largest entry of what is left of them after {call}", max(sizes, default=0.0)
            yield Kind(f"the type of muon.state after {call}"), type(muon.state).__name__
            yield f"number of matrices in muon.param_groups after {call}", count(muon)


def count(muon: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in muon.param_groups)


def low_precision(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Three steps of Muon as the record runs them, iterations in `dtype`, and its momentum."""
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    params = [nn.Parameter(p.detach().to(device, weights)) for p in matrices(SHAPES)]
    muon = muon_on(script.Muon, params, newton_schulz_dtype=dtype)
    for step in range(1, 4):
        take_step(muon, seed=step)
    for p in params:
        yield f"weight {tuple(p.shape)} after 3 steps of Muon", p.detach()
    for M in script.gather_momentum(muon, 0, 1):
        yield f"momentum {tuple(M.shape)} after 3 steps of Muon", M
