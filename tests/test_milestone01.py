"""Facts about milestone 01 that need no training run: closed forms, and PyTorch's own Muon."""

import math
from dataclasses import replace
from unittest import mock

import pytest
import torch

from milestones.milestone01_muon import train_gpt as script

EXACT, RECORD = script.PRESETS["exact"], script.PRESETS["record"]


def newton_schulz(U, steps=5, eps=0.0, dtype=torch.float64):
    return script.zeropower_via_newtonschulz(U, steps, eps, dtype)


def muon_of(params, lr=0.1, eps=1e-7, dtype=torch.float64):
    return script.Muon(params, lr, 0.95, True, 5, eps, dtype)


def test_parameters_to_the_digit():
    with torch.device("meta"):
        model = script.GPT(RECORD)
    assert sum(p.numel() for p in model.parameters()) == 123_532_032
    table, matrices = script.split_parameters(model)
    assert (len(table), len(matrices)) == (1, 48)
    assert sum(p.numel() for p in matrices) == 84_934_656


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1), (4399, 1), (4400, 1), (4401, 1799 / 1800), (6199, 1 / 1800)],
)
def test_trapezoid_of_the_record(step, factor):
    assert script.get_lr(step, RECORD) == pytest.approx(factor, abs=1e-12)


def test_trapezoid_warms_up_from_the_first_step():
    args = replace(RECORD, warmup_iters=250)
    assert script.get_lr(0, args) == pytest.approx(1 / 250)
    assert script.get_lr(249, args) == 1


def test_record_reads_as_many_tokens_as_published():
    assert RECORD.num_iterations * RECORD.tokens_per_step == 3_250_585_600


@pytest.mark.parametrize(
    ("s", "result"),
    [
        (0.0001, 0.0485),
        (0.001, 0.4705),
        (0.003, 1.1104),
        (0.01, 0.6989),
        (0.1, 0.7121),
        (0.5, 0.7654),
        (0.6, 0.7229),
        (0.8, 1.1192),
        (0.9, 0.6820),
    ],
)
def test_the_polynomial_on_singular_values(s, result):
    """A diagonal matrix of Frobenius norm 1 holds s; five iterations leave p(p(p(p(p(s)))))."""
    U = torch.diag(torch.tensor([s, math.sqrt(1 - s * s)], dtype=torch.float64))
    assert newton_schulz(U)[0, 0].item() == pytest.approx(result, abs=6e-5)


def test_newton_schulz_of_three_and_four():
    O = newton_schulz(torch.diag(torch.tensor([3.0, 4.0], dtype=torch.float64)))  # noqa: E741
    assert O.diagonal().tolist() == pytest.approx([0.722876, 1.119204], abs=1e-6)


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_newton_schulz_keeps_singular_vectors_and_evens_out_values(shape):
    U = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    O = newton_schulz(U)  # noqa: E741
    assert O.shape == U.shape
    assert torch.allclose(O, newton_schulz(U.T).T, atol=1e-12)
    assert torch.allclose(O, newton_schulz(1000 * U), atol=1e-12)
    left, values, right = torch.linalg.svd(U, full_matrices=False)
    inside = left.T @ O @ right.T
    assert torch.allclose(inside, torch.diag(inside.diagonal()), atol=1e-12)
    large = inside.diagonal()[values / values.norm() > 0.01]
    assert large.min() > 0.68
    assert large.max() < 1.14


def test_newton_schulz_of_a_zero_gradient_is_zero():
    assert not newton_schulz(torch.zeros(4, 6), eps=1e-7).any()


def test_two_steps_by_hand():
    """G = 1 twice, momentum 0.95: the look-ahead is 1.95, then 2.8525."""
    p = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
    seen = []

    def identity(U, steps, eps, dtype):
        seen.append(U.item())
        return U

    with mock.patch.object(script, "zeropower_via_newtonschulz", identity):
        muon = muon_of([p])
        for _ in range(2):
            p.grad = torch.ones_like(p)
            muon.step()
    assert seen == pytest.approx([1.95, 2.8525], abs=1e-12)


