"""The test cases of a milestone: each of its tasks alone, all together, and on a GPU."""

from collections.abc import Callable

import pytest

from grader.judge import GPU
from milestones.table import find_milestone


def cases_of(stem: str) -> Callable:
    """A parametrised test function, to be bound to a name that begins with test_."""
    names = [task.name for task in find_milestone(stem).tasks]
    ids = [f"{number}-{name}" for number, name in enumerate(names, 1)]

    @pytest.mark.parametrize("name", [*names, "", GPU], ids=[*ids, "all-together", GPU])
    def test_task(grade, name):
        grade(stem, name)

    return test_task
