"""The race: the arithmetic of its table, and a whole one of a few steps."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from milestones import race
from milestones.harness import Stopped, UsageError
from milestones.harness.curve import Row, read_curve
from milestones.harness.injection import ROOT
from milestones.table import find_milestone, milestones
from tests.conftest import find_script


def curve(*losses, every=10):
    return [Row(i * every, 0, val_loss=loss) for i, loss in enumerate(losses)]


def test_steps_between_two_validations():
    assert race.steps_to(curve(4.0, 3.0, 2.0), 2.5) == 15
    assert race.steps_to(curve(4.0, 3.0, 2.0), 3.0) == 10
    assert race.steps_to(curve(4.0, 3.0, 2.0), 1.9) is None
    assert race.steps_to(curve(4.0, 2.0, 3.0, 2.0), 2.5) == 7.5  # the first time counts


def result(name, *curves):
    return race.Result(name, 512, 8192, list(curves), [10.0] * len(curves))


def test_table_says_who_is_not_ahead():
    baseline = result("00 slow", curve(4.0, 3.0, 2.0), curve(4.0, 3.0, 2.2))
    ahead = result("01 fast", curve(4.0, 2.0, 1.0), curve(4.0, 2.0, 1.5))
    never = result("02 stuck", curve(4.0, 3.5, 3.0), curve(4.0, 2.0, 1.0))
    lines = race.table([baseline, ahead, never], 2.1, 0.5).splitlines()
    assert "2.100 ± 0.141" in lines[1]
    assert "1.600" in lines[1]  # above the floor
    assert "10 ± 0" in lines[2]
    assert "2.1x" in lines[2]
    assert "not ahead" not in lines[2]
    assert "1 of 2 seeds never reach it" in lines[3]
    assert "not ahead of the one before" in lines[3]


def test_table_says_what_is_the_same():
    baseline = result("00 slow", curve(4.0, 3.0, 2.0))
    fast, shared = [result(name, curve(4.0, 2.0, 1.0)) for name in ("01 fast", "02 shared")]
    lines = race.table([baseline, fast, shared], 2.0, 0.5).splitlines()
    assert "the same curve" not in lines[2]
    assert lines[3].endswith("the same curve")


@pytest.fixture
def short(monkeypatch):
    """`tiny` of a few steps."""
    for milestone in milestones():
        script = find_script(milestone.stem)
        args = replace(
            script.PRESETS["tiny"], num_iterations=50, warmup_iters=5, val_batches=1,
            portable_init=True,  # the same weights, in whatever order init_weights draws them
            **({"warmdown_iters": 20} if hasattr(script.PRESETS["tiny"], "warmdown_iters") else {}),
        )  # fmt: skip
        monkeypatch.setitem(script.PRESETS, "tiny", args)


def test_a_whole_race(short, tmp_path):
    folder = tmp_path / "race"
    text = race.race(race.Settings(seeds=(3, 4), folder=folder, implementation="solutions"))
    for milestone in milestones():
        assert f"\n{milestone.short} " in text
        assert f"\n{milestone.short}, solutions " in text
        ours = read_curve(folder / milestone.stem / "seed3" / "curve.csv")
        theirs = read_curve(folder / f"{milestone.stem}-yours" / "seed3" / "curve.csv")
        assert theirs[-1].val_loss == pytest.approx(ours[-1].val_loss, abs=0.02)
        other = read_curve(folder / milestone.stem / "seed4" / "curve.csv")
        assert other[-1].val_loss != ours[-1].val_loss
    assert {path.name for path in folder.glob("race.*")} == {"race.csv", "race.png", "race.txt"}
    assert (folder / "race.txt").read_text() in text + "\n"


def test_a_rung_with_stubs_is_named_and_left_out(short, tmp_path, capsys):
    first, second = milestones()[:2]
    for folder, milestone in [("solutions", first), ("grader/stubs", second)]:
        shutil.copy(ROOT / folder / f"{milestone.stem}.py", tmp_path)
    settings = race.Settings(rungs=("00", "01"), seeds=(3,), implementation=str(tmp_path))
    text = race.race(replace(settings, folder=tmp_path / "race"))
    said = capsys.readouterr().out
    assert f"{second.short}, {tmp_path}: not started: get_lr, zeropower" in said
    assert f"\n{first.short}, {tmp_path} " in text and f"{second.short}, {tmp_path}" not in text


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("    raise TypeError('no\\nnever')\n", "TypeError: no: ask pytest"),
        ("    return float('nan')\n", "the training loss is nan at step "),
    ],
)
def test_code_that_fails_half_way_leaves_our_results(short, tmp_path, capsys, line, says):
    first = milestones()[0]
    text = (ROOT / "solutions" / f"{first.stem}.py").read_text()
    text += f"\n\ndef get_lr(step, args):\n{line}"
    (tmp_path / f"{first.stem}.py").write_text(text)
    settings = race.Settings(rungs=("00",), seeds=(3,), implementation=str(tmp_path))
    table = race.race(replace(settings, folder=tmp_path / "race"))
    said = capsys.readouterr().out.splitlines()
    assert any(x.startswith(f"{first.short}, {tmp_path}: left out: {says}") for x in said)
    assert any(x.endswith("ask pytest grader/ -k milestone00") for x in said)
    assert f"\n{first.short} " in table and f"{tmp_path} " not in table
    assert (tmp_path / "race" / "race.txt").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Stopped("--resume it", 2)])
def test_a_race_that_is_stopped_says_what_there_is(here, monkeypatch, capsys, end):
    monkeypatch.setattr(race, "run_rung", mock.Mock(side_effect=end))
    monkeypatch.setattr(sys, "argv", ["race", "--folder", "race"])
    with pytest.raises(SystemExit) as ended:
        race.main()
    said = capsys.readouterr().err
    assert ended.value.code == 130 and said.count("\n") == 1 and "--resume" not in said
    assert said.startswith("stopped: no table, what was trained is in race;")


@pytest.mark.parametrize(
    ("error", "says"),
    [(FileExistsError(17, "there"), "--folder race is there"), (OSError(28, "full"), "race: full")],
)
def test_a_disk_that_refuses_is_one_line(here, monkeypatch, error, says):
    monkeypatch.setattr(race.synthetic, "generate", dict)  # which makes a folder too
    monkeypatch.setattr(Path, "mkdir", mock.Mock(side_effect=error))
    monkeypatch.setattr(sys, "argv", ["race", "--folder", "race"])
    with pytest.raises(SystemExit) as ended:
        race.main()
    assert ended.value.code.startswith(f"error: {says}") and "\n" not in ended.value.code


def test_nothing_to_race_is_refused_before_any_work(short, tmp_path):
    settings = race.Settings(rungs=("00",), seeds=(3,), implementation="grader/stubs")
    with pytest.raises(UsageError, match="no milestone is complete in grader/stubs"):
        race.race(replace(settings, folder=tmp_path / "race"))
    assert not (tmp_path / "race").exists()


def test_wishes_that_cannot_be_granted(tmp_path):
    for settings, phrase in [
        (race.Settings(rungs=("42",)), "no milestone 42"),
        (race.Settings(seeds=(11,)), "from 1 to 10"),
        (race.Settings(implementation="nowhere"), "nowhere"),
    ]:
        with pytest.raises(UsageError, match=phrase):
            race.race(replace(settings, folder=tmp_path / "race"))
        assert not (tmp_path / "race").exists()


def test_milestones_are_found_by_number_and_name():
    first = milestones()[0]
    for name in ("00", "milestone00", first.stem):
        assert find_milestone(name) is first
    for name in ("0", "milestone0", "milestone00_muon", "baseline"):
        with pytest.raises(UsageError, match="choose from"):
            find_milestone(name)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--rungs 00 milestone00", "--rungs names one twice: name each once"),
        ("--seeds 3 4 3", "--seeds names one twice: name each once"),
        ("--folder notes", "--folder notes is a file: choose another name"),
        ("--folder results", "--folder results is there already: choose another name"),
        ("--folder notes/race", "--folder notes/race cannot be made: "),
    ],
)
def test_requests_refused_in_one_line(here, monkeypatch, argv, message):
    (here / "notes").write_text("mine")
    (here / "results").mkdir()
    monkeypatch.setattr(sys, "argv", ["race", *argv.split()])
    with pytest.raises(SystemExit) as end:
        race.main()
    assert end.value.code.startswith(f"error: {message}") and "\n" not in end.value.code
    assert sorted(path.name for path in here.rglob("*")) == ["notes", "results"]
