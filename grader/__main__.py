"""python -m grader: how far you are, and help on the way."""

import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import Annotated

import tyro

from grader import board
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import find_milestone, find_task

SEEN = ROOT / ".grader" / "hints"


@dataclass(frozen=True)
class Board:
    """Your progress, and the next task."""


@dataclass(frozen=True)
class Hint:
    """The next hint for a task; each call shows one more."""

    task: tyro.conf.Positional[str]  # such as 01.2, milestone01.2 or Muon


@dataclass(frozen=True)
class Reset:
    """Put a milestone's file back to the stub; your own is kept beside it as .bak."""

    milestone: tyro.conf.Positional[str]  # such as milestone01


Command = (
    Annotated[Board, tyro.conf.subcommand("board")]
    | Annotated[Hint, tyro.conf.subcommand("hint")]
    | Annotated[Reset, tyro.conf.subcommand("reset")]
)


def hint(name: str) -> str:
    """One hint more than last time."""
    milestone, number, task = find_task(name)
    counter = SEEN / f"{milestone.number}.{number}"
    shown = min(int(counter.read_text()) + 1 if counter.exists() else 1, len(task.hints))
    counter.parent.mkdir(parents=True, exist_ok=True)
    counter.write_text(str(shown))
    lines = [
        textwrap.indent(f"{i}. {text}", "   ").removeprefix("   ")
        for i, text in enumerate(task.hints[:shown], 1)
    ]
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
