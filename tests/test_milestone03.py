"""Facts about milestone 03: one curve for any number of ranks, and no momentum lost on the way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.shards import write_shard
from grader.ranks import Seat, meet, packed, run_ranks, unpacked
from milestones.harness import replay
from milestones.harness.curve import read_curve
from milestones.harness.injection import load_implementation
from milestones.harness.ranks import Ranks
from milestones.milestone02_modern_arch import train_gpt as before
from milestones.milestone03_distributed_muon import train_gpt as script
from tests.conftest import losses, resumed, saved, untimed

EXACT, RECORD = script.PRESETS["exact"], script.PRESETS["record"]
ROUNDING = 1e-12  # nats over 40 steps in float64; the ranks' sums are rounded in another order


@pytest.fixture(scope="module")
def curve_of_02() -> list[float]:
    return losses(replay(before))


def ranks_of(seat: Seat) -> Ranks:
    meet(seat)
    return Ranks(seat.rank, seat.world_size, torch.device("cpu"))


def whole_run(seat: Seat, preset: str, overrides: dict) -> list[float]:
    return losses(replay(script, preset, ranks=ranks_of(seat), **overrides))


def on(world_size: int, preset: str = "exact", **overrides) -> list[float]:
    """The losses of a run on so many ranks, from rank 0."""
    if world_size == 1:
        return losses(replay(script, preset, **overrides))
    ranks = run_ranks(whole_run, preset, overrides, world_size=world_size, seconds=300)
    assert all(each == pytest.approx(ranks[0], abs=ROUNDING) for each in ranks)
    return ranks[0]


def distance(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_the_curve_is_that_of_milestone_02(world_size, curve_of_02):
    assert distance(on(world_size), curve_of_02) < ROUNDING


@pytest.mark.parametrize("world_size", [4, pytest.param(2, marks=pytest.mark.slow)])
def test_ranks_that_own_unequal_shares_give_the_same_curve(world_size):
    """Three layers have 18 matrices: on four ranks 5, 5, 4 and 4."""
    changes = {"num_layers": 3, "num_iterations": 20, "warmdown_iters": 6}
    assert distance(on(world_size, **changes), losses(replay(before, **changes))) < ROUNDING


# ------------------------------------------------------------------------------------- checkpoints


def owned(muon) -> list[int]:
    """The matrices whose momentum is here."""
    return [i for i, p in enumerate(muon.param_groups[0]["params"]) if muon.state.get(p)]


def first_part(seat: Seat, learner) -> dict:
    rows, state = saved(script, 20, ranks_of(seat), learner)
    return {"losses": losses(rows), "state": packed(flat(state))}


def second_part(seat: Seat, state: dict, learner) -> dict:
    rows, (_, muon) = resumed(script, 20, state, ranks_of(seat), learner)
    return {"losses": losses(rows), "owned": owned(muon)}


def flat(state: dict) -> dict:
    """A checkpoint with text for keys: it goes through JSON to this process."""
    return {"model": dict(state["model"]), "optimizers": [keyed(o) for o in state["optimizers"]]}


def keyed(optimizer: dict) -> dict:
    return {**optimizer, "state": [[key, value] for key, value in optimizer["state"].items()]}


def whole(state: dict) -> dict:
    """The inverse of `flat`."""
    optimizers = [{**o, "state": dict(o["state"])} for o in state["optimizers"]]
    return {"model": state["model"], "optimizers": optimizers}


def test_a_checkpoint_of_three_ranks_is_that_of_one():
    _, alone = saved(script, 20)
    ranks = run_ranks(first_part, None, world_size=3, seconds=120)
    for rank in ranks:  # rank 0 writes it; all have it
        both = zip(alone["optimizers"], whole(unpacked(rank["state"]))["optimizers"], strict=True)
        for ours, theirs in both:
            assert ours["state"].keys() == theirs["state"].keys()
            for index, state in ours["state"].items():
                for name, value in state.items():
                    assert torch.allclose(value, theirs["state"][index][name], atol=1e-12)
    assert len(alone["optimizers"][1]["state"]) == 24
    assert all(s["momentum_buffer"].any() for s in alone["optimizers"][1]["state"].values())


@pytest.mark.parametrize(
    ("first", "then", "learner"),
    [
        (2, 3, ""),
        (3, 1, ""),
        pytest.param(1, 2, "", marks=pytest.mark.slow),
        pytest.param(4, 2, "", marks=pytest.mark.slow),
        pytest.param(2, 4, "solutions", marks=pytest.mark.slow),
        pytest.param(3, 2, "solutions", marks=pytest.mark.slow),
    ],
)
def test_saved_on_some_ranks_and_resumed_on_others(first, then, learner, curve_of_02):
    learner = load_implementation(learner, script) if learner else None
    ranks = run_ranks(first_part, learner, world_size=first, seconds=120)
    state = whole(unpacked(ranks[0]["state"]))
    rest = run_ranks(second_part, state, learner, world_size=then, seconds=120)
    assert distance(ranks[0]["losses"] + rest[0]["losses"], curve_of_02) < ROUNDING
    for rank, seen in enumerate(rest):
        assert seen["owned"] == list(range(rank, 24, then))


def test_a_resumed_run_on_one_rank_is_bit_for_bit():
    state = saved(script, 20)[1]
    assert untimed(resumed(script, 20, state)[0]) == untimed(replay(script))[20:]


def test_without_the_momentum_of_others_the_curve_leaves(curve_of_02):
    """What upstream's checkpoint lost: the comparison above would notice."""
    rows, state = saved(script, 20)
    for index in range(1, 24, 2):  # rank 1's of two
        state["optimizers"][1]["state"][index]["momentum_buffer"].zero_()
    got = losses(rows) + losses(resumed(script, 20, state)[0])
    assert distance(got, curve_of_02) > 1e-4


