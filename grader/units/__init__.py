"""Unit calls: what each exercise is called with, before the curve is asked.

`grader.units.<milestone>` holds one generator per exercise, of the exercise's name.  It takes the
function or class under test and the milestone's script, and yields (what was called, what came
back) pairs: float64, small, and able to tell things apart (tall, wide, square; several steps).  The
same generator run on the script's own implementation gives the expected values.  What can be
checked by hand comes first: it makes the clearest message.  In a call, "; " begins the setting,
which a message says once.

A module may also hold

    ON_TWO_RANKS    exercises that are run on two ranks as well, each alone
    low_precision   a generator of (call, output) pairs at a given device and dtype, for GPUs
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn


class Property(str):
    """A call whose outcome the mathematics gives, without any reference: causality, a band."""

    status = "PROPERTY"


class Kind(str):
    """A call that looks at the type or dtype of what came back."""

    status = "TYPE"


class Beside(str):
    """A call that does not look at the numbers, and leaves the curve alone."""


class Invariant(Beside):
    """What must hold all the same: every token read once, the rows of a micro-batch."""

    status = "INVARIANT"
    says = "Numbers and curve do not show this, but the docstring asks for it."


class Elsewhere(Invariant):
    """What a GPU would show: tensors of the CPU that meet those one is given."""

    says = "On a GPU this ends the run: make new tensors on the device of those you are given."


class Cost(Beside):
    """What makes right code slow."""

    status = "TOO SLOW"
    says = "The values are right, but a GPU would be many times slower."


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers, float64, the same under every torch."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape))


def draw(module: nn.Module) -> None:
    """Fill the parameters with the same numbers for every implementation, by name."""
    for name, p in module.named_parameters():
        with torch.no_grad():
            p.copy_(normal(tuple(p.shape), seed=zlib.crc32(name.encode())) * 0.3)


def parameters_of(module: nn.Module) -> list[str]:
    """Names and shapes, sorted."""
    return sorted(f"{name} {tuple(p.shape)}" for name, p in module.named_parameters())


def moves(run: Callable[[], Tensor | None]) -> bool:
    """Whether run() works on `meta`, a device without data that stands for a GPU here.

    Only two devices in one operation count as an error: who asks for a number finds none there.
    """
    try:
        y = run()
    except Exception as error:
        return not any(words in str(error) for words in ("device", "copy out of meta"))
    return y is None or y.device.type == "meta"


def leaks(run: Callable[[Tensor], Tensor], width: int) -> list[str]:
    """Outputs before 5 that change when only inputs 5 to 7 do; run maps (1, 8, width) to the same.

    A last digit is no leak: a maximum over all scores, subtracted before the mask, moves it.
    """
    early, late = normal((2, 1, 8, width), seed=0)
    pair = [run(torch.cat([early[:, :5], end[:, 5:]], dim=1))[0, :5] for end in (early, late)]
    same = torch.isclose(*pair, rtol=0, atol=1e-9).all(dim=1).tolist()
    return [f"output {i}" for i in range(5) if not same[i]]


def bounded(
    run: Callable[[Tensor], Tensor], attention: nn.Module, fill: Callable, width: int, heads: int
) -> Iterator:
    """Whether attention looks ahead, and what QK-norm promises; fill sets its parameters."""
    fill(attention)
    call = f"outputs before 5 that change when only inputs 5 to 7 do, {heads} heads"
    yield Property(call), leaks(run, width)
    x = normal((2, 1, 8, width), seed=0)[0]
    plain = run(x)
    for name in ("c_q", "c_k"):
        fill(attention)
        with torch.no_grad():
            getattr(attention, name).weight.mul_(10)
        gap = (run(x) - plain).abs().max().item()
        call = f"how far outputs change when {name}.weight grows tenfold, {heads} heads"
        yield Property(call), round(gap, 3) + 0.0
    fill(attention)


def strangers(items: list) -> list[str]:
    """What stands in a list of parameters and is none: each kind once, how often, and why."""
    kinds = Counter(type(item).__name__ for item in items)
    why = {
        "Tensor": " (state_dict() and .data make others)",
        "tuple": " (named_parameters() gives pairs)",
    }
    return [f"{n} x {kind}{why.get(kind, '')}" for kind, n in sorted(kinds.items())]


def kind(container) -> str:
    """A list or tuple, or what else came where one was asked for."""
    return "a list" if isinstance(container, list | tuple) else f"a {type(container).__name__}"
