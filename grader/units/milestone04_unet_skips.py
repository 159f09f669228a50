"""Unit calls of milestone 04."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from grader.cost import Counter, matrix_products
from grader.units import (
    Cost,
    Elsewhere,
    Invariant,
    Kind,
    Property,
    bounded,
    draw,
    kind,
    milestone01_muon,
    moves,
    normal,
    parameters_of,
    strangers,
)
from grader.units.milestone01_muon import matrices, shape
from milestones.harness.initialization import initialize

ON_TWO_RANKS = ()  # nothing here knows of ranks; all together run on two
HALF = torch.bfloat16
SHAPES = [(8, 8), (6, 10), (32, 8), (8, 32)]  # of matrices: square, wide, tall, wide


def filled(module: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Parameters drawn by name, in `dtype`; a lamb far from 1 - lamb, and lambdas (0.7, 0.4)."""
    module = module.to(dtype)
    draw(module)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if name.endswith("lamb"):
                p.fill_(0.2)
            if name.endswith("lambdas"):
                p.copy_(torch.tensor([0.7, 0.4]))
    return module


def gradient(p: Tensor) -> Tensor:
    """.grad, or zeros where there is none."""
    return torch.zeros_like(p) if p.grad is None else p.grad


def dtype_of(x) -> str:
    return str(getattr(x, "dtype", type(x).__name__)).removeprefix("torch.")


def CastedLinear(function, script: ModuleType) -> Iterator:
    for sizes in [(3, 3), (4, 2), (2, 5)]:
        linear = function(*sizes)
        call = f"CastedLinear{sizes}"
        yield f"names and shapes of the parameters of {call}", parameters_of(linear)
        yield Kind(f"dtype of its weight, {call}"), dtype_of(linear.weight)
        linear = filled(linear)
        x = normal((2, 3, sizes[0]), seed=0).requires_grad_()
        before = x.detach().clone()
        y = linear(x)
        yield f"{call}(x) with x (2, 3, {sizes[0]}), float64", y.detach()
        y.square().sum().backward()
        yield f"gradient of x after {call}(x)", x.grad
        yield f"gradient of the weight after {call}(x)", gradient(linear.weight)
        yield f"{call}(x) with x ({sizes[0]},), float64", linear(before[0, 0]).detach()
        y = linear(before.transpose(0, 1))  # not contiguous
        yield f"{call}(x) with x (3, 2, {sizes[0]}), a transpose(0, 1), float64", y.detach()
    yield from casts(function(2, 2).float())


def casts(linear: nn.Module) -> Iterator:
    """A float32 weight that meets a bfloat16 input, in numbers that both hold exactly."""
    with torch.no_grad():
        for p in linear.parameters():
            p.zero_()
        linear.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, -1.0]]))
    x = torch.tensor([[4.0, 8.0]], dtype=HALF, requires_grad=True)
    call = "CastedLinear(2, 2)(x), x bfloat16, weight float32"
    with matrix_products() as dtypes:
        y = linear(x)
    yield Kind(f"dtype of {call}"), dtype_of(y)
    yield Cost(f"dtype of the matrix product in {call}"), ", ".join(sorted(dtypes))
    yield Kind(f"dtype of the weight after {call}"), dtype_of(linear.weight)
    y.backward(torch.ones_like(y))
    yield Kind(f"dtype of the weight's gradient after {call}"), dtype_of(linear.weight.grad)
    yield f"the weight's gradient after {call}, [[4, 8]]", gradient(linear.weight).double()
    yield f"gradient of x after {call}", x.grad.double()
    with torch.no_grad():
        linear.weight.mul_(2)
    yield f"{call}, after an update has doubled the weight", linear(x.detach()).double()[0]
    with torch.no_grad():
        linear.weight.copy_(1 + 2**-12 * torch.ones(2, 2))  # bfloat16 makes it 1
    linear(x.detach())
    yield f"a weight of 1.000244 after {call}", linear.weight.detach().double()[0]


def with_values(attention: nn.Module, values: Tensor, x: Tensor) -> Tensor:
    """What attention adds to the stream."""
    return attention(x, values)[0]


