"""milestones.toml as objects: the one table of milestones, for the race, the board and the book."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from milestones.harness import UsageError


@dataclass(frozen=True)
class Task:
    """One exercise: a function or class that the learner writes."""

    name: str  # in EXERCISES of the script
    minutes: int  # it takes a learner
    lines: int  # to write
    hints: tuple[str, ...]  # revealed one at a time, the last is nearly the answer


@dataclass(frozen=True)
class Milestone:
    """One milestone; figures are those of the published run, on 8xH100."""

    stem: str  # "milestone01_muon": its folder, exercise, solution, notebook and test
    title: str
    record: str  # its number in the speedrun's table
    idea: str
    params: int
    steps: int
    tokens: int
    val_loss: float  # nats
    minutes: float
    log: str  # folder in upstream's records/track_1_short
    tasks: tuple[Task, ...]  # in the order of EXERCISES

    @property
    def number(self) -> str:
        return self.stem[len("milestone") :][:2]

    @property
    def short(self) -> str:
        """ "01 muon" """
        return self.stem.removeprefix("milestone").replace("_", " ")


@cache
def milestones() -> list[Milestone]:
    """All milestones, in order."""
    with (Path(__file__).parent / "milestones.toml").open("rb") as file:
        table = tomllib.load(file)
    return [
        Milestone(stem, **entry | {"tasks": tuple(map(_task, entry["tasks"]))})
        for stem, entry in sorted(table.items())
    ]


def _task(entry: dict) -> Task:
    return Task(**entry | {"hints": tuple(entry["hints"])})


def find_milestone(name: str) -> Milestone:
    """By "01", "milestone01" or the whole stem.  UsageError if there is none."""
    digits = re.match(r"(?:milestone)?(\d\d)(?:_|$)", name)
    found = [m for m in milestones() if digits and m.number == digits[1]]
    if not found or (name.startswith("milestone") and not found[0].stem.startswith(name)):
        raise UsageError(
            f"there is no milestone {name}: choose from {', '.join(m.stem for m in milestones())}"
        )
    return found[0]


def find_task(name: str) -> tuple[Milestone, int, Task]:
    """By "milestone01.2", "01.2" or the task's own name.  UsageError if there is none."""
    named = [(m, i, t) for m in milestones() for i, t in enumerate(m.tasks, 1) if t.name == name]
    if named:
        return named[-1]
    stem, _, number = name.partition(".")
    milestone = find_milestone(stem.zfill(2))
    if not number.isdigit() or not 1 <= int(number) <= len(milestone.tasks):
        known = ", ".join(f"{milestone.number}.{i}" for i in range(1, len(milestone.tasks) + 1))
        raise UsageError(f"there is no task {name}: choose from {known}")
    return milestone, int(number), milestone.tasks[int(number) - 1]
