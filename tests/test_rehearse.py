"""The rehearsal: the first steps of the run itself, a checkpoint, a resume, and a forecast."""

import json
import math
import re
import signal
import types
from pathlib import Path

import pytest
import torch

from milestones.harness import Run
from milestones.harness.curve import Row, read_curve
from milestones.harness.errors import RehearsalFailed
from milestones.harness.ranks import Ranks
from milestones.harness.rehearsal import (
    TOLERANCE,
    Part,
    check_resume,
    difference,
    forecast,
    rehearsal_folder,
)
from milestones.harness.run import Options
from tests.conftest import LATEST, STEMS, find_script, hashes
from tests.test_preflight import narrow, shards  # noqa: F401 (a fixture)

SUMMARY = re.compile(
    r"rehearsed 20 of (\d+) steps, curve in \S+-rehearsal/curve.png\n"
    r"    resumed      the uninterrupted losses, bit for bit\n"
    r"    a step       \d+\.\d ms, [\d,]+ tokens/s\n"
    r"    validation   \d+ ms\n"
    r"    peak memory  \d+\.\d GiB\n"
    r"    whole run    about \d+ (?:s|min)(, \$\d+\.\d\d)?\n"
)


@pytest.fixture
def curves(monkeypatch):
    """Losses of both parts of each rehearsal, as [first, second], by step."""
    seen = []
    play = Part.play

    def play_and_keep(part):
        try:
            return play(part)
        finally:
            seen.append({row.step: row.train_loss for row in part.history})

    monkeypatch.setattr(Part, "play", play_and_keep)
    return seen


def test_is_the_run_itself_for_twenty_steps(script, cli, here, exact_curve, curves):
    code, out, err = cli(script, "exact", "--rehearse", "--price-per-hour", 24)
    assert code == 0, err
    found = SUMMARY.search(out)
    assert found and found[1] == "40" and found[2]
    assert err == "rehearsal: resumed before step 10\n"
    want = {row.step: row.train_loss for row in exact_curve(script)[:20]}
    assert curves == [want, want]  # the schedule is not squeezed, and --resume is exact
    (folder,) = here.glob("runs/*/*")
    assert re.fullmatch(r"\d{8}-\d{6}-exact-rehearsal", folder.name)
    rows = read_curve(folder / "curve.csv")
    assert [row.step for row in rows if row.val_loss == row.val_loss] == [0, 10]
    assert {row.step: row.train_loss for row in rows} == want
    assert (folder / "curve.png").exists() and not list(folder.glob("checkpoint*"))
    summary = json.loads((folder / "run.json").read_text())["summary"]
    assert summary["resume_difference"] == 0 and summary["whole_run_seconds"] > 0


def test_tiny(cli):
    code, out, _ = cli(find_script(STEMS[-1]), "tiny", "--rehearse", "--folder", "a/b")
    assert code == 0 and SUMMARY.search(out)[1] == "600"
    assert "curve in a/b-rehearsal/curve.png" in out


def test_narrowed_record_on_a_cpu(script, cli, shards):  # noqa: F811
    flags = [*narrow(script), "--num-iterations", 30, "--device", "cpu", "--rehearse"]
    code, out, err = cli(script, "record", *flags)
    assert code == 0, err
    assert SUMMARY.search(out)[1] == "30"
    assert err.startswith("preflight: ")


@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_two_ranks(script, torchrun, here, exact_curve):
    code, err = torchrun(2, "-m", script.__name__, "exact", "--rehearse", "--folder", "run")
    assert code == 0, err
    assert [path.name for path in here.iterdir()] == ["run-rehearsal"]
    content = json.loads((here / "run-rehearsal" / "run.json").read_text())
    assert content["world_size"] == 2 and content["summary"]["resume_difference"] == 0
    rows, want = read_curve(here / "run-rehearsal" / "curve.csv"), exact_curve(script)[:20]
    assert [row.train_loss for row in rows] == pytest.approx(
        [row.train_loss for row in want], abs=1e-10
    )


