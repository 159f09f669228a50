"""Initial weights: `init_weights(model)` says which distributions, this says which draws."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from milestones.harness.errors import UsageError


@contextmanager
def portable_draws(model: nn.Module, seed: int) -> Iterator[None]:
    """Inside, torch.nn.init draws `model`'s parameters from numpy, whatever torch is installed.

    torch's random streams change between releases and devices; numpy.random.RandomState is frozen
    by policy (NEP 19).  A parameter's draws depend on its name and the seed alone, so neither the
    order of construction nor the other parameters matter.
    """
    names = {place(p): name for name, p in model.named_parameters()}

    def stream(tensor: Tensor) -> np.random.RandomState:
        if place(tensor) not in names:
            raise UsageError(
                "init_weights must draw into the parameters of its model, each as a whole"
            )
        return np.random.RandomState([seed, zlib.crc32(names[place(tensor)].encode())])

    def fill(tensor: Tensor, values: np.ndarray) -> Tensor:
        with torch.no_grad():
            return tensor.copy_(torch.from_numpy(values))

    def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, generator=None) -> Tensor:
        return fill(tensor, stream(tensor).normal(mean, std, tensor.shape))

    def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, generator=None) -> Tensor:
        return fill(tensor, stream(tensor).uniform(a, b, tensor.shape))

    before = torch.get_rng_state()
    with mock.patch.multiple(Tensor, normal_=normal_, uniform_=uniform_):  # nn.init ends there
        yield
    if not torch.equal(before, torch.get_rng_state()):
        raise UsageError(
            "init_weights must draw in place, with nn.init.normal_ or nn.init.uniform_, and set no "
            "seed: numbers of torch.randn and the like change from one torch to the next"
        )


def place(tensor: Tensor) -> tuple:
    """Where a tensor's numbers lie: the same for a parameter, its .data and a whole view of it."""
    return tensor.device, tensor.dtype, tensor.data_ptr(), tensor.shape, tensor.stride()


def initialize(
    model: nn.Module, init_weights: Callable[[nn.Module], None], seed: int, portable: bool
) -> None:
    """Run `init_weights(model)` with these draws; UsageError names what it left out or replaced."""
    given = {name: (p, p.device, p.dtype) for name, p in model.named_parameters()}
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(float("nan"))  # what survives was forgotten
    torch.manual_seed(seed)
    if portable:
        if seed >= 2**32:
            raise UsageError(f"seed {seed}: portable draws take seeds below 2^32")
        with portable_draws(model, seed):
            init_weights(model)
    else:
        init_weights(model)
    for name, p in model.named_parameters():
        q, device, dtype = given.get(name, (None, None, None))
        if p is not q or (p.device, p.dtype) != (device, dtype):
            raise UsageError(
                f"init_weights put another tensor in the place of {name}: fill what is there"
            )
    left = [part_of(name, p) for name, p in model.named_parameters() if not p.isfinite().all()]
    if left:
        others = f" (and {len(left) - 3} more)" if len(left) > 3 else ""
        raise UsageError(f"init_weights left {', '.join(left[:3])}{others} unset")


def part_of(name: str, p: Tensor) -> str:
    """The name of a parameter that is not filled, or that has been filled in part."""
    return f"part of {name}" if p.isfinite().any() else name
