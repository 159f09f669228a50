"""What to say when the learner's code raises: its own frames of the traceback, and advice."""

import re
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grader.verdict import Failed
from grader.words import shown
from milestones.harness import UsageError

IN_PLACE = re.compile("modified by an inplace operation|leaf Variable that requires grad")


def error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def frames(error: BaseException | None, path: Path) -> list[traceback.FrameSummary]:
    """The learner's own frames of a traceback."""
    seen = traceback.extract_tb(error.__traceback__) if error else []
    return [frame for frame in seen if frame.filename == str(path)]


def is_todo(error: BaseException, path: Path) -> bool:
    """Whether the learner's file says so itself: torch raises NotImplementedError too."""
    own = frames(error, path)
    return isinstance(error, NotImplementedError) and bool(own) and own[-1].line.startswith("raise")


def crash(error: BaseException, path: Path, known: Sequence[str] = ()) -> Failed:
    """The learner's own frames of a traceback, and the error."""
    own = frames(error, path)
    if isinstance(error, UsageError):  # our own words, about what was done and not about a call
        return Failed("WRONG VALUES", *known, str(error))
    where = list(dict.fromkeys(f"{shown(path)}:{f.lineno}   {f.line}" for f in own))
    if not own:
        where = ["What came back could not be used: is it what the docstring says?"]
    if IN_PLACE.search(str(error)):
        where = where if own else []
        where += ["A line changes a tensor in place (+=, mul_, copy_): make a new one instead."]
    lines = [*known, *getattr(error, "__notes__", ()), *where, error_text(error)]
    size = re.search(r"shape '\[([\d, ]+)\]' is invalid for input of size (\d+)", str(error))
    if size and np.prod([int(n) for n in size[1].split(",")]) == int(size[2]) + 1:
        lines.append(f"{size[2]} is one number short of that.")
    if own and "must match the size" in str(error) and re.search(r"\bin\b", own[-1].line):
        lines.append("`in` compares tensors entry by entry: ask with `is`, or compare id()s.")
    if "Use .reshape(...) instead" in str(error):
        lines.append("Torch's advice hides the question: are the dimensions in the order you mean?")
    return Failed("CRASH", *lines)
