"""python -m grader release: the course for a class, without the answers that can be left out."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from grader.checkout import export, must_be_clone, revision, uncommitted, working_folder
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import milestones

LEFT_OUT = (
    "solutions",
    "grader/mistakes",
    "grader/record.py",  # makes the stored curves from both
    "tests/grader/golden",
    "tests/grader/twins.py",  # the mistakes once more
    ".ci",  # grades the solutions
    ".github",
)
MENTIONS = (  # of what is left out: file, pattern, what stands there instead
    ("README.md", r"^\| `solutions/` \|.*\n", ""),
    ("README.md", r" and in `solutions/`", ""),
    ("README.md", r"^## Teach\n(.*\n)+?(?=## )", ""),
    ("book/start.md", r" and in `solutions/`", ""),
    ("book/grader.md", r", made from edits in\n`grader/mistakes/`", ""),
    ("CONTRIBUTING.md", r",\n`make resolution` .*\n", ", and\n"),
    ("CONTRIBUTING.md", r",\n`grader/mistakes/` (.*\n)+?(?=What is right)", ".\n"),
    ("CONTRIBUTING.md", r"\n`\.ci/run` is .*\n", ""),
    ("tests/grader/resolution.md", r"^Written by `make resolution`; .*\n", ""),
    ("AGENTS.md", r"`solutions/`, ", ""),
    ("Makefile", r"^# What the grader compares with(.*\n)+?\n", ""),
    ("Makefile", r" resolution\b", ""),
)
TAG = "solution"  # of notebook cells that show an answer
ABOUT_ANSWERS = re.compile(
    r"""
    ["/]solutions?\b["/.]      # the folder in a path, or the tag
    | \bsolutions?\.\{         # an import by name
    | \bdef\ test_\w+\([^)]*\bsolution\b  # the fixture
    | grader\.mistakes
    """,
    re.VERBOSE,
)


def release(folder: Path, root: Path = ROOT) -> str:
    """Write the student version of the commit at HEAD into a new or empty folder.

    Returns what was done, in words.  UsageError if the folder has something in it or lies in the
    clone, work is not committed, or what came out is not red; nothing is written then.
    """
    must_be_clone(root)
    if folder.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{folder} is inside the clone: name a folder outside of {root}")
    with suppress(OSError):  # a name that cannot be: working_folder says so
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not an empty folder: name a new one")
    changed, unknown = uncommitted(root)
    if changed:
        raise UsageError(f"a release is what git has at HEAD: commit or stash {listed(changed)}")
    folder = folder.resolve()
    with working_folder(folder.parent, f".{folder.name}-", str(folder)) as place:
        work = Path(place, "release")
        export(root, work)
        cells, tests = strip(work)
        grade(work)
        work.replace(folder)  # an empty folder may stand there
    tasks = sum(len(milestone.tasks) for milestone in milestones())
    lines = [
        f"{folder}: the course at {revision(root)[:12]}, graded: {tasks} tasks, all TODO",
        f"left out: {', '.join(LEFT_OUT[:2])}, {cells} notebook cells, {tests} files of tests",
    ]
    return "\n".join(lines + ([f"not in git: {listed(unknown)}"] if unknown else []))


def listed(paths: list[str]) -> str:
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def strip(work: Path) -> tuple[int, int]:
    """Take the answers out of a copy; how many notebook cells and files of tests went."""
    for name in LEFT_OUT:
        path = work / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for stub in (work / "grader" / "stubs").glob("*.py"):
        shutil.copy(stub, work / "exercises")
    for path, old, new in MENTIONS:
        strip_text(work / path, old, new)
    cells = sum(map(strip_notebook, (work / "notebooks").glob("*.ipynb")))
    tests = tests_about_answers(work)
    for path in tests:
        path.unlink()
    return cells, len(tests)


def strip_text(path: Path, old: str, new: str) -> None:
    """Replace a pattern, which must occur: if it does not, MENTIONS is out of date."""
    text, count = re.subn(old, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, f"{path.name}: no {old}"
    path.write_text(text, encoding="utf-8")


def strip_notebook(path: Path) -> int:
    """Take out the cells that are tagged as solving; how many there were."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    kept = [c for c in notebook["cells"] if TAG not in c["metadata"].get("tags", [])]
    found = len(notebook["cells"]) - len(kept)
    text = json.dumps(notebook | {"cells": kept}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return found


def tests_about_answers(work: Path) -> list[Path]:
    """Files of tests that use the answers, and those that import them; conftest.py stays."""
    texts = {p: p.read_text(encoding="utf-8") for p in sorted((work / "tests").rglob("*.py"))}
    texts = {p: text for p, text in texts.items() if p.name != "conftest.py"}
    found = [p for p, text in texts.items() if ABOUT_ANSWERS.search(text)]
    for path in found:  # grows while it is read
        use = re.compile(rf"^(from|import) tests\b.*\b{path.stem}\b", re.MULTILINE)
        found += [p for p, text in texts.items() if p not in found and use.search(text)]
    return found


def grade(work: Path) -> None:
    """Run the release's own grader on it.  UsageError unless every task is TODO."""
    environment = os.environ | {
        "PYTHONPATH": str(work),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    command = [sys.executable, "-m", "pytest", "grader/"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    try:
        results = json.loads((work / ".grader" / "results.json").read_text())
    except OSError:
        raise UsageError(f"the release cannot be graded: {done.stdout[-500:]}") from None
    for milestone in milestones():
        for name in [*(task.name for task in milestone.tasks), ""]:
            status = results.get(milestone.stem, {}).get(name, {}).get("status", "not graded")
            if status != "TODO":
                where = f"{milestone.stem} {name or 'all-together'}"
                raise UsageError(f"the release is not red: {where} is {status}")
    if done.returncode != 1:
        raise UsageError(f"pytest grader/ exits with {done.returncode} in the release, not with 1")
    shutil.rmtree(work / ".grader")
