"""A run killed anywhere goes on with --resume, and its curve is that of a run left in peace."""

import json
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch

from milestones.harness import Run, main
from milestones.harness.curve import read_curve
from tests.conftest import LATEST, STEMS, csv_untimed, find_script, hashes, untimed

PLACES = ["before row", "after row", "in checkpoint"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing a curve takes as long as ten steps of it."""
    monkeypatch.setattr("milestones.harness.run.plot_curve", lambda *_: None)


@pytest.fixture
def uninterrupted(exact_curve):
    """uninterrupted(script): its curve.csv without the times, as run in memory."""
    return lambda script: untimed(exact_curve(script))


def kills(stem: str, number: int) -> list[tuple[int, str]]:
    """Random steps and places within them, always the same ones for a milestone."""
    dice = random.Random(f"{stem} {number}")
    return [(dice.randrange(40), dice.choice(PLACES)) for _ in range(number)]


def kill_and_resume(script, cli, interrupted, step: int, place: str) -> Path:
    flags = ["exact", "--save-every", 5]
    code, output = interrupted(script, *flags, "--folder", "run", step=step, place=place)
    folder = Path("run")
    # the last save ends the run: a kill in it comes late, but comes
    assert code == -signal.SIGKILL, output
    if place == "in checkpoint":
        assert (folder / "checkpoint.partial").exists()
    saved = (folder / "checkpoint.pt").exists()
    code, _, err = cli(script, *flags, "--resume", folder)
    assert code == 0, err
    assert ("no checkpoint yet" in err) != saved
    assert not (folder / "checkpoint.partial").exists()
    log = (folder / "log.txt").read_text()
    assert ("resumed at step" in log) == saved
    return folder


def check_killed_runs(script, cli, interrupted, want, number):
    stem = script.__name__.split(".")[1]
    chosen = kills(stem, number)
    print(f"{stem}: killed at", ", ".join(f"{step} ({place})" for step, place in chosen))
    for step, place in chosen:
        folder = kill_and_resume(script, cli, interrupted, step, place)
        assert untimed(read_curve(folder / "curve.csv")) == want, (step, place)
        times = [row.train_time_ms for row in read_curve(folder / "curve.csv")]
        assert times == sorted(times)  # the clock goes on from where it stood
        shutil.rmtree(folder)


def test_killed_at_random_steps(script, cli, interrupted, uninterrupted):
    check_killed_runs(script, cli, interrupted, uninterrupted(script), 2)


@pytest.mark.slow
def test_killed_at_twenty_random_steps(script, cli, interrupted, uninterrupted):
    check_killed_runs(script, cli, interrupted, uninterrupted(script), 20)


@pytest.mark.parametrize("script", LATEST, indirect=True)
@pytest.mark.parametrize(
    ("step", "place"),
    [
        pytest.param(0, "before row", id="before first row", marks=pytest.mark.slow),
        pytest.param(3, "after row", id="before first checkpoint"),
        pytest.param(5, "in checkpoint", id="in first checkpoint"),
        pytest.param(20, "in checkpoint", id="in a later one", marks=pytest.mark.slow),
    ],
)
def test_killed_at_an_awkward_moment(script, cli, interrupted, uninterrupted, step, place):
    folder = kill_and_resume(script, cli, interrupted, step, place)
    assert untimed(read_curve(folder / "curve.csv")) == uninterrupted(script)


@pytest.mark.slow
def test_killed_twice(cli, interrupted, uninterrupted):
    script = find_script(STEMS[-1])
    flags = ["exact", "--save-every", 5]
    assert interrupted(script, *flags, "--folder", "run", step=12)[0] == -signal.SIGKILL
    assert interrupted(script, *flags, "--resume", "run", step=23)[0] == -signal.SIGKILL
    assert json.loads(Path("run/run.json").read_text()).get("summary") is None
    assert cli(script, *flags, "--resume", "run")[0] == 0
    assert untimed(read_curve("run/curve.csv")) == uninterrupted(script)
    log = Path("run/log.txt").read_text()
    assert log.index("resumed at step 10") < log.index("resumed at step 20")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"]
)
@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_asked_to_stop(script, cli, interrupted, uninterrupted, number, code):
    """Finish the step, save although --save-every is off, say how to go on."""
    ended, output = interrupted(script, "exact", step=13, number=number, place="before row")
    (folder,) = Path("runs").glob("*/*")
    assert ended == code, output
    assert output.splitlines()[-1] == (
        f"stopped before step 14 and saved; to go on, repeat the command with --resume {folder}"
    )
    assert "Traceback" not in output
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 14
    assert len(csv_untimed(folder / "curve.csv")) == 1 + 14
    assert cli(script, "exact", "--resume", folder)[0] == 0
    assert untimed(read_curve(folder / "curve.csv")) == uninterrupted(script)
    assert "summary" in json.loads((folder / "run.json").read_text())


@pytest.mark.slow
def test_asked_to_stop_in_the_last_step(cli, interrupted, uninterrupted):
    """There is nothing left to stop: the run ends as always."""
    script = find_script(STEMS[-1])
    code, output = interrupted(
        script, "exact", "--folder", "run", step=39, number=signal.SIGTERM, place="before row"
    )
    assert code == 0, output
    assert untimed(read_curve("run/curve.csv")) == uninterrupted(script)
    assert "summary" in json.loads(Path("run/run.json").read_text())


def test_second_ctrl_c_leaves_at_once(interrupted):
    """The first is caught, the second ends the process in the middle of the step."""
    script = find_script(STEMS[-1])
    code, _ = interrupted(
        script, "exact", "--folder", "run", step=7, number=signal.SIGINT, place="twice"
    )
    assert code not in (0, 130) and not Path("run/checkpoint.pt").exists()
    assert len(read_curve("run/curve.csv")) == 7


@pytest.mark.slow
def test_signal_between_steps_waits_for_the_end_of_the_next(interrupted, cli):
    """Under several ranks all must stop at the same step: none may decide that on its own."""
    script = find_script(STEMS[-1])
    code, output = interrupted(
        script, "exact", "--folder", "run", step=13, number=signal.SIGTERM, place="after row"
    )
    assert code == 143 and "stopped before step 15" in output


@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_finished_run_is_left_as_it_is(script, cli, here):
    """A command repeated until it succeeds has succeeded; log.txt would get its last line twice."""
    assert cli(script, "exact", "--folder", "run")[0] == 0
    before = hashes(here)
    code, out, err = cli(script, "exact", "--resume", "run")
    assert (code, out) == (0, "") and hashes(here) == before
    assert err == "run: this run is finished already: there is nothing to go on with\n"


@pytest.mark.parametrize("script", LATEST, indirect=True)
def test_killed_between_the_last_checkpoint_and_the_summary(script, cli, here, uninterrupted):
    assert cli(script, "exact", "--folder", "run")[0] == 0
    content = json.loads((here / "run" / "run.json").read_text())
    del content["summary"]
    (here / "run" / "run.json").write_text(json.dumps(content))
    assert cli(script, "exact", "--resume", "run")[0] == 0
    assert untimed(read_curve("run/curve.csv")) == uninterrupted(script)
    assert "summary" in json.loads((here / "run" / "run.json").read_text())


# ------------------------------------------------------------------- what cannot be resumed


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """A run of the last milestone, stopped half-way; copied for each test below."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    script = find_script(STEMS[-1])
    log_train = Run.log_train

    def stop_at_12(run, step, loss):
        run.asked_to_stop = signal.SIGTERM if step == 11 else 0
        log_train(run, step, loss)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit, match="143"):
        patch.setattr(Run, "log_train", stop_at_12)
        main(script.__name__, ["exact", "--folder", str(folder)])
    return folder


