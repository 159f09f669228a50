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
    names = {id(p): name for name, p in model.named_parameters()}

    def stream(tensor: Tensor) -> np.random.RandomState:
        if id(tensor) not in names:
            raise UsageError("init_weights must draw whole parameters of the model it is given")
        return np.random.RandomState([seed, zlib.crc32(names[id(tensor)].encode())])

    def fill(tensor: Tensor, values: np.ndarray) -> Tensor:
        with torch.no_grad():
            return tensor.copy_(torch.from_numpy(values))

    def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator=None) -> Tensor:
        return fill(tensor, stream(tensor).normal(mean, std, tensor.shape))

    def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator=None) -> Tensor:
        return fill(tensor, stream(tensor).uniform(a, b, tensor.shape))

    before = torch.get_rng_state()
    with mock.patch.multiple(nn.init, normal_=normal_, uniform_=uniform_):
        yield
    if not torch.equal(before, torch.get_rng_state()):
        raise UsageError(
            "init_weights must draw with nn.init.uniform_ or nn.init.normal_ and nothing else: "
            "other draws change from one torch to the next"
        )


def initialize(
    model: nn.Module, init_weights: Callable[[nn.Module], None], seed: int, portable: bool
) -> None:
    """Run `init_weights(model)` with these draws; UsageError names what it left out or replaced."""
    given = dict(model.named_parameters())
    with torch.no_grad():
        for p in given.values():
            p.fill_(float("nan"))  # what survives was forgotten
    torch.manual_seed(seed)
    if portable:
        if seed >= 2**32:
            raise UsageError(f"seed {seed}: portable draws take seeds below 2^32")
        with portable_draws(model, seed):
            init_weights(model)
    else:
        init_weights(model)
    replaced = [name for name, p in model.named_parameters() if p is not given.get(name)]
    if replaced:
        raise UsageError(
            f"init_weights put another parameter in the place of {replaced[0]}: fill what is there"
        )
    forgotten = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    if forgotten:
        others = f" (and {len(forgotten) - 1} more)" if len(forgotten) > 1 else ""
        raise UsageError(f"init_weights left {forgotten[0]}{others} unset")
