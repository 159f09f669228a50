"""The grader names mistakes: those made in the script, by the marks left in the solution."""

import importlib

import pytest

from grader.judge import script_of, unit_outputs
from grader.marks import Mark, mark_of, stored
from grader.mistakes import edited
from tests.conftest import STEMS
from tests.grader.twins import TWINS


def named(stem: str, task: str, wrong) -> list[str]:
    """The sentences the grader would have for this module's `task`, by unit outputs."""
    seen = mark_of(unit_outputs(stem, task, wrong))
    marks = stored(stem)["marks"][task]
    return [says for says, (a, b, c) in marks.items() if seen.is_near(Mark(a, b, tuple(c)))]


@pytest.mark.parametrize("stem", STEMS)
def test_mistakes_are_named_and_none_wrongly(stem):
    script, unnamed, mistaken = script_of(stem), [], []
    mistakes = importlib.import_module(f"grader.mistakes.{stem}").MISTAKES
    assert set(TWINS[stem]) == {mistake.says for mistake in mistakes}
    for mistake in mistakes:
        try:
            found = named(stem, mistake.task, edited(script, TWINS[stem][mistake.says]))
        except Exception:  # a crash speaks for itself: line, call and Python's own words
            continue
        if not found:
            unnamed.append(mistake.says)
        elif found != [mistake.says]:
            mistaken.append((mistake.says, found))
    assert not mistaken
    assert len(unnamed) <= 0.05 * len(mistakes), unnamed


@pytest.mark.parametrize("stem", STEMS)
def test_what_is_right_has_no_mark(stem):
    for task in script_of(stem).EXERCISES:
        assert named(stem, task, script_of(stem)) == []
