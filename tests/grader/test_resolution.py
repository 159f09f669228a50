"""The bet of the grader, in brief: `make resolution` measures it in full."""

import pytest

from tests.grader import resolution
from tests.grader.mistakes import MILESTONE01, MILESTONE01_EQUIVALENTS, edited

TASKS = resolution.script_of("milestone01_muon").EXERCISES
WEAKEST = [m for m in MILESTONE01 if "short of a digit" in m.name or m.task == "split_qkv"]


@pytest.fixture(scope="module")
def right() -> dict[str, list[float]]:
    return {stem: resolution.curve(resolution.script_of(stem)) for stem in resolution.SCRIPTS}


@pytest.mark.parametrize("stem", resolution.SCRIPTS)
def test_another_hand_and_other_last_digits_stay_within_a_quarter(stem, right):
    script = resolution.script_of(stem)
    theirs = resolution.curve(script, resolution.solution_of(stem))
    with resolution.LastDigit(seed=0):
        nudged = resolution.curve(script)
    assert nudged != right[stem]  # the digits did change
    for curve in (theirs, nudged):
        assert resolution.distance(curve, right[stem]) < resolution.TOLERANCE / 4


@pytest.mark.parametrize("case", MILESTONE01_EQUIVALENTS, ids=lambda case: case[0])
def test_equivalents_stay_within_a_quarter(case, right):
    _, task, edits = case
    script, solution = (
        f("milestone01_muon") for f in (resolution.script_of, resolution.solution_of)
    )
    seen = resolution.curve(script, edited(solution, edits), [task])
    assert resolution.distance(seen, right["milestone01_muon"]) < resolution.TOLERANCE / 4


@pytest.mark.parametrize("mistake", WEAKEST, ids=lambda mistake: mistake.name)
def test_the_weakest_mistakes_are_far_outside_and_known_by_their_twin(mistake, right):
    script, solution = (
        f("milestone01_muon") for f in (resolution.script_of, resolution.solution_of)
    )
    seen = resolution.curve(edited(script, mistake.script))
    twin = resolution.curve(script, edited(solution, mistake.solution), [mistake.task])
    assert resolution.distance(seen, right["milestone01_muon"]) > 10 * resolution.TOLERANCE
    assert resolution.distance(seen, twin) < resolution.RADIUS


def test_every_mistake_can_be_made_in_both_and_lies_in_a_listed_name():
    script, solution = (
        f("milestone01_muon") for f in (resolution.script_of, resolution.solution_of)
    )
    assert {mistake.task for mistake in MILESTONE01} == set(TASKS)
    for mistake in MILESTONE01:
        edited(script, mistake.script)
        edited(solution, mistake.solution)


def test_curves_that_are_not_finite_are_infinitely_far():
    inf, nan = float("inf"), float("nan")
    assert resolution.distance([4.0, 3.0], [4.0, nan]) == inf
    assert resolution.distance([4.0, 3.0], [4.0]) == inf
    assert resolution.distance([4.0, nan], [4.5, inf]) == 0.5
    assert resolution.recognise([4.0], {"a": [4.0], "b": [5.0]}, resolution.distance) == ["a"]
