"""Real torchrun on CPUs (gloo): the curve does not depend on the number of ranks."""

import pytest

from milestones.harness.curve import read_curve
from tests.conftest import LATEST, STEMS, find_script, losses

# A run whose rank 0 or 1 does something at step 12, before or after its row is written.
DRIVER = """
import os, signal, sys, time
from milestones.harness import Run, main

module, rank, place, deed, *argv = sys.argv[1:]
log_train = Run.log_train

def act(run):
    if deed == "SIGTERM to torchrun":
        os.kill(os.getppid(), signal.SIGTERM)
        while not run.asked_to_stop:  # the other rank meanwhile waits for this one
            time.sleep(0.01)
    else:
        os.kill(os.getpid(), getattr(signal, deed))

def log_train_and_act(run, step, loss):
    mine = step == 12 and run.rank == int(rank)
    if mine and place == "before row":
        act(run)
    log_train(run, step, loss)
    if mine and place == "after row":
        act(run)

Run.log_train = log_train_and_act
main(module, argv)
"""


@pytest.fixture
def driven(torchrun, here):
    """driven(script, rank, place, deed, *argv): the same for two ranks of the driver above."""
    (here / "driver.py").write_text(DRIVER)

    def run(script, rank: int, place: str, deed: str, *argv) -> tuple[int, str]:
        return torchrun(2, "driver.py", script.__name__, rank, place, deed, *argv)

    return run


def check_same_curve(folder, want):
    """Every row; losses to 1e-10, because the ranks' sums are rounded in another order."""
    rows = read_curve(folder / "curve.csv")
    assert [(row.step, row.tokens) for row in rows] == [(row.step, row.tokens) for row in want]
    deviation = max(abs(a - b) for a, b in zip(losses(rows), losses(want), strict=True))
    print(f"{folder.name}: largest deviation from one rank {deviation:.1e}")
    assert deviation < 1e-10


@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_same_curve_on_several_ranks(script, torchrun, here, exact_curve, ranks):
    flags = ["exact", "--folder", "run"]
    code, err = torchrun(ranks, "-m", script.__name__, *flags)
    assert code == 0, err
    check_same_curve(here / "run", exact_curve(script))
    assert f'"world_size": {ranks}' in (here / "run" / "run.json").read_text()
    log = (here / "run" / "log.txt").read_text()
    assert log.count("step:20/40 val_loss") == 1  # rank 0 alone writes


@pytest.mark.slow
def test_solutions_on_two_ranks(script, torchrun, here, exact_curve):
    flags = ["exact", "--folder", "run", "--implementation", "solutions"]
    code, err = torchrun(2, "-m", script.__name__, *flags)
    assert code == 0, err
    assert err.count("implementation: ") == 1
    check_same_curve(here / "run", exact_curve(script))


@pytest.mark.slow
def test_killed_on_two_ranks_and_resumed_on_one(script, driven, cli, here, exact_curve):
    flags = ["exact", "--save-every", 5]
    code, err = driven(script, 0, "after row", "SIGKILL", *flags, "--folder", "run")
    assert code != 0 and len(read_curve(here / "run" / "curve.csv")) == 13, err
    code, _, err = cli(script, *flags, "--resume", "run")
    assert code == 0, err
    assert "resumed at step 10" in (here / "run" / "log.txt").read_text()
    check_same_curve(here / "run", exact_curve(script))


@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_sigterm_to_torchrun_saves_and_one_rank_goes_on(script, driven, cli, here, exact_curve):
    deed = ["before row", "SIGTERM to torchrun"]
    code, err = driven(script, 0, *deed, "exact", "--folder", "run")
    assert code != 0
    assert err.count("stopped before step 13 and saved") == 1, err
    assert err.count("--resume run") == 1 and "--resume None" not in err
    assert (here / "run" / "checkpoint.pt").exists()
    code, _, err = cli(script, "exact", "--resume", "run")
    assert code == 0, err
    check_same_curve(here / "run", exact_curve(script))


@pytest.mark.slow
def test_signal_to_one_rank_stops_both_and_both_resume(script, driven, torchrun, here, exact_curve):
    """Between two steps, where the other rank cannot know: it must be told in the next one."""
    code, err = driven(script, 1, "after row", "SIGTERM", "exact", "--folder", "run")
    assert code != 0
    assert err.count("stopped before step 14 and saved") == 1, err
    code, err = torchrun(2, "-m", script.__name__, "exact", "--resume", "run")
    assert code == 0, err
    check_same_curve(here / "run", exact_curve(script))


def test_bad_input_is_reported_once(torchrun, here):
    flags = ["exact", "--train-files", "nowhere.bin"]
    code, err = torchrun(2, "-m", find_script(STEMS[-1]).__name__, *flags)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code != 0 and len(lines) == 1, err
    assert "nowhere.bin: no such shards" in lines[0]
    assert list(here.iterdir()) == []


def test_bad_command_line_is_reported_by_rank_0_alone(script, cli, here, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    code, _, err = cli(script, "exact", "--sede", "3")
    assert code == 2 and "--sede" in err
    monkeypatch.setenv("RANK", "1")
    assert cli(script, "exact", "--sede", "3") == (2, "", "")
    assert list(here.iterdir()) == []
