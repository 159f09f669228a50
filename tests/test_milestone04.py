"""Facts about milestone 04 that need no training run: closed forms, dtypes, the first step."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from milestones.harness import UsageError
from milestones.harness.initialization import initialize
from milestones.harness.ranks import Ranks
from milestones.milestone01_muon import train_gpt as milestone01
from milestones.milestone04_unet_skips import train_gpt as script

EXACT, RECORD = script.PRESETS["exact"], script.PRESETS["record"]
TRUE_SIZES = replace(RECORD, num_layers=2, fused=False)  # vocabulary, width, heads


def gpt(args):
    """A model as `train` makes it: the table in the activations' dtype."""
    model = script.GPT(args).to(getattr(torch, args.dtype))
    initialize(model, script.init_weights, seed=1, portable=True)
    model.wte.to(dtype=getattr(torch, args.activation_dtype))
    return model


def text(args, rows=2):
    tokens = torch.randint(args.vocab_size, (rows, 65), generator=torch.Generator().manual_seed(0))
    return tokens[:, :-1], tokens[:, 1:]


def optimizers_of(model, args):
    return script.build_optimizers(model, args, Ranks(0, 1, torch.device("cpu")))


# ------------------------------------------------------------------------------ sizes and schedules


def test_parameters_to_the_digit():
    """Two tables and 72 matrices are record 8's; records 9 and 11 add 36 numbers, and 6."""
    with torch.device("meta"):
        model = script.GPT(RECORD)
    lists = script.split_parameters(model)
    assert [len(params) for params in lists] == [1, 1, 25, 72]
    embedding, head, scalars, matrices = (sum(p.numel() for p in params) for params in lists)
    assert embedding == head == 50304 * 768
    assert matrices == 12 * 12 * 768**2 == 84_934_656
    assert embedding + head + matrices == 162_201_600
    assert model.skip_weights.shape == (6,)
    assert embedding + head + matrices + scalars - 6 == 162_201_636
    assert sum(p.numel() for p in model.parameters()) == 162_201_642


def test_record_reads_as_many_tokens_as_published():
    assert RECORD.num_iterations * RECORD.tokens_per_step == 1_572_864_000


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1), (2099, 1), (2100, 1), (2101, 899 / 900), (2999, 1 / 900)],
)
def test_trapezoid_of_the_record(step, factor):
    assert script.get_lr(step, RECORD) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(
    ("step", "momentum"),
    [(0, 0.85), (1, 0.8502), (250, 0.9), (499, 0.9498), (500, 0.95), (501, 0.95), (2999, 0.95)],
)
def test_momentum_of_the_record(step, momentum):
    assert script.get_momentum(step, RECORD) == pytest.approx(momentum, abs=1e-12)
    assert script.get_momentum(step, replace(RECORD, momentum_warmup_iters=0)) == 0.95


def test_the_momentum_is_set_before_the_step_it_is_for():
    model = gpt(EXACT)
    adam, muon = optimizers_of(model, EXACT)
    for step, momentum in [(0, 0.85), (10, 0.9), (39, 0.95)]:
        script.set_schedules([adam, muon], step, EXACT)
        assert muon.param_groups[0]["momentum"] == pytest.approx(momentum)
        assert not any("momentum" in group for group in adam.param_groups)


def test_learning_rates_of_the_record():
    adam, muon = optimizers_of(gpt(replace(TRUE_SIZES, vocab_size=128)), TRUE_SIZES)
    assert [group["lr"] for group in adam.param_groups] == [0.6, 0.008, 0.04]
    assert [group["weight_decay"] for group in adam.param_groups] == [0, 0, 0]
    assert [group["betas"] for group in adam.param_groups] == [(0.9, 0.95)] * 3
    assert muon.param_groups[0]["lr"] == 0.04


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_layers": 3}, "num_layers 3: mirrored skips need an even number"),
        ({"momentum_warmup_iters": -1}, "momentum_warmup_iters must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        replace(EXACT, **changes).check(1)


# --------------------------------------------------------------------------------- the first step


def test_first_loss_is_that_of_a_guess_among_all_rows():
    """The head is zero.  Published, on FineWeb: 10.8258; without the padding it were 10.8249."""
    with torch.no_grad():
        loss = gpt(TRUE_SIZES)(*text(TRUE_SIZES))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(50304), abs=5e-6)
    assert math.log(50304) == pytest.approx(10.82584, abs=5e-6)


