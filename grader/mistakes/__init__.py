"""Named mistakes, and right answers that look different: both as edits of our solutions.

`grader.mistakes.<milestone>` holds MISTAKES, EQUIVALENTS and SLOW: right, but too dear.  A
mistake's mark is what the edited solution returns from the unit calls and the curve it trains; an
implementation that leaves the same mark has made the same mistake.  `tests/grader/twins.py` makes
each mistake again in the script, which is written differently: the proof that recognition works.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

Edit = tuple[str, str]  # (old, new) text; the old must occur exactly once


@dataclass(frozen=True)
class Mistake:
    task: str  # the name of EXERCISES it lies in
    says: str  # follows "Your output equals ours with this mistake:"
    edits: tuple[Edit, ...]  # of solutions/<milestone>.py


@dataclass(frozen=True)
class Equivalent:
    task: str  # the name of EXERCISES it lies in
    says: str  # how it differs from the solution; it must be accepted, in SLOW as TOO SLOW
    edits: tuple[Edit, ...]  # of solutions/<milestone>.py


def edited(module: ModuleType, edits: tuple[Edit, ...]) -> ModuleType:
    """A copy of a module with its text edited, under the same name, beside the original."""
    text = Path(module.__file__).read_text()
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"{text.count(old)} times in {Path(module.__file__).name}: {old}")
        text = text.replace(old, new)
    copy = ModuleType(module.__name__)
    copy.__file__ = module.__file__
    original = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = copy  # dataclass looks its module up there
    try:
        exec(compile(text, module.__file__, "exec"), vars(copy))
    finally:
        if original is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = original
    return copy