def test_resumed_optimizer_state_matters(stopped_run, cli, here, uninterrupted, monkeypatch):
    """The comparison above would notice a checkpoint that forgets something."""
    script = find_script(STEMS[-1])
    shutil.copytree(stopped_run, here / "run")
    read_checkpoint = Run.read_checkpoint

    def forget(run):
        read_checkpoint(run)
        for state in run.resumed["optimizers"]:
            state["state"].clear()

    monkeypatch.setattr(Run, "read_checkpoint", forget)
    assert cli(script, "exact", "--resume", "run")[0] == 0
    rows, want = untimed(read_curve("run/curve.csv")), uninterrupted(script)
    assert rows[:13] == want[:13] and rows[13] != want[13]


@pytest.fixture
def refused(cli, here, stopped_run):
    """refused(script, *argv, damage=): the one line of a refusal that left no trace."""

    def run(script, *argv, damage=None) -> str:
        shutil.copytree(stopped_run, here / "run")
        if damage:
            damage(here / "run")
        before = hashes(here)
        code, out, err = cli(script, *argv)
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ") and err.count("\n") == 1 and len(err) < 400
        assert hashes(here) == before
        return err

    return run


def test_stopped_run_can_be_resumed(stopped_run, cli, here, uninterrupted):
    """The refusals below are not for want of a good run."""
    shutil.copytree(stopped_run, here / "run")
    script = find_script(STEMS[-1])
    command = ["exact", "--folder", "run"]  # repeated as it was, as the message says
    assert cli(script, *command, "--resume", "run")[0] == 0
    assert untimed(read_curve("run/curve.csv")) == uninterrupted(script)


