"""Initial weights: which draws each parameter gets, and that none is forgotten."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.init import uniform_

from milestones.harness import UsageError
from milestones.harness.initialization import initialize, portable_draws


class Model(nn.Module):
    """Linears of given names and sizes, in the order given."""

    def __init__(self, **sizes: tuple[int, int]):
        super().__init__()
        for name, (rows, cols) in sizes.items():
            setattr(self, name, nn.Linear(cols, rows, bias=False))


def normal_all(model):
    for p in model.parameters():
        nn.init.normal_(p, std=0.5)


def weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def initial_weights(script, torch_seed: int = 0, seed: int = 1, portable: bool = True):
    torch.manual_seed(torch_seed)
    model = script.GPT(script.PRESETS["exact"]).double()
    initialize(model, script.init_weights, seed, portable)
    return weights(model)


def drawn(weights: dict) -> list[str]:
    """The names of what is random: matrices, and not all zeros; other numbers are written down."""
    return [name for name, p in weights.items() if p.dim() == 2 and p.any()]


# ------------------------------------------------------------------------- a milestone's model


def test_same_weights_whatever_torchs_seed(script):
    assert same(initial_weights(script, torch_seed=0), initial_weights(script, torch_seed=99))


def test_other_seed_other_weights(script):
    first, second = initial_weights(script, seed=1), initial_weights(script, seed=2)
    assert len(drawn(first)) > 10
    assert not any(torch.equal(first[name], second[name]) for name in drawn(first))


def test_torchs_own_draws_follow_the_seed_too(script):
    first = initial_weights(script, torch_seed=0, portable=False)
    assert same(first, initial_weights(script, torch_seed=99, portable=False))
    assert not same(first, initial_weights(script, seed=2, portable=False))
    assert not same(first, initial_weights(script, portable=True))


def test_portable_draws_have_the_distribution_of_torchs(script):
    """Compared with the same init_weights under torch's own generator."""
    portable, own = initial_weights(script), initial_weights(script, portable=False)
    for name, p in portable.items():
        n, std = p.numel(), own[name].std(correction=0).item()
        assert p.std(correction=0).item() == pytest.approx(std, rel=8 / n**0.5), name
        assert p.mean().item() == pytest.approx(own[name].mean().item(), abs=8 * std / n**0.5), name
        bound = own[name].abs().max().item()
        assert p.abs().max().item() == pytest.approx(bound, rel=0.4), name


def test_parameters_do_not_share_draws(script):
    initial = initial_weights(script)
    first = [initial[name].flatten()[:32] for name in drawn(initial)]
    scaled = [tuple((p / p.norm()).tolist()) for p in first]
    assert len(set(scaled)) == len(scaled)


# ------------------------------------------------------------------------------- portable draws


def test_draws_depend_on_the_name_not_on_the_order_or_the_company():
    first, second = Model(a=(8, 4), b=(8, 4)), Model(z=(3, 3), b=(8, 4), a=(8, 4))
    for model in (first, second):
        initialize(model, normal_all, seed=1, portable=True)
    assert torch.equal(first.a.weight, second.a.weight)
    assert torch.equal(first.b.weight, second.b.weight)
    assert not torch.equal(first.a.weight, first.b.weight)


def test_draws_are_numpys_frozen_ones():
    """These numbers must never change: stored curves depend on them."""
    model = Model(a=(2, 2)).double()
    initialize(model, normal_all, seed=1, portable=True)
    want = np.random.RandomState([1, 1357826415]).normal(0.0, 0.5, (2, 2))  # crc32(b"a.weight")
    assert model.a.weight.tolist() == want.tolist()
    initialize(model, lambda m: nn.init.uniform_(m.a.weight, -2, 3), seed=7, portable=True)
    want = np.random.RandomState([7, 1357826415]).uniform(-2, 3, (2, 2))
    assert model.a.weight.tolist() == want.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_the_same_draws_rounded(dtype):
    exact, rounded = Model(a=(16, 16)).double(), Model(a=(16, 16)).to(dtype)
    for model in (exact, rounded):
        initialize(model, normal_all, seed=1, portable=True)
    assert torch.equal(exact.a.weight.to(dtype), rounded.a.weight)


def test_normal_and_uniform_have_their_moments():
    model = Model(a=(300, 300)).double()
    initialize(model, lambda m: nn.init.normal_(m.a.weight, 2.0, 0.5), seed=3, portable=True)
    p = model.a.weight
    assert p.mean().item() == pytest.approx(2.0, abs=0.01)
    assert p.std().item() == pytest.approx(0.5, rel=0.01)
    fourth = ((p - p.mean()) ** 4).mean() / p.var() ** 2
    assert fourth.item() == pytest.approx(3.0, abs=0.1)  # normal, not uniform (1.8)
    initialize(model, lambda m: nn.init.uniform_(m.a.weight, -1, 5), seed=3, portable=True)
    p = model.a.weight
    assert -1 <= p.min().item() < -0.99 and 4.99 < p.max().item() <= 5
    assert p.mean().item() == pytest.approx(2.0, abs=0.03)
    assert p.std().item() == pytest.approx(6 / 12**0.5, rel=0.01)