def test_updates_have_entries_of_one_size_and_qkv_is_three_matrices():
    """Root mean square of a step is about lr for every shape, and the same for q, k and v."""
    random = torch.Generator().manual_seed(0)
    for shape in [(64, 64), (256, 64), (64, 256), (192, 64)]:
        p = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        p.grad = torch.randn(shape, dtype=torch.float64, generator=random)
        p.grad[: shape[0] // 3] *= 0.1  # of a fused QKV: q
        muon_of([p]).step()
        rms = p.detach().square().mean().sqrt().item()
        assert 0.08 < rms < 0.11, shape
        if shape == (192, 64):
            thirds = [piece.square().mean().sqrt().item() for piece in p.detach().split(64)]
            assert max(thirds) < 1.1 * min(thirds)


def torch_newton_schulz(dtype):
    """PyTorch's own routine for torch.optim.Muon, in another dtype than bfloat16."""
    from torch.optim import _muon

    original = _muon._zeropower_via_newtonschulz

    def routine(grad, coefficients, steps, eps):
        with mock.patch.object(torch.Tensor, "bfloat16", lambda self: self.to(dtype)):
            return original(grad, coefficients, steps, eps)

    return mock.patch.object(_muon, "_zeropower_via_newtonschulz", routine)


def both_muons(eps, dtype, weights_dtype, steps=10):
    """The largest difference of any weight after `steps` steps, and the largest movement."""
    torch.manual_seed(0)
    shapes = [(16, 16), (48, 20), (20, 48)]
    ours = [torch.nn.Parameter(torch.randn(s, dtype=weights_dtype)) for s in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in ours]
    mine = muon_of(ours, lr=0.01, eps=eps, dtype=dtype)
    torchs = torch.optim.Muon(
        theirs, lr=0.05, weight_decay=0.0, momentum=0.95, eps=eps,
        adjust_lr_fn="match_rms_adamw", ns_coefficients=(3.4445, -4.7750, 2.0315),
    )  # fmt: skip
    for _ in range(steps):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        mine.step()
        torchs.step()
    difference = max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))
    movement = max((a - b).abs().max().item() for a, b in zip(ours, start, strict=True))
    return difference, movement


def test_equals_torch_muon_in_float64():
    """Their match_rms_adamw is 0.2 sqrt(max): five times their learning rate is ours."""
    with torch_newton_schulz(torch.float64):
        difference, movement = both_muons(0.0, torch.float64, torch.float64)
    assert movement > 0.05
    assert difference < 1e-12


def test_equals_torch_muon_to_bf16_rounding():
    difference, movement = both_muons(1e-7, torch.bfloat16, torch.float32)
    assert difference < 2**-8 * movement * 10  # ten steps, each good to bf16's 8 bits


def test_rms_norm_has_mean_square_one_over_the_last_axis():
    x = torch.randn(3, 5, 7, dtype=torch.float64) * 100
    y = script.rms_norm(x, 1e-6)
    assert torch.allclose(y.square().mean(-1), torch.ones(3, 5, dtype=torch.float64), atol=1e-9)
    assert script.rms_norm(x.bfloat16(), 1e-6).dtype == torch.bfloat16


def test_rotary_of_a_unit_vector():
    x = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    x[0, :, 0, 0] = 1
    turned = script.rotary(x, 10_000.0)
    assert turned[0, 0, 0].tolist() == [1, 0, 0, 0]
    assert turned[0, 1, 0].tolist() == pytest.approx([math.cos(1), 0, -math.sin(1), 0])


def test_rotary_scores_depend_on_distance_alone():
    q, k = torch.randn(2, 16, dtype=torch.float64)
    turned_q = script.rotary(q.expand(1, 12, 1, 16), 10_000.0)[0, :, 0]
    turned_k = script.rotary(k.expand(1, 12, 1, 16), 10_000.0)[0, :, 0]
    scores = turned_q @ turned_k.T
    assert torch.allclose(scores[3:, 3:], scores[:-3, :-3], atol=1e-12)
    assert torch.allclose(turned_q.norm(dim=1), q.norm().expand(12))


def test_rotary_of_bfloat16_keeps_positions_apart():
    x = torch.ones(1, 1024, 1, 64, dtype=torch.bfloat16)
    assert len(script.rotary(x, 10_000.0)[0, :, 0].unique(dim=0)) == 1024


def test_only_the_listed_initial_bounds():
    model = script.GPT(EXACT)
    script.init_weights(model)
    for p in model.parameters():
        bound = 1 / math.sqrt(p.size(1))
        assert 0.9 * bound < p.abs().max().item() <= bound
