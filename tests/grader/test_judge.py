"""What the grader says: each status word, from a solution with one thing done to it."""

from pathlib import Path

import pytest

from grader.judge import judge
from grader.verdict import PASSED
from milestones.harness.injection import ROOT
from tests.conftest import STEMS, find_script

NS = "zeropower_via_newtonschulz"
STEM = "milestone01_muon"
SOLUTION = (ROOT / "solutions" / f"{STEM}.py").read_text()
FROBENIUS = "    frobenius ="

# task, old and new text of the solution, status, a phrase of the message
FAULTS = [
    (NS, "gram = X @ X.mT", "gram = X @ (X.mT", "CANNOT LOAD", "^ '(' was never closed"),
    (NS, "import torch\n", "import torhc\n", "CANNOT LOAD", "No module named 'torhc'"),
    (NS, "def split_qkv", "def split_kqv", "CANNOT LOAD", "does not define split_qkv"),
    (
        NS,
        "steps: int, eps: float,",
        "eps: float, steps: int,",
        "SIGNATURE",
        "(U, steps, eps, dtype)",
    ),
    (NS, FROBENIUS, "    U.foo()\n" + FROBENIUS, "CRASH", "no attribute 'foo'"),
    (NS, FROBENIUS, "    raise NotImplementedError('later')\n    frobenius =", "TODO", "later"),
    (NS, "in range(steps)", "in iter(int, 1)", "HANG", "endless loop"),
    (NS, FROBENIUS, "    import os; os._exit(0)\n" + FROBENIUS, "ENDED", "exit code 0"),
    (NS, FROBENIUS, "    raise SystemExit(0)\n" + FROBENIUS, "ENDED", "sys.exit"),
    (NS, "eps, dtype).mT", "eps, dtype)", "SHAPE", "That is the transpose"),
    (NS, "    return X\n", "    return -X\n", "WRONG VALUES", "-1 times the expected value"),
    (NS, "- 4.7750", "+ 4.7750", "WRONG VALUES", "not a finite number any more"),
    (NS, FROBENIUS, "    U.mul_(2)\n" + FROBENIUS, "CHANGED INPUT", "must stay as it was"),
    ("get_lr", "num_iterations - step", "num_iterations - step - 1", "WRONG VALUES", "get_lr(14,"),
    ("split_parameters", 'startswith("h.")', 'startswith("")', "WRONG VALUES", "wte.weight"),
    # right for every unit call, wrong for what only training brings: a batch of steps
    ("Muon", "weight -= group", "weight -= (len(self.state) < 9) * group", "CURVE", "up to step 1"),
]


@pytest.mark.parametrize(("task", "old", "new", "status", "phrase"), FAULTS)
def test_status_words(tmp_path, task, old, new, status, phrase):
    assert SOLUTION.count(old) == 1
    (tmp_path / f"{STEM}.py").write_text(SOLUTION.replace(old, new))
    verdict = judge(STEM, task, str(tmp_path), seconds=4 if status == "HANG" else 30)
    assert verdict.status == status, verdict.text
    assert phrase in verdict.text


def test_what_is_imported_is_borrowed(tmp_path):
    text = SOLUTION.replace(NS, "mine") + f"\nfrom milestones.{STEM}.train_gpt import {NS}\n"
    (tmp_path / f"{STEM}.py").write_text(text)
    verdict = judge(STEM, NS, str(tmp_path))
    assert verdict.status == "BORROWED"
    assert f"milestones.{STEM}.train_gpt" in verdict.text


def test_a_class_that_inherits_ours_is_borrowed(tmp_path):
    ours = f"from milestones.{STEM}.train_gpt import Muon as Base\n\n\nclass Muon(Base):"
    (tmp_path / f"{STEM}.py").write_text(
        SOLUTION.replace("class Muon(torch.optim.Optimizer):", ours)
    )
    assert judge(STEM, "Muon", str(tmp_path)).status == "BORROWED"


def test_no_file(tmp_path):
    verdict = judge(STEM, NS, str(tmp_path))
    assert (verdict.status, "there is no such file" in verdict.text) == ("CANNOT LOAD", True)


@pytest.mark.parametrize("stem", STEMS)
def test_stubs_are_red_and_solutions_green(stem):
    for name in [*find_script(stem).EXERCISES, ""]:
        assert judge(stem, name, "grader/stubs").status == "TODO"
        verdict = judge(stem, name, "solutions")
        assert verdict.status == PASSED, verdict.text


def test_a_stub_of_another_task_does_not_fail_a_right_one(tmp_path):
    stub = (ROOT / "grader" / "stubs" / f"{STEM}.py").read_text()
    right = SOLUTION[SOLUTION.index("def get_lr") : SOLUTION.index(f"def {NS}")]
    (tmp_path / f"{STEM}.py").write_text(stub + "\n\n" + right)
    assert judge(STEM, "get_lr", str(tmp_path)).status == PASSED
    assert judge(STEM, NS, str(tmp_path)).status == "TODO"
    assert judge(STEM, "", str(tmp_path)).status == "TODO"


def test_grading_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert judge(STEM, "get_lr", "solutions").status == PASSED
    assert not list(Path(tmp_path).iterdir())
