"""python -m grader: how far you are, and help on the way."""

import shutil
import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from grader import board
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import Milestone, Task, find_milestone

SEEN = ROOT / ".grader" / "hints"


@dataclass(frozen=True)
class Board:
    """Your progress, and the next task."""


@dataclass(frozen=True)
class Hint:
    """The next hint for a task; each call shows one more."""

    task: tyro.conf.Positional[str]  # such as milestone01.2 or 01.2


@dataclass(frozen=True)
class Reset:
    """Put a milestone's file back to the stub; your own is kept beside it as .bak."""

    milestone: tyro.conf.Positional[str]  # such as milestone01


Command = (
    Annotated[Board, tyro.conf.subcommand("board")]
    | Annotated[Hint, tyro.conf.subcommand("hint")]
    | Annotated[Reset, tyro.conf.subcommand("reset")]
)


def find_task(name: str) -> tuple[Milestone, int, Task]:
    """By "milestone01.2" or "01.2".  UsageError if there is none."""
    stem, _, number = name.partition(".")
    milestone = find_milestone(stem)
    if not number.isdigit() or not 1 <= int(number) <= len(milestone.tasks):
        known = ", ".join(f"{milestone.number}.{i}" for i in range(1, len(milestone.tasks) + 1))
        raise UsageError(f"there is no task {name}: choose from {known}")
    return milestone, int(number), milestone.tasks[int(number) - 1]


def hint(name: str) -> str:
    """One hint more than last time."""
    milestone, number, task = find_task(name)
    counter = SEEN / f"{milestone.number}.{number}"
    shown = min(int(counter.read_text()) + 1 if counter.exists() else 1, len(task.hints))
    counter.parent.mkdir(parents=True, exist_ok=True)
    counter.write_text(str(shown))
    lines = [f"{i}. {text}" for i, text in enumerate(task.hints[:shown], 1)]
    rest = len(task.hints) - shown
    lines.append(
        f"({rest} more: ask again)" if rest else f"(that was all; solutions/{milestone.stem}.py)"
    )
    return "\n".join([f"{milestone.number}.{number} {task.name}", *lines])


def reset(name: str) -> str:
    milestone = find_milestone(name)
    path = ROOT / "exercises" / f"{milestone.stem}.py"
    if path.exists():
        shutil.copy(path, path.with_suffix(".py.bak"))
    shutil.copy(ROOT / "grader" / "stubs" / path.name, path)
    return f"exercises/{path.name} is the stub again; yours is in exercises/{path.name}.bak"


def main() -> None:
    words = sys.argv[1:] or ["board"]
    command = tyro.cli(Command, prog="python -m grader", description=__doc__, args=words)
    try:
        if isinstance(command, Hint):
            print(hint(command.task))
        elif isinstance(command, Reset):
            print(reset(command.milestone))
        else:
            print(board.text())
    except UsageError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
