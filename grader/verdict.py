"""What the grader says of one task: a status word, and lines that help."""

from dataclasses import dataclass

PASSED = "PASSED"
STATUSES = {
    PASSED: "right, as far as the grader can tell",
    "TODO": "raises NotImplementedError: not started",
    "CANNOT LOAD": "the file has no such name, or Python cannot read it",
    "BORROWED": "imported from the milestone or its solution",
    "SIGNATURE": "takes other arguments",
    "CRASH": "raised an exception",
    "SHAPE": "another shape came back",
    "TYPE": "another dtype or kind of thing came back",
    "CHANGED INPUT": "an argument is not what it was before the call",
    "PROPERTY": "breaks what the mathematics promises, whatever the numbers",
    "WRONG VALUES": "other numbers than ours, in float64",
    "CURVE": "the training run leaves our loss curve",
    "INVARIANT": "the numbers are right, but something beside them is not",
    "TOO SLOW": "right, at more than 1.5 times our cost, counted",
    "HANG": "no answer in time",
    "ENDED": "the process ended before it had a result",
    "SKIPPED": "needs a GPU; not a pass",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome of one task: a word of STATUSES, and lines for the learner."""

    status: str
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(f"  {line}" for line in self.lines)


class Failed(Exception):
    """Raised inside the grader to end a task with a verdict other than PASSED."""

    def __init__(self, status: str, *lines: str):
        assert status in STATUSES
        super().__init__(status)
        self.verdict = Verdict(status, lines)