def test_refuses_another_milestone(refused):
    err = refused(find_script(STEMS[0]), "exact", "--resume", "run")
    assert STEMS[0] in err and STEMS[-1] in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tiny"], ["preset", "exact", "tiny"]),
        (["exact", "--seed", "2"], ["seed 1", "2"]),
        (["exact", "--device-batch-size", "4"], ["device_batch_size 6", "4"]),
        (["exact", "--implementation", "solutions"], ["implementation", "solutions"]),
        (["exact", "--folder", "new"], ["--folder"]),
    ],
    ids=lambda value: " ".join(value) if value[0] in ("tiny", "exact") else "",
)
def test_refuses_another_run_than_the_one_in_the_folder(refused, argv, words):
    err = refused(find_script(STEMS[-1]), *argv, "--resume", "run")
    assert all(word in err for word in words), err


def test_refuses_a_folder_without_a_run(refused, here):
    (here / "empty").mkdir()
    script = find_script(STEMS[-1])
    err = refused(script, "exact", "--resume", "empty")
    assert err == "error: --resume empty: there is no run in this folder\n"
    shutil.rmtree(here / "run")
    assert "no run in this folder" in refused(script, "exact", "--resume", "nowhere")


def write(name: str, content: str | bytes):
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(content)


def truncate(folder: Path):
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "cut off": truncate,
    "empty": write("checkpoint.pt", b""),
    "text": write("checkpoint.pt", "not\na checkpoint\n"),
    "something else's": lambda folder: torch.save({"a": 1}, folder / "checkpoint.pt"),
    "code": lambda folder: torch.save({"step": print}, folder / "checkpoint.pt"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_refuses_a_damaged_checkpoint(refused, kind):
    err = refused(find_script(STEMS[-1]), "exact", "--resume", "run", damage=DAMAGE[kind])
    assert "run/checkpoint.pt cannot be read" in err


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00"])
def test_refuses_a_damaged_run_json(refused, content):
    script = find_script(STEMS[-1])
    err = refused(script, "exact", "--resume", "run", damage=write("run.json", content))
    assert "--resume: run/run.json: damaged (" in err and "put back what was there" in err


@pytest.mark.parametrize("name", ["curve.csv", "log.txt"])
def test_refuses_to_begin_a_lost_record_anew(refused, name):
    script = find_script(STEMS[-1])
    gone = refused(script, "exact", "--resume", "run", damage=lambda f: (f / name).unlink())
    assert f"--resume: run/{name}: no such file: put back what was there, or start" in gone


@pytest.mark.parametrize(
    "content", ["", "notes\n", "notes\nof mine\n", "step,tokens\na,b\n", b"\xff\n\xff\n"]
)
def test_refuses_a_damaged_curve(refused, content):
    script = find_script(STEMS[-1])
    err = refused(script, "exact", "--resume", "run", damage=write("curve.csv", content))
    assert "--resume: run/curve.csv: " in err
