"""Facts about milestone 00 that need no training run: counts, shapes, closed forms."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from milestones.milestone00_baseline import train_gpt as script

EXACT, RECORD = script.PRESETS["exact"], script.PRESETS["record"]


def meta_model(args):
    with torch.device("meta"):
        return script.GPT(args)


def test_parameters_to_the_digit():
    assert sum(p.numel() for p in meta_model(RECORD).parameters()) == 124_439_808


def test_decayed_and_undecayed_parameters():
    decayed, others = script.decay_groups(meta_model(RECORD), 0.1)
    assert (len(decayed["params"]), len(others["params"])) == (50, 98)
    assert sum(p.numel() for p in decayed["params"]) == 124_318_464
    assert sum(p.numel() for p in others["params"]) == 121_344
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("step", "lr"),
    [(0, 8.57e-7), (699, 6.0e-4), (5000, 5.26e-4), (10_000, 3.06e-4), (15_000, 8.2e-5)],
)
def test_learning_rate_of_the_published_log(step, lr):
    assert RECORD.learning_rate * script.get_lr(step, RECORD) == pytest.approx(lr, rel=6e-3)


def test_record_reads_as_many_tokens_as_published():
    assert RECORD.num_iterations * RECORD.tokens_per_step == 10_255_073_280
    assert RECORD.val_batches * RECORD.tokens_per_step == 10_485_760


def test_a_published_shard_yields_190_batches():
    assert script.batches_in_shard(100_000_000, 512, 1024) == 190
    assert script.batches_in_shard(512 * 1024, 512, 1024) == 0  # the last target is missing
    assert script.batches_in_shard(512 * 1024 + 1, 512, 1024) == 1


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_share_the_window_of_a_batch(world_size):
    shard = np.arange(1000, dtype=np.uint16)
    parts = [script.cut_batch(shard, 3, 12, 5, rank, world_size) for rank in range(world_size)]
    inputs, targets = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
    assert torch.equal(inputs, torch.arange(180, 240).view(12, 5))
    assert torch.equal(targets, inputs + 1)


def test_large_ids_survive_the_shard():
    inputs, _ = script.cut_batch(np.full(20, 50_256, dtype=np.uint16), 0, 2, 4)
    assert inputs.dtype == torch.int64
    assert (inputs == 50_256).all()


def test_attention_cannot_see_the_future():
    torch.manual_seed(0)
    attention = script.CausalSelfAttention(EXACT).double()
    x = torch.randn(2, 8, EXACT.model_dim, dtype=torch.float64)
    changed = x.clone()
    changed[:, 5] += 1
    before, after = attention(x), attention(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_the_head_is_the_table():
    model = script.GPT(EXACT)
    assert model.lm_head.weight is model.wte.weight
    assert "lm_head.weight" not in dict(model.named_parameters())


def test_initial_spreads():
    model = script.GPT(script.Hyperparameters(num_layers=2, vocab_size=5000))
    torch.manual_seed(0)
    script.init_weights(model)
    spreads = {name: p.std().item() for name, p in model.named_parameters()}
    assert spreads["wte.weight"] == pytest.approx(0.02, rel=0.01)
    assert spreads["h.0.attn.c_attn.weight"] == pytest.approx(0.02, rel=0.01)
    for name in ("h.1.attn.c_proj.weight", "h.1.mlp.c_proj.weight"):
        assert spreads[name] == pytest.approx(0.02 / math.sqrt(4), rel=0.01)


def test_micro_batches_give_the_gradient_of_the_whole():
    torch.manual_seed(0)
    model = script.GPT(EXACT).double()
    script.init_weights(model)
    tokens = torch.randint(0, EXACT.vocab_size, (12, EXACT.sequence_length + 1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    losses, grads = [], []
    for rows in (12, 4, 1):
        losses.append(script.forward_backward(model, inputs, targets, rows).item())
        grads.append([p.grad.clone() for p in model.parameters()])
        model.zero_grad()
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-12)
    for other in grads[1:]:
        for a, b in zip(grads[0], other, strict=True):
            assert torch.allclose(a, b, atol=1e-14)


def test_clipping_bounds_the_norm_of_all_gradients_together():
    model = torch.nn.Linear(3, 3)
    for p in model.parameters():
        p.grad = torch.full_like(p, 10.0)
    seen = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer.step = lambda: seen.append(
        math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters()))
    )
    script.optimizer_step(model, [optimizer], script.Hyperparameters())
    assert seen == [pytest.approx(1.0, rel=1e-5)]
    assert all(p.grad is None for p in model.parameters())


def test_loss_is_cross_entropy_in_nats():
    torch.manual_seed(0)
    model = script.GPT(EXACT).double()
    script.init_weights(model)
    tokens = torch.randint(0, EXACT.vocab_size, (2, 9))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    logp = F.log_softmax(model.logits(inputs), dim=-1)
    by_hand = -logp.gather(2, targets[..., None]).mean()
    assert model(inputs, targets).item() == pytest.approx(by_hand.item(), abs=1e-12)
