"""Judges the tasks of a session in their order, as many at a time as there are cores."""

import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout

from grader.judge import judge
from grader.processes import Child
from grader.verdict import Failed, Verdict

MOST = min(os.cpu_count() or 1, 4)  # tasks at a time; some start processes of their own


def judged(stem: str, name: str, target: str, printed) -> list:
    """In a child: the parts of a verdict.  What the learner's code prints goes to that file."""
    for descriptor in (1, 2):
        os.dup2(printed.fileno(), descriptor)
    with redirect_stdout(printed), redirect_stderr(printed):
        verdict = judge(stem, name, target)
        printed.flush()
    return [verdict.status, verdict.lines]


class Ahead:
    """Verdicts on (stem, name) tasks, which are fetched in the order in which they are given."""

    def __init__(self, tasks: list[tuple[str, str]], target: str):
        self.waiting, self.target = list(tasks), target
        self.running = {}  # by task: its child, and the file that it prints to

    def start(self) -> None:
        while self.waiting and len(self.running) < MOST:
            task = self.waiting.pop(0)
            printed = tempfile.TemporaryFile("w+", buffering=1, errors="replace")  # noqa: SIM115
            self.running[task] = Child(judged, *task, self.target, printed), printed

    def verdict(self, task: tuple[str, str]) -> Verdict:
        """Of the next task.  What it printed is printed here."""
        self.start()
        child, printed = self.running[task]
        try:
            status, lines = child.result()
            return Verdict(status, tuple(lines))
        except Failed as failed:  # it has ended its own judge
            return failed.verdict
        finally:
            printed.seek(0)
            sys.stdout.write(printed.read())
            self.end(task)

    def end(self, task: tuple[str, str]) -> None:
        child, printed = self.running.pop(task)
        child.end()
        printed.close()

    def stop(self) -> None:
        """End what runs."""
        for task in list(self.running):
            self.end(task)
