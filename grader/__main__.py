"""python -m grader: how far you are, and help on the way."""

import ast
import math
import os
import shutil
import signal
import sys
import textwrap
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import tyro

from grader import board, collect, doctor, log, release, reports, workplace
from grader.judge import source
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import find_milestone, find_task, milestones

SEEN = ROOT / ".grader" / "hints"
ALL = tuple(milestone.number for milestone in milestones())
LEAST_MEMORY = 0.5  # GB; with 0.25, right tasks of milestones 02 and 04 were called CRASH


@dataclass(frozen=True)
class Board:
    """Your progress, and the next task."""


@dataclass(frozen=True)
class Hint:
    """The next hint for a task; each call shows one more."""

    task: tyro.conf.Positional[str]  # such as 01.2, milestone01.2 or Muon


@dataclass(frozen=True)
class Reset:
    """Put a milestone's file, or one task in it, back to the stub; yours is kept as .bak."""

    name: tyro.conf.Positional[str]  # such as milestone01, or 01.2 for one task


@dataclass(frozen=True)
class Doctor:
    """Check this machine; every line is OK, or FIX with what to do."""


@dataclass(frozen=True)
class Log:
    """Hold a `record` run against the published curve: exit 0 inside the band, 1 outside."""

    path: tyro.conf.Positional[Path]  # run folder, or a log in the speedrun's or llm.c's shape
    milestone: str = ""  # such as 01, where the file does not say


@dataclass(frozen=True)
class Release:
    """Write a student version of the course: no solutions, no mistakes, no solving cells."""

    # without a default, tyro misses the folder before it names a flag that it does not know
    folder: tyro.conf.Positional[Path] = Path()  # new or empty


@dataclass(frozen=True)
class Collect:
    """Grade a class: a folder with one folder or zip file a student."""

    submissions: tyro.conf.Positional[Path]
    out: Path | None = None  # for all that is written; default: <submissions>-graded, beside it
    milestones: tuple[str, ...] = ALL  # to grade
    jobs: int = max(1, (os.cpu_count() or 1) // 2)  # sandboxes at a time; two ranks want two cores
    seconds: float = 30.0  # after which a task hangs
    memory: float = 2.0  # GB a process may take, besides Python and torch; 0.5 or more
    csv: bool = True  # write grades.csv
    junit: bool = True  # write junit.xml
    gradescope: bool = True  # write gradescope/<student>/results.json


Command = (
    Annotated[Board, tyro.conf.subcommand("board")]
    | Annotated[Hint, tyro.conf.subcommand("hint")]
    | Annotated[Reset, tyro.conf.subcommand("reset")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Log, tyro.conf.subcommand("log")]
    | Annotated[Release, tyro.conf.subcommand("release")]
    | Annotated[Collect, tyro.conf.subcommand("collect")]
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
    lines.append(f"({rest} more: ask again)" if rest else "(that was all)")
    return "\n".join([f"{milestone.number}.{number} {task.name}", *lines])


def reset(name: str) -> str:
    """Back to the stub: a whole milestone, or one function or class of it."""
    milestone, number, task = find_task(name) if "." in name else (find_milestone(name), 0, None)
    path = ROOT / "exercises" / f"{milestone.stem}.py"
    stub = source(ROOT / "grader" / "stubs" / path.name)
    what = f"{milestone.number}.{number} {task.name}" if task else f"exercises/{path.name}"
    if not path.exists():
        path.write_text(stub, encoding="utf-8")
        return f"{what} is the stub again"
    if task:
        try:
            stub = with_stub(source(path), stub, task.name)
        except ValueError:
            raise UsageError(f"exercises/{path.name} is not UTF-8: reset the whole file") from None
    if path.read_bytes() == stub.encode():
        return f"{what} is the stub already; nothing has changed"
    backups = (path.with_name(f"{path.name}.bak{n if n > 1 else ''}") for n in count(1))
    backup = next(backup for backup in backups if not backup.exists())
    shutil.copy(path, backup)
    path.write_text(stub, encoding="utf-8")
    return f"{what} is the stub again; yours is in exercises/{backup.name}"


def with_stub(text: str, stub: str, name: str) -> str:
    """A file's text with one function or class taken from the stub.  UsageError if it cannot be."""
    try:
        mine = [ast.get_source_segment(text, node) for node in named(text, name)]
    except SyntaxError as error:
        raise UsageError(
            f"line {error.lineno}: {error.msg}: mend it, or reset the whole file"
        ) from None
    pristine = ast.get_source_segment(stub, named(stub, name)[0])
    if not mine:
        return f"{text.rstrip()}\n\n\n{pristine}\n"
    return text.replace(mine[-1], pristine)


def named(text: str, name: str) -> list[ast.AST]:
    return [node for node in ast.parse(text).body if getattr(node, "name", None) == name]


def examine() -> int:
    """Print what the doctor finds; the number of things to fix."""
    ill = 0
    for well, line in doctor.examine():
        print(f"{'OK ' if well else 'FIX'}  {line}")
        ill += not well
    return ill


def grade_class(given: Collect) -> str:
    """Collect, and what came of it."""
    if given.jobs < 1:
        raise UsageError("--jobs must be 1 or more")
    if not 0 < given.seconds < math.inf:  # nan is neither
        raise UsageError("--seconds must be a number above 0")
    if not LEAST_MEMORY <= given.memory < math.inf:
        raise UsageError(f"--memory must be {LEAST_MEMORY} (GB) or more: right code takes that")
    if not given.milestones:
        raise UsageError("--milestones: say which, such as 00 01, or leave it out for all")
    limits = workplace.Limits(given.seconds, given.memory)
    formats = [name for name in reports.FORMATS if getattr(given, name)]
    return collect.collect(
        given.submissions, given.out, given.milestones, limits, given.jobs, formats
    )


def main() -> None:
    command = tyro.cli(Command, prog="python -m grader", description=__doc__, default=Board())
    try:
        if isinstance(command, Hint):
            print(hint(command.task))
        elif isinstance(command, Reset):
            print(reset(command.name))
        elif isinstance(command, Doctor):
            sys.exit(examine() > 0)
        elif isinstance(command, Log):
            inside, text = log.report(command.path, command.milestone)
            print(text)
            sys.exit(not inside)
        elif isinstance(command, Release):
            print(release.release(command.folder))
        elif isinstance(command, Collect):
            print(grade_class(command))
        else:
            print(board.text())
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped: the same command begins again, or goes on", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    main()