def test_the_first_step_moves_the_head_alone():
    """All other gradients are exactly 0, and Adam's and Muon's updates are, not nan."""
    model = gpt(EXACT)
    optimizers = optimizers_of(model, EXACT)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(*text(EXACT)).backward()
    script.optimizer_step(model, optimizers, EXACT)
    moved = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert moved == ["lm_head.weight"]
    assert all(p.isfinite().all() for p in model.parameters())


def test_blocks_start_as_the_identity_and_skips_add_up():
    """The first half hands x0 on; the second is given 2 x0, 3 x0, ..., 7 x0."""
    model, given = gpt(replace(EXACT, num_layers=12)), []
    for block in model.h:
        block.register_forward_pre_hook(lambda module, inputs: given.append(inputs))
        block.register_forward_hook(
            lambda module, inputs, output: given.append((output[0] - inputs[0]).abs().max())
        )
    model.logits(text(EXACT)[0])
    x0 = given[0][0]
    assert torch.allclose(x0.square().mean(dim=2), torch.ones(2, 64, dtype=x0.dtype), atol=1e-4)
    assert not any(given[1::2])
    for (x, shortcut, _), times in zip(given[::2], [1] * 6 + [2, 3, 4, 5, 6, 7], strict=True):
        assert torch.equal(shortcut, x0)
        assert torch.allclose(x, times * x0, atol=1e-12)


def test_what_starts_where():
    for name, p in gpt(EXACT).named_parameters():
        if name.endswith("c_proj.weight") or name == "lm_head.weight":
            assert not p.any()
        elif name == "wte.weight":
            assert p.std().item() == pytest.approx(1, abs=0.05)
        elif name.endswith("lambdas"):
            assert p.tolist() == [1, 0]
        elif p.dim() == 2:
            bound = 1 / math.sqrt(p.size(1))
            assert 0.9 * bound < p.abs().max().item() <= bound
        else:
            assert p.unique().tolist() == ([0.5] if name.endswith("lamb") else [1])


# ------------------------------------------------------------------------------------------ dtypes


def test_dtypes(monkeypatch):
    """The table and all activations bfloat16; weights, scalars, gradients, state, loss float32."""
    model, seen = gpt(TRUE_SIZES), {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: seen.update(
                {name: output[0].dtype if isinstance(output, tuple) else output.dtype}
            )
        )
    softcap, logits = script.softcap, []
    monkeypatch.setattr(script, "softcap", lambda z, cap: logits.append(z) or softcap(z, cap))
    loss = model(*text(TRUE_SIZES))
    loss.backward()
    adam, muon = optimizers_of(model, TRUE_SIZES)
    script.optimizer_step(model, [adam, muon], TRUE_SIZES)
    assert seen.pop("") == loss.dtype == logits[0].dtype == torch.float32
    assert len(seen) > 2 * 6 and set(seen.values()) == {torch.bfloat16}
    for p in model.parameters():
        state = adam.state.get(p) or muon.state[p]
        kept = {value.dtype for key, value in state.items() if key != "step"}
        low = p is model.wte.weight  # and its gradient, which must have its dtype
        assert {p.dtype, *kept} == {torch.bfloat16 if low else torch.float32}


def test_a_step_smaller_than_bfloat16_holds_is_not_lost():
    """A linear computes in its input's dtype, but its weight and its gradient stay float32."""
    linear = script.CastedLinear(4, 1)
    with torch.no_grad():
        linear.weight.fill_(1.0)
    y = linear(torch.ones(1, 4, dtype=torch.bfloat16))
    y.sum().backward()
    assert (y.dtype, linear.weight.grad.dtype) == (torch.bfloat16, torch.float32)
    with torch.no_grad():
        for _ in range(8):
            linear.weight -= 0.001  # a bfloat16 below 1 has steps of 0.0039
    assert linear.weight[0, 0].item() == pytest.approx(0.992, abs=1e-5)


def test_the_whole_model_is_one_graph():
    args = replace(EXACT, dtype="float32", activation_dtype="bfloat16")
    model = gpt(args)
    torch.nn.init.normal_(model.lm_head.weight, std=0.02)
    eager = model(*text(args))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert compiled(*text(args)).item() == pytest.approx(eager.item(), abs=1e-3)


# --------------------------------------------------------------------------------------- the model


