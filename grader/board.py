"""How far a learner is: the last verdict of every task, in an ignored file."""

import ast
import hashlib
import json
from pathlib import Path

from grader.judge import GPU, source
from grader.verdict import PASSED
from milestones.harness.injection import ROOT
from milestones.table import Milestone, Task, milestones

RESULTS = ROOT / ".grader" / "results.json"


def digest(path: Path, name: str) -> str:
    """Of the text of one function or class of a file; empty if it is not there."""
    try:
        text = source(path)
        nodes = [n for n in ast.parse(text).body if getattr(n, "name", None) == name]
        segment = ast.get_source_segment(text, nodes[-1])
    except (OSError, SyntaxError, ValueError, IndexError):
        return ""
    return hashlib.sha256(segment.encode()).hexdigest()[:16]


def read() -> dict:
    try:
        return json.loads(RESULTS.read_text())
    except (OSError, ValueError):
        return {}


def note(stem: str, name: str, status: str, path: Path, target: str) -> None:
    """Keep a verdict on the learner's own file; other targets leave no trace."""
    if target != "exercises":
        return
    results = read()
    results.setdefault(stem, {})[name] = {"status": status, "text": digest(path, name)}
    results["latest"] = [stem, name]
    RESULTS.parent.mkdir(exist_ok=True)
    partial = RESULTS.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.replace(RESULTS)


def state(results: dict, milestone: Milestone, task: Task) -> str:
    """A box: passed, tried, changed since it was graded, or untouched."""
    last = results.get(milestone.stem, {}).get(task.name, {})
    if last.get("status") in (None, "TODO"):
        return "□"
    path = ROOT / "exercises" / f"{milestone.stem}.py"
    if last["text"] != digest(path, task.name):
        return "▨"
    return "■" if last["status"] == PASSED else "x"


def text() -> str:
    """The board: a line a milestone, and where to go on."""
    results, lines, seen = read(), [], set()
    widest = max(len(milestone.title) for milestone in milestones()) + 5
    most = max(len(milestone.tasks) for milestone in milestones()) + 2
    for milestone in milestones():
        boxes = "".join(state(results, milestone, task) for task in milestone.tasks)
        on_gpu = results.get(milestone.stem, {}).get(GPU, {}).get("status")
        gpu = f" cpu · {int(on_gpu == PASSED)}/1 gpu" if on_gpu else ""
        name = f"{milestone.number} {milestone.title}"
        done = f"{boxes.count('■')}/{len(milestone.tasks)}"
        lines.append(f"{name:<{widest}}{boxes:<{most}}{done}{gpu}")
        seen |= set(boxes)
    legend = {"x": "not right yet", "▨": "changed since it was graded: run it again"}
    lines += [f"{box} {says}" for box, says in legend.items() if box in seen]
    return "\n".join([*lines, go_on()])


def go_on() -> str:
    """What to do next: the task graded last if it is not right yet, else what follows it."""
    results = read()
    left = [
        (m, i, t)
        for m in milestones()
        for i, t in enumerate(m.tasks, 1)
        if state(results, m, t) != "■"
    ]
    if not left:
        return "All tasks passed."
    stem, name = results.get("latest", ["", ""])
    here = [entry for entry in left if entry[0].stem == stem]
    done = next(
        (
            i
            for m in milestones()
            for i, t in enumerate(m.tasks, 1)
            if (m.stem, t.name) == (stem, name)
        ),
        0,
    )
    after = [entry for entry in here if entry[1] >= done]
    milestone, number, task = (after or here or left)[0]
    return (
        f"Next: {milestone.number}.{number} {task.name}, about {task.minutes} min, in "
        f"exercises/{milestone.stem}.py: pytest grader/ -k {milestone.number}.{number}"
    )
