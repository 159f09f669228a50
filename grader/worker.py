"""Inside the sandbox: one milestone of one submission.  Nothing that comes from here is trusted.

    python -m grader.worker judge STEM SECONDS MEMORY       a line a task: its verdict
    python -m grader.worker numbers STEM SECONDS MEMORY     one line: what it computes

Answers go to standard output as JSON.  `judge` is the learner's grader, which decides in processes
where the submission's code runs: what passes there is a claim.  `numbers` holds no decision: it
says what the claimed tasks compute, for somebody else to compare.  There is nothing for a
submission to copy from in that process: the script's own version of these tasks is gone from its
memory and from its folder, and the seed is another than that of the stored curve.
"""

import gc
import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from types import ModuleType

from grader.judge import judge, script_of, unit_outputs, units_of
from grader.marks import mark_of
from grader.processes import warm_up
from grader.ranks import run_rank, run_ranks
from grader.sandbox import limit
from milestones.harness.injection import ROOT, injected, load_implementation
from milestones.table import find_milestone, milestones

ANSWERS = ("solutions", "notebooks", "tests", "grader/mistakes", "grader/curves")


def verdicts(stem: str, seconds: float) -> Iterator[list]:
    """[name, status, lines] of every task, and of all together, whose name is empty."""
    for name in [*script_of(stem).EXERCISES, ""]:
        verdict = judge(stem, name, seconds=seconds)
        yield [name, verdict.status, verdict.lines]


def numbers(stem: str, seconds: float, names: list[str], seed: int, ours: bool) -> dict:
    """What these tasks compute, all in use at once: marks of unit outputs, and a run on two ranks.

    ours: the script's own are asked, not those of exercises/.
    """
    script = script_of(stem)
    script.PRESETS["exact"] = replace(script.PRESETS["exact"], seed=seed)
    if ours:
        return measured(stem, script, None, names, seconds)
    units_of(stem), warm_up()  # imported while there is something to import
    forget(names)
    return measured(stem, script, load_implementation("exercises", script), names, seconds)


def measured(stem: str, script: ModuleType, learner, names: list[str], seconds: float) -> dict:
    with injected(script, learner, names):
        marks = {name: asdict(mark_of(unit_outputs(stem, name, None))) for name in names}
    ranks = run_ranks(run_rank, script, learner, names, seconds=longest(stem, seconds))
    return {"marks": marks, "ranks": ranks}


def forget(names: list[str]) -> None:
    """Take the scripts' own versions of these tasks out of this process and its folder."""
    for milestone in milestones():
        script = importlib.import_module(f"milestones.{milestone.stem}.train_gpt")
        for name in set(names) & set(vars(script)):
            setattr(script, name, None)
        shutil.rmtree(ROOT / "milestones" / milestone.stem)
    gc.collect()  # classes are cycles
    for name in ANSWERS:
        shutil.rmtree(ROOT / name, ignore_errors=True)


def main(what: str, stem: str, seconds: str, memory: str) -> None:
    """Answer on what was standard output; what the submission prints goes nowhere."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    request = json.loads(sys.stdin.read())
    limit(longest(stem, float(seconds)), float(memory))
    if what == "numbers":
        answers = [numbers(stem, float(seconds), **request)]
    else:
        answers = verdicts(stem, float(seconds))
    for answer in answers:
        print(json.dumps(answer), file=channel, flush=True)


def longest(stem: str, seconds: float) -> float:
    """Seconds until a worker is ended: every task may hang once, all together twice."""
    return (len(find_milestone(stem).tasks) + 3) * seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
