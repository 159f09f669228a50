"""What the grader says of one task: a status word, and lines that help."""

from dataclasses import dataclass

PASSED = "PASSED"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one task.

    status: PASSED, TODO, CANNOT LOAD, SIGNATURE, BORROWED, CRASH, SHAPE, CHANGED INPUT,
    WRONG VALUES, CURVE, HANG or ENDED.
    """

    status: str
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(f"  {line}" for line in self.lines)


class Failed(Exception):
    """Raised inside the grader to end a task with a verdict other than PASSED."""

    def __init__(self, status: str, *lines: str):
        super().__init__(status)
        self.verdict = Verdict(status, lines)