def CausalSelfAttention(function, script: ModuleType) -> Iterator:
    for heads in (2, 4):
        args = replace(script.PRESETS["exact"], num_heads=heads)
        attention = function(args).double()
        function(
            replace(args, norm_eps=1.0, rotary_base=20.0)
        )  # another model's settings, which must not count
        of = f"CausalSelfAttention(args), {heads} heads"
        yield f"names and shapes of the parameters of {of}", parameters_of(attention)
        yield from mixed_by_hand(attention, args.model_dim, heads)
        values = normal((1, 8, heads, args.model_dim // heads), seed=3)
        run = partial(with_values, attention, values)
        yield from bounded(run, attention, filled, args.model_dim, heads)
        yield from residual(attention, args.model_dim, heads)
    x, values = normal((1, 128, args.model_dim), seed=2), normal((1, 128, 4, 8), seed=3)
    call = "CausalSelfAttention(args)(x, v1)[0] with x (1, 128, 32), 4 heads"  # scores cost most
    yield call, attention(x, values)[0].detach()
    x, values = normal((1, 1500, args.model_dim), seed=2), normal((1, 1500, 4, 8), seed=3)
    call = "last output of CausalSelfAttention(args)(x, v1)[0] with x (1, 1500, 32), 4 heads"
    yield call, attention(x, values)[0][0, -1].detach()
    attention = filled(function(replace(args, norm_eps=1.0, rotary_base=20.0)))
    x, values = normal((3, 8, args.model_dim), seed=1), normal((3, 8, 4, 8), seed=4)
    call = "CausalSelfAttention(args)(x, v1)[0] with x (3, 8, 32), 4 heads"
    yield f"{call}, norm_eps 1, rotary_base 20", attention(x, values)[0].detach()
    yield from attention_in_half(filled(function(args), torch.float32), args.model_dim)
    x, values = x[:, :3].float().to("meta"), values[:, :3].float().to("meta")
    attention = attention.float().to("meta")
    call = "whether CausalSelfAttention(args) works on another device"
    yield Elsewhere(call), moves(lambda: attention(x, values)[0])


@torch.no_grad()
def mixed_by_hand(attention: nn.Module, D: int, heads: int) -> Iterator:
    """q = k = 0, so that each position averages the values up to itself: v = x, v1 = 10s."""
    for name, p in attention.named_parameters():
        p.copy_(torch.eye(D) if name[:3] in ("c_v", "c_p") else torch.zeros(p.shape))
    x = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64).view(1, 3, 1).repeat(1, 1, D)
    v1 = torch.full((1, 3, heads, D // heads), 10.0, dtype=torch.float64)
    for lamb in (0.0, 0.2, 1.0, 1.5):
        attention.lamb.fill_(lamb)
        for given, is_given in [(v1, "10s"), (None, "None")]:
            call = f"first number of each output, lamb {lamb:g}, v1 {is_given}, x 1s, 2s, 6s"
            y, handed = attention(x.clone(), given)
            yield f"{call}, {heads} heads; q = k = 0, v = x, c_proj the identity", y[0, :, 0]
            call = f"the v1 that is handed on, its first number at each position, lamb {lamb:g}"
            yield f"{call}, v1 {is_given}, v 1s, 2s, 6s, {heads} heads", handed[0, :, 0, 0]


def residual(attention: nn.Module, D: int, heads: int) -> Iterator:
    """Outputs and gradients with values given, and as the first block."""
    shape = (3, 8, heads, D // heads)
    for given in (normal(shape, seed=4).requires_grad_(), None):
        attention.zero_grad()
        x = normal((3, 8, D), seed=1).requires_grad_()
        old, old_v1 = x.detach().clone(), None if given is None else given.detach().clone()
        y, handed = attention(x, given)
        which = "None" if given is None else f"v1 {shape}"
        call = f"CausalSelfAttention(args)(x, {which}), lamb 0.2, x (3, 8, {D}), {heads} heads"
        yield f"y of {call}", y.detach()
        yield f"v1 of {call}", handed.detach()
        if given is None:
            yield f"whether gradients flow through the v1 of {call}", handed.requires_grad
        (y.square().sum() + (handed.square().sum() if given is None else 0)).backward()
        yield f"gradient of x after {call}", gradient(x)
        yield f"gradient of c_v.weight after {call}", gradient(attention.c_v.weight)
        yield f"gradient of lamb after {call}", gradient(attention.lamb)
        yield f"the argument x after {call}; it must stay as it was", x.detach() - old
        if given is not None:
            yield f"gradient of v1 after {call}", gradient(given)
            yield f"the argument v1 after {call}; it must stay as it was", given.detach() - old_v1


def attention_in_half(attention: nn.Module, D: int) -> Iterator:
    """Weights float32, x bfloat16: as the record runs it."""
    x = normal((2, 8, D), seed=5).to(HALF)
    v1 = None
    for block in ("the first block", "a later block"):
        y, v1 = attention(x, v1)
        call = f"CausalSelfAttention(args)(x, v1), x bfloat16, weights float32, {block}"
        yield Kind(f"dtype of the y of {call}"), dtype_of(y)
        yield Kind(f"dtype of the v1 of {call}"), dtype_of(v1)
    y.float().sum().backward()
    dtypes = sorted({dtype_of(p.grad) for p in attention.parameters() if p.grad is not None})
    yield Kind(f"dtypes of the gradients after {call}"), ", ".join(dtypes)


def Block(function, script: ModuleType) -> Iterator:
    args = script.PRESETS["exact"]
    D, h = args.model_dim, args.model_dim // args.num_heads
    block = function(args).double()
    yield "names and shapes of the parameters of Block(args)", parameters_of(block)
    with torch.no_grad():
        for name, p in filled(block).named_parameters():
            if "c_proj" in name:
                p.zero_()
        for lambdas in [(1.0, 0.0), (0.0, 1.0), (0.5, 0.25)]:
            block.lambdas.copy_(torch.tensor(lambdas))
            x, x0 = (torch.full((1, 2, D), n, dtype=torch.float64) for n in (4.0, 100.0))
            call = f"first number of Block(args)(x, x0, None)[0], x 4s, x0 100s, lambdas {lambdas}"
            y = block(x, x0, None)[0]
            yield f"{call}, attention and MLP 0", y[0, :, 0]
    for norm_eps in (args.norm_eps, 1.0):
        block = filled(function(replace(args, norm_eps=norm_eps)))
        for given in (normal((3, 5, args.num_heads, h), seed=2).requires_grad_(), None):
            block.zero_grad()
            x, x0 = (normal((3, 5, D), seed=n).requires_grad_() for n in (0, 1))
            before = x.detach().clone(), x0.detach().clone()
            y, v1 = block(x, x0, given)
            call = f"Block(args)(x, x0, {'None' if given is None else 'v1'}), x (3, 5, {D})"
            call += f", lambdas (0.7, 0.4), norm_eps {norm_eps:g}"
            yield f"x of {call}", y.detach()
            yield f"v1 of {call}", v1.detach()
            y.square().sum().backward()
            for name, p in [("x", x), ("x0", x0), ("v1", given), ("lambdas", block.lambdas)]:
                if p is not None:
                    yield f"gradient of {name} after {call}", gradient(p)
            for name, p, old in [("x", x, before[0]), ("x0", x0, before[1])]:
                yield f"the argument {name} after {call}; it must stay as it was", p.detach() - old
    block = filled(function(args), torch.float32)
    x, x0 = (normal((2, 5, D), seed=n).to(HALF) for n in (0, 1))
    call = "Block(args)(x, x0, None), x and x0 bfloat16, weights float32"
    yield Kind(f"dtype of the x of {call}"), dtype_of(block(x, x0, None)[0])
    block, (x, x0) = block.to("meta"), (z.float().to("meta") for z in (x, x0))
    call = "whether Block(args) works on another device"
    yield Elsewhere(call), moves(lambda: block(x, x0, None)[0])


def softcap(function, script: ModuleType) -> Iterator:
    for cap in (30.0, 15.0, 1.0):
        for logit in (0.0, 15.0, -15.0, 30.0, 0.1, -3000.0):
            z = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
            y = function(1 * z, cap)
            yield f"softcap([{logit:g}], {cap:g})", y.detach()
            y.sum().backward()
            yield f"its slope there: gradient of softcap([{logit:g}], {cap:g})", z.grad
    large = torch.tensor([1e5, -1e5], requires_grad=True)
    y = function(1 * large, 30.0)
    yield "softcap([1e5, -1e5], 30), float32", y.detach()
    y.sum().backward()
    yield "its slope there: gradient of softcap([1e5, -1e5], 30), float32", large.grad
    x = normal((2, 5, 7), seed=0) * 40
    given = x.clone()
    yield "softcap(logits, 30) with logits (2, 5, 7)", function(given, 30.0)
    call = "the argument logits after softcap(logits, 30); it must stay as it was"
    yield call, given - x
    for dtype in (HALF, torch.float32):
        name = dtype_of(x.to(dtype))
        yield (
            Kind(f"dtype of softcap(logits, 30), logits {name}"),
            dtype_of(function(x.to(dtype), 30.0)),
        )
    call = "whether softcap(logits, 30) works with logits on another device"
    yield Elsewhere(call), moves(lambda: function(x.to("meta"), 30.0))


class Noting(nn.Module):
    """A block that adds 10^i to x, notes what it is given, and makes v1 if that is None."""

    def __init__(self, i: int, notes: list):
        super().__init__()
        self.i, self.notes = i, notes

    def forward(self, x: Tensor, x0: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        self.notes.append((self.i, x, x0, v1))
        return x + 10**self.i, torch.full_like(x0, 7 + self.i) if v1 is None else v1


class Curved(nn.Module):
    """A block whose result depends on all it is given, in another way for every block."""

    def __init__(self, i: int):
        super().__init__()
        self.i = i

    def forward(self, x: Tensor, x0: Tensor, v1: Tensor | None) -> tuple[Tensor, Tensor]:
        v1 = (x + self.i) ** 2 if v1 is None else v1
        return torch.sin(x + self.i) + 0.3 * x0 * torch.cos(x) + 0.1 * v1, v1


def first_number(x: Tensor | None) -> str:
    return "None" if x is None else f"{x.flatten()[0].item():g}s"


def unet(function, script: ModuleType) -> Iterator:
    for L, weights in [(2, [2.0]), (4, [2.0, 3.0]), (6, [2.0, 0.5, 3.0])]:
        notes = []
        blocks = nn.ModuleList([Noting(i, notes) for i in range(L)])
        x0 = torch.zeros(1, 1, 1, dtype=torch.float64)
        y = function(blocks, torch.tensor(weights, dtype=torch.float64), x0)
        call = f"unet(blocks, {weights}, x0), {L} blocks; x0 = 0, block i adds 10^i to its x"
        yield f"which blocks are called, in order, in {call}", [f"block {n[0]}" for n in notes]
        given = torch.cat([note[1].detach().flatten() for note in notes])
        yield f"x given to each block in {call}", given
        yield f"what comes back from {call}", y.flatten()
        yield f"v1 given to each block in {call}", [first_number(note[3]) for note in notes]
        yield f"x0 given to each block in {call}", [first_number(note[2]) for note in notes]
    for L in (2, 4, 8):
        blocks = nn.ModuleList([Curved(i) for i in range(L)])
        x0 = normal((2, 3, 4), seed=0).requires_grad_()
        w = normal((L // 2,), seed=1).requires_grad_()
        before = x0.detach().clone()
        y = function(blocks, w, x0)
        call = f"unet(blocks, skip_weights, x0) with x0 (2, 3, 4), {L} blocks"
        yield call, y.detach()
        y.square().sum().backward()
        yield f"gradient of x0 after {call}", gradient(x0)
        yield f"gradient of skip_weights after {call}", gradient(w)
        yield f"the argument x0 after {call}; it must stay as it was", x0.detach() - before
    args = replace(script.PRESETS["exact"], num_layers=4)
    blocks = filled(nn.ModuleList([script.Block(args) for _ in range(4)]))
    w = torch.tensor([0.5, 2.0], dtype=torch.float64)
    y = function(blocks, w, normal((2, 5, args.model_dim), seed=0))
    yield "unet(blocks, [0.5, 2], x0) with x0 (2, 5, 32), 4 of the script's Blocks", y.detach()
    notes = []
    blocks = nn.ModuleList([Noting(i, notes) for i in range(4)])
    y = function(blocks, torch.tensor([1.0, 2.0]), torch.zeros(1, 1, 1, dtype=HALF))
    dtypes = sorted({dtype_of(x) for x in [y, *(note[1] for note in notes)]})
    yield Kind("dtypes of x in unet(blocks, skip_weights, x0), x0 bfloat16"), ", ".join(dtypes)
    blocks = nn.ModuleList([Curved(i) for i in range(4)])
    w, x0 = torch.empty(2, device="meta"), torch.empty(2, 3, 4, device="meta")
    call = "whether unet(blocks, skip_weights, x0) works on another device"
    yield Elsewhere(call), moves(lambda: function(blocks, w, x0))


class Products(Cost):
    """How many FLOPs of matrix products an iteration of Newton-Schulz takes."""

    says = (
        "The values are right. A = X X^T must be the small matrix of the two, so a tall U is "
        "transposed; and two products with the long side of X do in an iteration, A and one more."
    )


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
    x, x0 = normal((2, 1, 4, args.model_dim), seed=0)
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
            Products(f"FLOPs of {call}, times the {needed:,} that it needs"),
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
        orders.append([names.get(id(p)) for params in four for p in params])
    same = all(order == orders[0] for order in orders)
    yield Invariant("whether the lists of four equal models have the same order"), same


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
    """The parts and the loss as the record runs them: weights float32, activations in `dtype`."""
    args = script.PRESETS["exact"]
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    x, x0 = (normal((3, 32, args.model_dim), seed=n).to(device, dtype) for n in (1, 2))
    v1 = normal((3, 32, args.num_heads, args.model_dim // args.num_heads), seed=3)
    v1 = v1.to(device, dtype)
    linear = filled(script.CastedLinear(args.model_dim, 48).to(device), weights)
    attention = filled(script.CausalSelfAttention(args).to(device), weights)
    block = filled(script.Block(args).to(device), weights)
    calls = {
        "CastedLinear(32, 48)(x)": lambda x: linear(x),
        "CausalSelfAttention(args)(x, v1)[0]": lambda x: attention(x, v1)[0],
        "Block(args)(x, x0, v1)[0]": lambda x: block(x, x0, v1)[0],
    }
    for call, function in calls.items():
        given = x.clone().requires_grad_()
        y = function(given)
        yield f"{call} with x (3, 32, 32)", y.detach()
        y.square().sum().backward()
        yield f"gradient of x after {call}", given.grad
    for name, p in block.named_parameters():
        if p.dim() == 2:  # of a scalar, two right answers differ by more than twice their error
            yield f"gradient of {name} after {call}", p.grad
    model = script.GPT(args).to(device, weights)
    initialize(model, script.init_weights, seed=3, portable=True)
    model.wte.to(dtype=dtype)
    with torch.no_grad():
        for p in model.parameters():
            if not p.any():  # head and projections; at zero they would hide the rest
                p.copy_(normal(tuple(p.shape), seed=4) * p.size(1) ** -0.5)
    tokens = torch.from_numpy(np.random.RandomState(0).randint(0, args.vocab_size, (12, 9)))
    loss = script.forward_backward(model, tokens[:, :-1].to(device), tokens[:, 1:].to(device), 4)
    yield "loss of forward_backward(model, inputs, targets, 4)", loss
    yield "gradient of lm_head.weight after it", model.lm_head.weight.grad
    yield "gradient of wte.weight after it", model.wte.weight.grad
    yield from muon_in_half(script, device, dtype)


def muon_in_half(script: ModuleType, device: torch.device, dtype: torch.dtype) -> Iterator:
    """Newton-Schulz and three steps of Muon: iterations in `dtype`."""
    weights = torch.float64 if dtype == torch.float64 else torch.float32
    for U in matrices(shapes=SHAPES):
        call = f"zeropower_via_newtonschulz(U, 5, 1e-7, {dtype}) with U {shape(*U.shape)}"
        yield call, script.zeropower_via_newtonschulz(U.to(device, weights), 5, 1e-7, dtype)
    params = [nn.Parameter(m.to(device, weights)) for m in matrices(shapes=SHAPES)]
    muon = script.Muon(params, 0.1, 0.95, True, 5, 1e-7, dtype, rank=0, world_size=1)
    for step in range(1, 4):
        for p, new in zip(params, matrices(seed=step, shapes=SHAPES), strict=True):
            p.grad = new.to(device, weights)
        muon.step()
    for p in params:
        yield f"weight {shape(*p.shape)} after 3 steps of Muon", p.detach()