def test_logits_are_capped():
    z = torch.tensor([-1000.0, 0.0, 0.01, 5.0, 15.0, 30.0, 1000.0], dtype=torch.float64)
    z.requires_grad_()
    capped = script.softcap(z, RECORD.logit_cap)
    expected = [-30, 0, 0.01, 4.954, 13.864, 22.848, 30]
    assert capped.tolist() == pytest.approx(expected, abs=1e-3)
    capped.sum().backward()
    assert z.grad[3:6].tolist() == pytest.approx([0.973, 0.786, 0.420], abs=1e-3)


def test_padded_rows_only_take_probability_away():
    model = gpt(EXACT)
    torch.nn.init.normal_(model.lm_head.weight)
    inputs, targets = text(EXACT)
    logits = model.logits(inputs)
    assert logits.size(2) == 144 > EXACT.vocab_size
    cut = F.cross_entropy(logits[..., : EXACT.vocab_size].flatten(0, 1), targets.flatten())
    assert model(inputs, targets) > cut + 0.01


def test_values_are_mixed_with_the_first_blocks_and_these_are_handed_on_unmixed():
    attention = script.CausalSelfAttention(EXACT).double()
    x, other = torch.randn(2, 3, 9, EXACT.model_dim, dtype=torch.float64)
    with torch.no_grad():
        attention.lamb.fill_(0.2)
        own, v1 = attention(x, None)
        assert torch.equal(attention(x, v1)[0], own)  # of the first block: a mix of one with itself
        _, theirs = attention(other, None)
        mixed, handed_on = attention(x, theirs)
        assert torch.equal(handed_on, theirs)
        attention.lamb.fill_(1.0)
        assert torch.allclose(mixed, 0.8 * own + 0.2 * attention(x, theirs)[0], atol=1e-12)


def test_the_first_blocks_scalars_have_a_number_too_many():
    """Its lamb does nothing, and only the sum of its lambdas counts, since x is x0 there."""
    model = gpt(EXACT)
    for p in model.parameters():
        if p.dim() == 2:
            torch.nn.init.normal_(p, std=0.2)
    model(*text(EXACT)).backward()
    first, second = model.h[0], model.h[1]
    assert abs(first.attn.lamb.grad) < 1e-15 < 1e-6 < abs(second.attn.lamb.grad)
    stream, shortcut = first.lambdas.grad.tolist()
    assert stream == pytest.approx(shortcut, abs=1e-14)
    stream, shortcut = second.lambdas.grad.tolist()
    assert abs(stream - shortcut) > 1e-6


# ---------------------------------------------------------------------------------------- the step


def test_a_step_of_1_keeps_the_root_mean_square():
    """For every input if the matrix is tall or square; if it is wide, for inputs on average."""
    for (rows, cols), factor in {(768, 768): 1, (3072, 768): 2, (768, 3072): 1}.items():
        assert script.update_scale(rows, cols) == factor
    random = torch.Generator().manual_seed(0)
    for rows, cols in [(48, 12), (12, 12), (12, 48)]:
        W, x = (torch.randn(n, cols, dtype=torch.float64, generator=random) for n in (rows, 2000))
        left, _, right = torch.linalg.svd(W, full_matrices=False)
        y = x @ (script.update_scale(rows, cols) * left @ right).T
        ratios = y.square().mean(dim=1) / x.square().mean(dim=1)
        assert ratios.mean().item() == pytest.approx(1, abs=0.02)
        assert (ratios.std() < 1e-12) == (rows >= cols)


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_both_arrangements_of_newton_schulz_agree(shape):
    U = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for dtype, within in [(torch.float64, 1e-12), (torch.float32, 2e-6)]:
        ours, before = (
            module.zeropower_via_newtonschulz(U.to(dtype), 5, 1e-7, dtype)
            for module in (script, milestone01)
        )
        assert ours.dtype == dtype
        assert (ours - before).abs().max() < within


def test_the_new_arrangement_takes_three_quarters_of_the_work():
    """Of c_fc and c_proj in the record, in five iterations; as much as before of a square one."""
    gflops = {}
    for module in (milestone01, script):
        for shape in [(768, 3072), (3072, 768), (768, 768)]:
            with FlopCounterMode(display=False) as counter:
                U = torch.empty(shape, device="meta")
                module.zeropower_via_newtonschulz(U, 5, 1e-7, torch.bfloat16)
            gflops.setdefault(shape, []).append(round(counter.get_total_flops() / 1e9, 1))
    assert gflops == {(768, 3072): [54.4, 40.8], (3072, 768): [54.4, 40.8], (768, 768): [13.6] * 2}