def test_torchs_functions_are_back_afterwards():
    functions = Tensor.normal_, Tensor.uniform_
    with pytest.raises(ZeroDivisionError), portable_draws(Model(a=(2, 2)), seed=1):
        assert Tensor.normal_ is not functions[0] and Tensor.uniform_ is not functions[1]
        raise ZeroDivisionError
    assert (Tensor.normal_, Tensor.uniform_) == functions


# -------------------------------------------------------------------------- nothing is forgotten


def forget(model, *names):
    for name, p in model.named_parameters():
        if name not in names:
            nn.init.ones_(p)


@pytest.mark.parametrize("portable", [True, False])
def test_forgotten_parameters_are_named(portable):
    model = Model(a=(2, 2), b=(2, 2), c=(2, 2))
    with pytest.raises(UsageError) as error:
        initialize(model, lambda m: forget(m, "b.weight"), 1, portable)
    assert str(error.value) == "init_weights left b.weight unset"
    with pytest.raises(UsageError) as error:
        initialize(model, lambda m: forget(m, "b.weight", "c.weight"), 1, portable)
    assert str(error.value) == "init_weights left b.weight, c.weight unset"
    with pytest.raises(UsageError) as error:
        initialize(model, lambda m: nn.init.ones_(m.b.weight[0]), 1, portable)
    assert str(error.value) == "init_weights left a.weight, part of b.weight, c.weight unset"
    with pytest.raises(UsageError) as error:
        initialize(Model(**dict.fromkeys("abcde", (2, 2))), lambda m: None, 1, portable)
    left = "init_weights left a.weight, b.weight, c.weight (and 2 more) unset"
    assert str(error.value) == left


def test_forgetful_init_weights_ends_a_run(script, cli, here, monkeypatch):
    init_weights, forgotten = script.init_weights, []

    def forget_last(model):
        init_weights(model)
        name, p = list(model.named_parameters())[-1]
        forgotten.append(name)
        p.data.fill_(float("nan"))

    monkeypatch.setattr(script, "init_weights", forget_last)
    code, _, err = cli(script, "exact")
    assert (code, err) == (2, f"error: init_weights left {forgotten[0]} unset\n")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("groups", "fault"), [(0, "missing"), (2, "twice")])
def test_parameter_that_is_not_in_exactly_one_optimizer_group(
    script, cli, here, monkeypatch, groups, fault
):
    build_optimizers, name = script.build_optimizers, []

    def spoil(model, *rest):
        optimizers = build_optimizers(model, *rest)
        last, p = list(model.named_parameters())[-1]
        name.append(last)
        if fault == "twice":
            optimizers.append(torch.optim.SGD([p], lr=0.0))
        for optimizer in optimizers if fault == "missing" else []:
            for group in optimizer.param_groups:
                group["params"] = [q for q in group["params"] if q is not p]
        return optimizers

    monkeypatch.setattr(script, "build_optimizers", spoil)
    code, _, err = cli(script, "exact")
    line = f"error: {name[0]} is in {groups} optimizer groups, not in one\n"
    assert (code, err) == (2, line)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda p: p.copy_(torch.randn(4, 4)), "in place, with nn.init"),
        (lambda p: torch.nn.init.normal_(p[:1]), "each as a whole"),
        (lambda p: torch.nn.init.uniform_(p.T), "each as a whole"),
    ],
)
def test_draws_that_are_not_portable_are_refused(draw, words):
    def init_weights(model):
        for p in model.parameters():
            torch.nn.init.zeros_(p)
        with torch.no_grad():
            draw(model.weight)

    with pytest.raises(UsageError, match=words):
        initialize(torch.nn.Linear(4, 4), init_weights, seed=1, portable=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: uniform_(p, -0.5, 0.5),  # imported by name
        lambda p: nn.init.uniform_(p.data, a=-0.5, b=0.5),
        lambda p: nn.init.kaiming_uniform_(p, a=math.sqrt(5)),
        lambda p: p.data.uniform_(-0.5, 0.5),
        lambda p: nn.init.uniform_(p.detach().view(4, 4), -0.5, 0.5, generator=None),
    ],
)
def test_every_way_to_draw_a_parameter_gives_the_same_numbers(draw):
    weights = []
    for each in (draw, lambda p: nn.init.uniform_(p, -0.5, 0.5)):
        model = nn.Linear(4, 4, bias=False).double()
        initialize(model, lambda m, each=each: each(m.weight), seed=1, portable=True)
        weights.append(model.weight.detach())
    torch.testing.assert_close(*weights, rtol=0, atol=1e-15)


def replaced(model):
    model.bias = nn.Parameter(torch.zeros(4))


def rounded(model):
    model.bias.data = torch.zeros(4)


@pytest.mark.parametrize("spoil", [replaced, rounded])
def test_a_parameter_that_is_replaced_is_named(spoil):
    def init_weights(model):
        normal_all(model)
        spoil(model)

    with pytest.raises(UsageError, match="in the place of bias"):
        initialize(nn.Linear(4, 4).double(), init_weights, seed=1, portable=True)