# ------------------------------------------------------------------------------------- the record


def test_ownership_of_the_record():
    """Six matrices a block and eight ranks: the pattern repeats every four blocks."""
    with torch.device("meta"):
        _, matrices = script.split_parameters(script.GPT(RECORD))
    layout = script.flat_layout(matrices, 8)
    shares = [
        [p for p, place in zip(matrices, layout, strict=True) if place[0] == r] for r in range(8)
    ]
    assert {len(share) for share in shares} == {9}
    assert {sum(p.numel() for p in share) for share in shares} == {10_616_832}
    assert layout[-1][2] == 84_934_656


def test_parameters_to_the_digit():
    with torch.device("meta"):
        model = script.GPT(RECORD)
    assert sum(p.numel() for p in model.parameters()) == 123_568_128


def test_the_record_is_milestone_02s_but_for_who_does_the_work():
    assert repr(RECORD) == repr(before.PRESETS["record"])
    assert repr(EXACT) == repr(before.PRESETS["exact"])


def test_the_records_bfloat16_buffer_on_two_ranks(tmp_path):
    """gloo adds bfloat16 up as well; the curve is that of one rank, to bfloat16's digits."""
    random = np.random.RandomState(0)
    for kind in ("train", "val"):
        write_shard(tmp_path / f"{kind}.bin", random.randint(0, 50_257, 3000))
    narrow = {
        "train_files": str(tmp_path / "train.bin"), "val_files": str(tmp_path / "val.bin"),
        "batch_size": 4, "device_batch_size": 2, "sequence_length": 32, "val_batches": 1,
        "num_layers": 2, "model_dim": 96, "num_heads": 3, "num_iterations": 6, "warmdown_iters": 2,
    }  # fmt: skip
    args = replace(RECORD, **narrow)
    assert args.newton_schulz_dtype == "bfloat16"
    one, two = on(1, "record", **narrow), on(2, "record", **narrow)
    assert distance(one, two) < 0.02
    assert one != two and all(np.isfinite(two))


@pytest.mark.slow
def test_injected_under_torchrun_with_three_ranks(torchrun, here: Path, curve_of_02):
    flags = ["exact", "--folder", "run", "--implementation", "solutions"]
    code, err = torchrun(3, "-m", script.__name__, *flags)
    assert code == 0, err
    assert distance(losses(read_curve(here / "run" / "curve.csv")), curve_of_02) < 1e-10
