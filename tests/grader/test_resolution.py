"""The bet of the grader, in brief: `make resolution` measures it in full."""

from pathlib import Path

import pytest
import torch

from grader.judge import (
    TOLERANCE,
    UNIT_TOLERANCE,
    agree,
    judge,
    known_curve,
    recognised,
    script_of,
    unit_outputs,
)
from grader.marks import curve_distance
from grader.mistakes import edited
from grader.units import Cost
from tests.grader import resolution
from tests.grader.resolution import catalogue_of, solution_of, unit_distance
from tests.grader.twins import TWINS

WEAKEST = {  # by curve; resolution.md lists all
    "milestone00_baseline": "only norms are spared: the biases of the linears decay",
    "milestone01_muon": "a coefficient short of a digit: 2.031 instead of 2.0315",
    "milestone02_modern_arch": "half of the pairs not turned, as in later records",
    "milestone03_distributed_muon": "scale sqrt(rows) instead of sqrt(max(rows, cols))",
    "milestone04_unet_skips": "a coefficient short of a digit: 2.031 instead of 2.0315",
}
FARTHEST = {  # the equivalents that move a curve most
    "milestone00_baseline": "a running softmax over blocks of keys, as in FlashAttention",
    "milestone01_muon": "momentum as an average, with the look-ahead that belongs to it",
    "milestone02_modern_arch": "positions counted from 1: only differences of positions count",
    "milestone03_distributed_muon": "the buffer kept multiplied by the momentum, changed in place",
    "milestone04_unet_skips": (
        "tanh by exponentials, of what lies between -20 and 20: beyond, it is 1"
    ),
}
each_milestone = pytest.mark.parametrize("stem", resolution.STEMS)


@pytest.fixture(scope="module")
def right() -> dict[str, list[float]]:
    return {stem: resolution.curve(script_of(stem)) for stem in resolution.STEMS}


def entry(entries: list, says: str):
    return next(e for e in entries if e.says == says)


@each_milestone
def test_another_hand_and_other_last_digits_stay_within_a_quarter(stem, right):
    theirs = resolution.curve(script_of(stem), solution_of(stem))
    with resolution.LastDigit(seed=0):
        nudged = resolution.curve(script_of(stem))
    assert nudged != right[stem]  # the digits did change
    for curve in (theirs, nudged):
        assert curve_distance(curve, right[stem]) < TOLERANCE / 4


@each_milestone
def test_the_farthest_equivalent_stays_within_a_quarter(stem, right):
    equivalent = entry(catalogue_of(stem).EQUIVALENTS, FARTHEST[stem])
    learner = edited(solution_of(stem), equivalent.edits)
    seen = resolution.curve(script_of(stem), learner, [equivalent.task])
    assert curve_distance(seen, right[stem]) < TOLERANCE / 4


@each_milestone
def test_the_weakest_mistake_is_outside_and_known_by_its_twin(stem, right):
    mistake = entry(catalogue_of(stem).MISTAKES, WEAKEST[stem])
    learner = edited(solution_of(stem), mistake.edits)
    mark = resolution.curve(script_of(stem), learner, [mistake.task])
    seen = resolution.curve(edited(script_of(stem), TWINS[stem][mistake.says]))
    assert curve_distance(seen, right[stem]) > 4 * TOLERANCE
    assert curve_distance(seen, mark) < TOLERANCE / 10
    assert known_curve(stem, seen) == [mistake.says]


@each_milestone
def test_every_mistake_is_made_twice_and_every_task_has_three(stem):
    script, catalogue = script_of(stem), catalogue_of(stem)
    tasks = [mistake.task for mistake in catalogue.MISTAKES]
    assert set(tasks) == set(script.EXERCISES)
    assert min(tasks.count(task) for task in script.EXERCISES) >= 3
    says = [m.says for m in [*catalogue.MISTAKES, *catalogue.EQUIVALENTS]]
    assert len(set(says)) == len(says)
    assert set(TWINS[stem]) == {mistake.says for mistake in catalogue.MISTAKES}
    assert len(catalogue.EQUIVALENTS) >= 6


@each_milestone
def test_unit_outputs_name_most_mistakes_none_wrongly_and_accept_every_equivalent(stem):
    script, solution, catalogue = script_of(stem), solution_of(stem), catalogue_of(stem)
    right = {task: unit_outputs(stem, task, None) for task in script.EXERCISES}
    unnamed = []
    for m in catalogue.MISTAKES:
        units = unit_outputs(stem, m.task, edited(script, TWINS[stem][m.says]))
        assert unit_distance(right[m.task], units) > UNIT_TOLERANCE, m.says
        named = recognised(stem, m.task, units)
        assert named in ([], [m.says])
        unnamed += [m.says] if not named else []
    assert len(unnamed) <= 0.05 * len(catalogue.MISTAKES), unnamed
    for e in catalogue.EQUIVALENTS + catalogue.SLOW:
        units = unit_outputs(stem, e.task, edited(solution, e.edits))
        assert recognised(stem, e.task, units) == []
        differ = [
            call for (call, a), (_, b) in zip(right[e.task], units, strict=True) if not agree(a, b)
        ]
        assert all(isinstance(call, Cost) for call in differ), e.says


@each_milestone
def test_what_is_right_has_no_mark(stem):
    for task in script_of(stem).EXERCISES:
        assert recognised(stem, task, unit_outputs(stem, task, None)) == []


@each_milestone
def test_what_is_too_slow_is_right_and_said_to_be_slow(stem, tmp_path):
    for e in catalogue_of(stem).SLOW:
        text = Path(solution_of(stem).__file__).read_text()
        for old, new in e.edits:
            text = text.replace(old, new)
        (tmp_path / f"{stem}.py").write_text(text)
        assert judge(stem, e.task, str(tmp_path)).status == "TOO SLOW", e.says


def test_curves_that_are_not_finite_are_infinitely_far():
    inf, nan = float("inf"), float("nan")
    assert curve_distance([4.0, 3.0], [4.0, nan]) == inf
    assert curve_distance([4.0, 3.0], [4.0]) == inf
    assert curve_distance([4.0, nan], [4.5, inf]) == 0.5


def test_a_curve_that_ends_where_it_was_right_marks_nothing():
    nan = float("nan")
    assert not resolution.tells([4.0, nan], [4.0, 3.0])
    assert resolution.tells([4.1, nan], [4.0, 3.0])


def test_another_shape_or_exception_is_infinitely_far_and_huge_numbers_are_relative():
    one, two = [("f(1)", torch.tensor([1e9, 1.0]))], [("f(1)", torch.tensor([[1e9, 1.0]]))]
    assert unit_distance(one, two[:0]) == float("inf")
    assert unit_distance(one, [("raised", "KeyError")]) == float("inf")
    assert unit_distance([("raised", "ValueError")], [("raised", "KeyError")]) == float("inf")
    assert unit_distance(one, [("f(1)", one[0][1] + 1)]) == 1
    assert unit_distance([("f(1)", 1e9)], [("f(1)", 1e9 + 1)]) < 1e-8
