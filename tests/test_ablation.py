"""The ablation ladder of milestone 04: every rung is what its name says, and no run is lost."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from milestones.harness import UsageError, replay
from milestones.harness.curve import Row
from milestones.milestone04_unet_skips import ablation
from milestones.milestone04_unet_skips import train_gpt as m04
from milestones.race import MEASURED

TINY = m04.PRESETS["tiny"]
L = TINY.num_layers
SHORT = {"num_iterations": 3, "warmdown_iters": 1, "val_batches": 1, "val_loss_every": 3}
RUNGS = ablation.LADDER | ablation.BESIDE


def model_of(rung: str) -> m04.GPT:
    """As a run of that rung begins, but with projections that are not zero."""
    frozen, fields = RUNGS[rung]
    torch.manual_seed(1)
    model = m04.GPT(replace(TINY, **fields))
    ablation.initial_weights(frozen, model)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("c_proj.weight") or name == "lm_head.weight":
                torch.nn.init.normal_(p, std=0.1)
    return model


def trained_numbers(model: m04.GPT) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_every_rung_trains_what_it_has_more_than_the_one_below():
    counts = [trained_numbers(model_of(rung)) for rung in ablation.LADDER]
    more = [after - before for before, after in pairwise(counts)]
    assert more == [0, L, 2 * L, 0, 0, L // 2]
    assert counts[-1] == sum(p.numel() for p in m04.GPT(TINY).parameters())
    (beside,) = ablation.BESIDE
    assert trained_numbers(model_of(beside)) == counts[-1] - L


def test_blocks_of_record_8_see_neither_embedding_nor_first_values():
    block = model_of("record 8").h[1]
    x, x0, other = torch.randn(3, 2, 8, TINY.model_dim)
    v1, other_v1 = torch.randn(2, 2, 8, TINY.num_heads, TINY.model_dim // TINY.num_heads)
    assert torch.equal(block(x, x0, v1)[0], block(x, other, other_v1)[0])
    assert not torch.allclose(block(x, x0, v1)[0], x)


def test_fixed_value_residual_sees_first_values_only():
    block = model_of("+ value residual, fixed at 0.5").h[1]
    x, x0, other = torch.randn(3, 2, 8, TINY.model_dim)
    v1, other_v1 = torch.randn(2, 2, 8, TINY.num_heads, TINY.model_dim // TINY.num_heads)
    assert torch.equal(block(x, x0, v1)[0], block(x, other, v1)[0])
    assert not torch.allclose(block(x, x0, v1)[0], block(x, x0, other_v1)[0])


@pytest.mark.parametrize("rung", RUNGS)
def test_skips_are_in_the_last_rung_alone(rung):
    model = model_of(rung)
    x0 = torch.randn(2, 8, TINY.model_dim)
    x, v1 = x0, None
    for block in model.h:
        x, v1 = block(x, x0, v1)
    without = rung in ablation.LADDER and rung != "+ U-net skips (milestone 04)"
    assert torch.allclose(m04.unet(model.h, model.skip_weights, x0), x) == without


@pytest.mark.parametrize("rung", RUNGS)
def test_what_is_frozen_stays_and_all_else_moves(rung):
    model = model_of(rung)
    optimizers = m04.build_optimizers(model, TINY, SimpleNamespace(rank=0, world_size=1))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    inputs, targets = torch.randint(TINY.vocab_size, (2, 4, 16))
    m04.forward_backward(model, inputs, targets, device_batch_size=4)
    m04.optimizer_step(model, optimizers, TINY)
    stayed = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    frozen = {name for name in before if name.split(".")[-1] in RUNGS[rung][0]}
    assert stayed == frozen | {"h.0.attn.lamb"}  # the first block's has no effect


def test_cap_and_momentum_come_with_their_rungs():
    def fields(rung):
        return replace(TINY, **RUNGS[rung][1])

    for rung, ramp, cap in (
        ("+ embedding shortcut", False, False),
        ("+ momentum warm-up", True, False),
        ("+ soft cap (record 9)", True, True),
    ):
        assert (m04.get_momentum(0, fields(rung)) < TINY.momentum) == ramp
        capped = m04.softcap(torch.tensor(30.0), fields(rung).logit_cap).item()
        assert (abs(capped - 30) > 1e-5) == cap


def test_last_rung_is_the_milestone_itself():
    rows = ablation.run_rung("+ U-net skips (milestone 04)", 3, **SHORT)
    shard = str(ablation.synthetic.CORPUS / "corpus_train_000003.bin")
    own = replay(m04, "tiny", seed=3, train_files=shard, **SHORT)
    assert [row.step for row in rows] == [0, 3]
    assert [row.val_loss for row in rows] == [row.val_loss for row in own if row.step in (0, 3)]
    assert rows[-1].val_loss != ablation.run_rung("record 8", 3, **SHORT)[-1].val_loss


def test_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    file, asked = tmp_path / "new" / "ablation.csv", []

    def run_rung(rung, seed):
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.append((rung, seed))
        return [Row(0, 0, val_loss=4.5), Row(3, 1536, val_loss=len(asked))]

    monkeypatch.setattr(ablation, "run_rung", run_rung)
    with pytest.raises(KeyboardInterrupt):
        ablation.ablate(ablation.Settings(seeds=(3,), file=file))
    first, kept = list(asked), ablation.read(file)
    assert list(kept) == first
    assert [row.val_loss for row in kept[first[-1]]] == [4.5, 4]
    asked.clear()
    monkeypatch.setattr(ablation, "run_rung", lambda *run: asked.append(run) or [Row(0, 0)])
    ablation.ablate(ablation.Settings(seeds=(3,), file=file))
    assert first + asked == [(r, 3) for r in (ablation.BEFORE, *RUNGS)]
    assert not list(file.parent.glob("*.partial"))


def test_a_seed_without_text_is_refused():
    with pytest.raises(UsageError, match="--seeds 11: choose from 1 to 10"):
        ablation.ablate(ablation.Settings(seeds=(3, 11), file=Path("unused")))


def test_the_committed_ladder_is_whole():
    curves = ablation.read(MEASURED / "ablation.csv")
    seeds = {seed for _, seed in curves}
    assert len(seeds) >= 3
    assert not seeds & {1, 2}  # they tuned
    assert set(curves) == {(r, s) for r in (ablation.BEFORE, *RUNGS) for s in seeds}
    assert {curve[-1].step for curve in curves.values()} == {TINY.num_iterations}
