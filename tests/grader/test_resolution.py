"""The bet of the grader, in brief: `make resolution` measures it in full."""

import numpy as np
import pytest

from grader.mistakes import edited
from tests.grader import resolution
from tests.grader.resolution import RADIUS, TOLERANCE, catalogue_of, script_of, solution_of
from tests.grader.twins import TWINS

WEAKEST = {  # by curve; resolution.md lists all
    "milestone00_baseline": "only norms are spared: the biases of the linears decay",
    "milestone01_muon": "a coefficient short of a digit: 2.031 instead of 2.0315",
}
FARTHEST = {  # the equivalents that move a curve most
    "milestone00_baseline": "a running softmax over blocks of keys, as in FlashAttention",
    "milestone01_muon": "momentum as an average, with the look-ahead that belongs to it",
}
each_milestone = pytest.mark.parametrize("stem", resolution.SCRIPTS)


@pytest.fixture(scope="module")
def right() -> dict[str, list[float]]:
    return {stem: resolution.curve(script_of(stem)) for stem in resolution.SCRIPTS}


def entry(entries: list, says: str):
    return next(e for e in entries if e.says == says)


@each_milestone
def test_another_hand_and_other_last_digits_stay_within_a_quarter(stem, right):
    theirs = resolution.curve(script_of(stem), solution_of(stem))
    with resolution.LastDigit(seed=0):
        nudged = resolution.curve(script_of(stem))
    assert nudged != right[stem]  # the digits did change
    for curve in (theirs, nudged):
        assert resolution.distance(curve, right[stem]) < TOLERANCE / 4


@each_milestone
def test_the_farthest_equivalent_stays_within_a_quarter(stem, right):
    equivalent = entry(catalogue_of(stem).EQUIVALENTS, FARTHEST[stem])
    learner = edited(solution_of(stem), equivalent.edits)
    seen = resolution.curve(script_of(stem), learner, [equivalent.task])
    assert resolution.distance(seen, right[stem]) < TOLERANCE / 4


@each_milestone
def test_the_weakest_mistake_is_outside_and_known_by_its_twin(stem, right):
    mistake = entry(catalogue_of(stem).MISTAKES, WEAKEST[stem])
    learner = edited(solution_of(stem), mistake.edits)
    mark = resolution.curve(script_of(stem), learner, [mistake.task])
    seen = resolution.curve(edited(script_of(stem), TWINS[stem][mistake.says]))
    assert resolution.distance(seen, right[stem]) > 4 * TOLERANCE
    assert resolution.recognise(seen, {mistake.says: mark}, resolution.distance)
    assert resolution.tells(mark, right[stem])


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
    right = {task: resolution.unit_outputs(script, script, task) for task in script.EXERCISES}
    marks = {task: {} for task in script.EXERCISES}
    for m in catalogue.MISTAKES:
        learner = edited(solution, m.edits)
        marks[m.task][m.says] = resolution.unit_outputs(script, learner, m.task)
    count = 0
    for m in catalogue.MISTAKES:
        learner = edited(script, TWINS[stem][m.says])
        units = resolution.unit_outputs(script, learner, m.task)
        named = resolution.recognise(units, marks[m.task], resolution.unit_distance)
        assert named in ([], [m.says])
        count += named == [m.says] and resolution.unit_distance(right[m.task], units) > RADIUS
    assert count >= 0.95 * len(catalogue.MISTAKES)
    for e in catalogue.EQUIVALENTS:
        units = resolution.unit_outputs(script, edited(solution, e.edits), e.task)
        assert resolution.unit_distance(right[e.task], units) < RADIUS


def test_curves_that_are_not_finite_are_infinitely_far():
    inf, nan = float("inf"), float("nan")
    assert resolution.distance([4.0, 3.0], [4.0, nan]) == inf
    assert resolution.distance([4.0, 3.0], [4.0]) == inf
    assert resolution.distance([4.0, nan], [4.5, inf]) == 0.5
    assert resolution.recognise([4.0], {"a": [4.0], "b": [5.0]}, resolution.distance) == ["a"]


def test_a_curve_that_ends_where_it_was_right_marks_nothing():
    nan = float("nan")
    assert not resolution.tells([4.0, nan], [4.0, 3.0])
    assert resolution.tells([4.1, nan], [4.0, 3.0])


def test_another_shape_or_exception_is_infinitely_far_and_huge_numbers_are_relative():
    numbers = np.array([1e9, 1.0])
    assert resolution.unit_distance(([(2,)], numbers), ([(2, 1)], numbers)) == float("inf")
    assert resolution.unit_distance((["ValueError"], numbers), (["KeyError"], numbers)) > 1
    assert resolution.unit_distance(([], numbers), ([], numbers + 1)) == 1
    assert resolution.unit_distance(([], numbers[:1]), ([], numbers[:1] + 1)) < 1e-8
