"""Facts about milestone 02 that need no training run: closed forms, and PyTorch's own modules."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from milestones.harness.initialization import initialize
from milestones.milestone02_modern_arch import train_gpt as script

EXACT, RECORD = script.PRESETS["exact"], script.PRESETS["record"]
TRUE_SIZES = replace(RECORD, num_layers=2, autocast=False)  # vocabulary, width, heads


def gpt(args, dtype=torch.float64):
    model = script.GPT(args).to(dtype)
    initialize(model, script.init_weights, seed=1, portable=True)
    return model


def text(args, rows=2):
    tokens = torch.randint(args.vocab_size, (rows, 65), generator=torch.Generator().manual_seed(0))
    return tokens[:, :-1], tokens[:, 1:]


def test_parameters_to_the_digit():
    with torch.device("meta"):
        model = script.GPT(RECORD)
    assert sum(p.numel() for p in model.parameters()) == 123_568_128
    assert model.wte.weight.shape == (50304, 768)
    assert model.h[0].attn.num_heads == 6
    table, matrices = script.split_parameters(model)
    assert (len(table), len(matrices)) == (1, 72)
    assert sum(p.numel() for p in matrices) == 84_934_656


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1), (3649, 1), (3650, 1), (3651, 1449 / 1450), (5099, 1 / 1450)],
)
def test_trapezoid_of_the_record(step, factor):
    assert script.get_lr(step, RECORD) == pytest.approx(factor, abs=1e-12)


def test_record_reads_as_many_tokens_as_published():
    assert RECORD.num_iterations * RECORD.tokens_per_step == 2_673_868_800


def test_first_loss_is_that_of_predicting_the_token_just_read():
    """The blocks are the identity: its own logit is sqrt(D / 3) = 16, all others are near 0.

    Published, on FineWeb: 16.0058.
    """
    expected = math.log(math.exp(16) + 50303 * math.exp(1 / 6))
    assert expected == pytest.approx(16.0067, abs=1e-4)
    with torch.no_grad():
        loss = gpt(TRUE_SIZES, torch.float32)(*text(TRUE_SIZES, rows=16)).item()
    assert loss == pytest.approx(16.0, abs=0.1)


def test_blocks_start_as_the_identity():
    model = gpt(EXACT)
    x = torch.randn(2, 8, EXACT.model_dim, dtype=torch.float64)
    for block in model.h:
        assert torch.equal(block(x), x)


def test_which_weights_the_first_step_moves():
    """The gradients of q, k, v and c_fc are exactly 0, and their update is, not nan."""
    model = gpt(EXACT)
    optimizers = script.build_optimizers(model, EXACT)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(*text(EXACT)).backward()
    script.optimizer_step(model, optimizers, EXACT)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if "c_proj" in name} | {"wte.weight"}
    assert all(p.isfinite().all() for p in model.parameters())


def test_what_starts_at_zero():
    for name, p in gpt(EXACT).named_parameters():
        if name.endswith("c_proj.weight"):
            assert not p.any()
        else:
            bound = 1 / math.sqrt(p.size(1))
            assert 0.9 * bound < p.abs().max().item() <= bound


def test_rows_of_the_table():
    assert script.next_multiple_of_n(50257, 128) == 50304 == 393 * 128
    for v in range(1, 50):
        for n in range(1, 20):
            assert script.next_multiple_of_n(v, n) == math.ceil(v / n) * n


def test_padded_rows_only_take_probability_away():
    """They are in the softmax: without them every loss would be lower."""
    model = gpt(EXACT)
    inputs, targets = text(EXACT)
    logits = model.logits(inputs)
    assert logits.size(2) == 144 > EXACT.vocab_size
    whole = model(inputs, targets)
    cut = F.cross_entropy(logits[..., : EXACT.vocab_size].flatten(0, 1), targets.flatten())
    assert whole > cut + 0.01


def test_scores_are_bounded_and_blind_to_the_size_of_their_weights():
    """Cauchy-Schwarz: q and k are sqrt(h) long, so |q . k| / sqrt(h) is at most sqrt(h)."""
    attention = script.CausalSelfAttention(EXACT).double()
    x = torch.randn(2, 16, EXACT.model_dim, dtype=torch.float64)
    y = attention(x)
    with torch.no_grad():
        attention.c_q.weight.mul_(1000)
        attention.c_k.weight.mul_(1000)
    assert torch.allclose(attention(x), y, atol=1e-4)  # but for norm_eps
    q = script.rms_norm(attention.c_q(x).view(2, 16, 2, 16), EXACT.norm_eps)
    assert torch.allclose(q.norm(dim=3), torch.full((2, 16, 2), 4.0, dtype=torch.float64))


@pytest.mark.parametrize("heads", [2, 4])
def test_attention_equals_its_parts_in_pytorch(heads):
    args = replace(EXACT, num_heads=heads)
    attention = script.CausalSelfAttention(args).double()
    x = torch.randn(3, 9, args.model_dim, dtype=torch.float64)
    parts = []
    for i in range(heads):
        rows = slice(i * 32 // heads, (i + 1) * 32 // heads)
        q, k, v = (x @ c.weight[rows].T for c in (attention.c_q, attention.c_k, attention.c_v))
        q, k = (F.rms_norm(z, z.shape[2:], eps=args.norm_eps) for z in (q, k))
        q, k = (script.rotary(z[:, :, None], args.rotary_base)[:, :, 0] for z in (q, k))
        scores = (q @ k.mT / math.sqrt(32 // heads)).masked_fill(
            torch.ones(9, 9, dtype=torch.bool).triu(1), -torch.inf
        )
        parts.append(scores.softmax(-1) @ v)
    expected = torch.cat(parts, dim=2) @ attention.c_proj.weight.T
    assert torch.allclose(attention(x), expected, atol=1e-12)


def test_mlp_is_relu_squared():
    mlp = script.MLP(EXACT).double()
    x = torch.randn(3, EXACT.model_dim, dtype=torch.float64)
    hidden = x @ mlp.c_fc.weight.T
    expected = hidden.clamp(min=0).square() @ mlp.c_proj.weight.T
    assert torch.allclose(mlp(x), expected, atol=1e-12)
    assert torch.allclose(mlp(3 * x), 9 * mlp(x), atol=1e-12)  # of degree two
