"""The board: what was passed, what was changed since, and where to go on."""

import pytest

from grader import board
from grader.verdict import PASSED
from milestones.harness.injection import ROOT
from milestones.table import find_milestone

BASELINE, MUON = "milestone00_baseline", "milestone01_muon"


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """noted(stem, name, status): as if the learner's own file had just been graded."""
    monkeypatch.setattr(board, "RESULTS", tmp_path / "results.json")

    def note(stem: str, name: str, status: str, target: str = "exercises") -> None:
        board.note(stem, name, status, ROOT / "exercises" / f"{stem}.py", target)

    return note


def line(number: str) -> str:
    """A milestone's line, with one space where there are more."""
    found = next(line for line in board.text().splitlines() if line.startswith(number))
    return " ".join(found.split())


def test_nothing_is_done_at_first(noted):
    assert "□□□□□□ 0/6" in line("00")
    assert board.go_on().startswith("Next: 00.1 batches_in_shard, about 5 min")


def test_boxes_stand_below_one_another_whatever_the_title(noted):
    lines = [line for line in board.text().splitlines() if "□" in line]
    assert (
        len({line.index("□") for line in lines}) == len({line.rindex("/") for line in lines}) == 1
    )
    assert all(" □" in line and "□ " in line for line in lines)


def test_a_pass_counts_and_the_next_task_of_that_milestone_follows(noted):
    noted(MUON, "get_lr", PASSED)
    noted(MUON, "split_qkv", "WRONG VALUES")
    assert "■□x□□ 1/5" in line("01")
    assert "x not right yet" in board.text()
    assert "Next: 01.3 split_qkv" in board.text()  # the one graded last: it is not right yet
    noted(MUON, "split_qkv", PASSED)
    assert "Next: 01.4 Muon" in board.text()  # the one after it
    assert board.go_on().endswith("pytest grader/ -k 01.4")
    noted(MUON, "split_parameters", PASSED)
    assert "Next: 01.2 zeropower_via_newtonschulz" in board.go_on()  # what was left out


def test_what_was_changed_since_must_be_graded_again(noted, monkeypatch):
    noted(MUON, "get_lr", PASSED)
    monkeypatch.setattr(board, "digest", lambda path, name: "another text")
    assert "▨□□□□ 0/5" in line("01")
    assert "run it again" in board.text()


def test_a_gpu_that_is_not_there_is_no_pass(noted):
    noted(MUON, "gpu", "SKIPPED")
    assert line("01").endswith("0/5 cpu · 0/1 gpu")


def test_other_targets_leave_no_trace(noted):
    noted(MUON, "get_lr", PASSED, target="solutions")
    assert not board.RESULTS.exists()


def test_a_milestone_that_is_done_leads_to_the_others(noted):
    for task in find_milestone(BASELINE).tasks:
        noted(BASELINE, task.name, PASSED)
    assert "■■■■■■ 6/6" in line("00")
    assert "Next: 01.1" in board.go_on()
