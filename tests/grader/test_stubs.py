"""The stubs: one for each exercise, with the script's signature, its number, its cost and hints."""

import importlib
import inspect
import os
import re

import pytest

from milestones.harness.injection import ROOT, load_implementation
from milestones.table import find_milestone
from tests.conftest import STEMS, find_script

TASKS = [(stem, name) for stem in STEMS for name in find_script(stem).EXERCISES]
every_task = pytest.mark.parametrize(("stem", "name"), TASKS, ids=[".".join(t) for t in TASKS])


def stub(stem: str, name: str):
    return getattr(load_implementation("grader/stubs", find_script(stem)), name)


def message(stem: str, name: str) -> str:
    position = find_script(stem).EXERCISES.index(name) + 1
    return f"milestone{find_milestone(stem).number}.{position} {name}: not started"


def methods(item) -> dict:
    """What a learner writes: the function itself, or a class's __init__ and public methods."""
    if not inspect.isclass(item):
        return {"": item}
    own = {name: m for name, m in vars(item).items() if inspect.isfunction(m)}
    return {name: m for name, m in own.items() if name == "__init__" or name[0] != "_"}


def signature(function) -> list[tuple]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.skipif("CI" not in os.environ, reason="a learner's exercises may differ")
def test_exercises_are_untouched_stubs():
    for folder in ("exercises", "grader/stubs"):
        assert sorted(path.stem for path in (ROOT / folder).glob("*.py")) == STEMS
    for stem in STEMS:
        exercise, pristine = ROOT / "exercises" / f"{stem}.py", ROOT / "grader/stubs" / f"{stem}.py"
        assert exercise.read_bytes() == pristine.read_bytes(), f"{exercise} is no stub any more"


@pytest.mark.parametrize("stem", STEMS)
def test_tasks_are_the_exercises(stem):
    tasks = find_milestone(stem).tasks
    assert tuple(task.name for task in tasks) == find_script(stem).EXERCISES
    for task in tasks:
        assert 1 <= task.minutes <= 40
        assert len(task.hints) >= 3
        assert all(hint and hint == hint.strip() for hint in task.hints)
        assert len(set(task.hints)) == len(task.hints)


@pytest.mark.parametrize("stem", STEMS)
def test_stubs_stand_in_the_order_of_their_numbers(stem):
    text = (ROOT / "grader/stubs" / f"{stem}.py").read_text()
    names = re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE)
    assert tuple(names) == find_script(stem).EXERCISES


@every_task
def test_stub_solution_and_script_have_one_signature(stem, name):
    script = find_script(stem)
    expected = methods(getattr(script, name))
    stubs = methods(stub(stem, name))
    solved = methods(getattr(load_implementation("solutions", script), name))
    assert stubs.keys() == expected.keys()
    for method, function in expected.items():
        assert signature(stubs[method]) == signature(function)
        assert signature(solved[method]) == signature(function)  # it may have helpers besides


@every_task
def test_stub_says_what_it_costs(stem, name):
    task = next(task for task in find_milestone(stem).tasks if task.name == name)
    lines = "1 line" if task.lines == 1 else f"{task.lines} lines"
    last = inspect.getdoc(stub(stem, name)).splitlines()[-1]
    assert last == f"About {task.minutes} minutes, {lines}."


@every_task
def test_stub_called_by_the_grader_is_not_started(stem, name):
    calls = getattr(importlib.import_module(f"grader.units.{stem}"), name)
    with pytest.raises(NotImplementedError) as error:
        list(calls(stub(stem, name), find_script(stem)))
    assert str(error.value) == message(stem, name)


@every_task
def test_every_method_of_a_stub_is_not_started(stem, name):
    for function in methods(stub(stem, name)).values():
        with pytest.raises(NotImplementedError) as error:
            function(*[None] * len(inspect.signature(function).parameters))
        assert str(error.value) == message(stem, name)