def test_checkpoint_that_forgets_is_found_out(script, cli, here, monkeypatch):
    read_checkpoint = Run.read_checkpoint

    def forget(run):
        read_checkpoint(run)
        for state in run.resumed["optimizers"]:
            state["state"].clear()

    monkeypatch.setattr(Run, "read_checkpoint", forget)
    code, out, err = cli(script, "exact", "--rehearse", "--folder", "run")
    assert code == 1
    assert re.search(r"error: resumed, the run goes on differently, by \d\.\de-\d\d nats", err)
    assert "    resumed      at most " in out
    assert not list((here / "run-rehearsal").glob("checkpoint*"))


def test_stopped_half_way(interrupted, here):
    script = find_script(STEMS[-1])
    flags = ["exact", "--rehearse", "--folder", "run"]
    code, output = interrupted(script, *flags, step=13, number=signal.SIGTERM, place="before row")
    assert code == 143 and output.splitlines()[-1] == "rehearsal stopped"
    assert not list((here / "run-rehearsal").glob("checkpoint*"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--num-iterations", 1, "--warmup-iters", 0], "num_iterations of 2 or more"),
        (["--num-iterations", 4000], "the run needs 4000"),  # the shards must do for all of it
        (["--folder", "old"], "old-rehearsal already holds a run"),
    ],
    ids=["one step", "few shards", "folder"],
)
def test_refused_before_any_work(cli, here, flags, words):
    (here / "old-rehearsal").mkdir()
    for name in ("run.json", "checkpoint.pt"):
        (here / "old-rehearsal" / name).write_text("{}")
    before = hashes(here), sorted(here.iterdir())
    code, out, err = cli(find_script(STEMS[0]), "exact", "--rehearse", *flags)
    assert (code, out) == (2, "") and err.count("\n") == 1 and words in err
    assert (hashes(here), sorted(here.iterdir())) == before


def test_few_steps(cli):
    """Where no step is timed nothing is foretold."""
    script = find_script(STEMS[0])
    flags = ["--num-iterations", 3, "--warmup-iters", 1, "--rehearse"]
    code, out, _ = cli(script, "exact", *flags)
    assert code == 0
    assert "a step       not measured: the first steps are not timed" in out
    assert "whole run    not known" in out


def test_every_rank_writes_where_rank_0_does(monkeypatch):
    """The default folder is named after the time, and clocks differ."""
    script = find_script(STEMS[0])
    ranks = Ranks(1, 2, torch.device("cpu"))
    run = Run(script, "exact", script.PRESETS["exact"], Options(), ranks)
    name = Path("as-rank-0-says")
    send = "torch.distributed.broadcast_object_list"
    monkeypatch.setattr(send, lambda box: box.__setitem__(0, name))
    assert rehearsal_folder(run) == name


def test_difference_of_two_parts():
    def part(*losses):
        rows = [Row(step, 0, train, val) for step, (train, val) in enumerate(losses)]
        return types.SimpleNamespace(history=rows)

    one = part((5.0, 5.5), (4.0, math.nan))
    assert difference(one, one) == 0
    assert difference(one, part((5.25, 5.5), (4.0, math.nan))) == 0.25
    assert difference(one, part((5.0, 5.5), (3.5, math.nan))) == 0.5
    assert math.isnan(difference(one, part((5.0, math.nan), (4.0, math.nan))))


def test_forecast():
    """20 steps in 30 s; 80 more of 1 s; of 5 validations the two of the first part are done."""
    script = find_script(STEMS[0])
    args = script.Hyperparameters(num_iterations=100, val_loss_every=25)
    import torch

    run = Run(script, "record", args, Options(), Ranks(0, 1, torch.device("cpu")))
    first = Part(run, run.default_folder(), 20, resume=False)
    first.clock.milliseconds, first.clock.steps, first.evaluation_seconds = 10_000, 10, 2.0
    assert forecast(run, first, 30.0)["whole_run_seconds"] == pytest.approx(30 + 80 + 3 * 2)


@pytest.mark.parametrize(("device", "limit"), [("cpu", 0.0), ("cuda", TOLERANCE)])
def test_how_far_a_resumed_run_may_go_astray(device, limit):
    """Bit for bit on a CPU; kernels of a GPU may add up in another order."""
    script = find_script(STEMS[0])
    ranks = Ranks(0, 1, torch.device(device))
    run = Run(script, "record", script.PRESETS["record"], Options(), ranks)
    check_resume(run, limit)
    for nats in (limit + 1e-6, float("nan")):
        with pytest.raises(RehearsalFailed):
            check_resume(run, nats)
