"""pytest as the learner sees it: a status word a task, a message without traceback."""

import difflib
import json
import re
import time
from pathlib import Path

import pytest
import torch

from grader import board
from grader.ahead import Ahead
from grader.judge import graded_file, shown, source
from grader.verdict import PASSED, Verdict
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import find_task, milestones

ROOT_STUBS = ROOT / "grader" / "stubs"
VERDICT = pytest.StashKey[Verdict]()
GREEN = (PASSED, "SKIPPED")


class Rejected(Exception):
    """A verdict other than PASSED, on its way to the report."""


def pytest_addoption(parser):
    parser.addoption("--target", default="exercises", help="folder to grade: exercises, solutions")


def pytest_configure(config):
    """A misspelt milestone is a usage error, not an empty run; so is an option of pytest-xdist."""
    if getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("-n: leave it out, tasks are graded several at a time already")
    config.option.no_header = True
    config.option.reportchars = ""  # every message stands above already
    config.option.keyword = re.sub(
        r"(?:milestone)?(\d\d)\.(\d+)", task_keyword, config.getoption("keyword", "") or ""
    )
    stems = [milestone.stem for milestone in milestones()]
    numbers = {stem[:11] for stem in stems}
    for word in re.findall(r"milestone\w*", config.getoption("keyword", "") or ""):
        if not any(stem.startswith(word) for stem in stems) or word[9:] in ("", "0"):
            digits = re.sub(r"\D", "", word)
            meant = f"milestone{int(digits):02d}" if digits else ""
            others = [] if digits else difflib.get_close_matches(word, stems, 1)
            near = [meant] if meant in numbers else others
            hint = (
                f"did you mean {near[0]}?" if near else f"choose from {', '.join(sorted(numbers))}"
            )
            raise pytest.UsageError(f"-k {word}: there is no such milestone: {hint}")
    target = config.getoption("target")
    if not Path(target).is_dir() and not (ROOT / target).is_dir():
        raise pytest.UsageError(f"--target {target}: there is no such folder")


def task_keyword(found: re.Match) -> str:
    """ "00.4", as stubs and hints call a task, in pytest's words."""
    try:
        milestone, number, task = find_task(found[0])
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    return f"({milestone.stem} and {number}-{task.name})"


def pytest_collection_finish(session):
    """What is graded, instead of pytest's own header."""
    write = session.config.pluginmanager.get_plugin("terminalreporter").write_line
    for name in sorted({item.path.name.removeprefix("test_") for item in session.items}):
        path = graded_file(Path(name).stem, session.config.getoption("target"))
        write(f"grading  {shown(path)}   {changed(path)}")
    write(f"profile  cpu-float64 · torch {torch.__version__} · 1 thread, a process a task")


def changed(path: Path) -> str:
    """How much of a file the learner wrote."""
    stub = ROOT_STUBS / path.name
    if not path.exists():
        return "(missing)"
    if not stub.exists():
        return ""
    try:
        old, new = source(stub).splitlines(), source(path).splitlines()
    except ValueError:
        return "(cannot be read)"
    lines = sum(line.startswith("+ ") for line in difflib.ndiff(old, new))
    minutes = (time.time() - path.stat().st_mtime) / 60
    differ = "1 line differs" if lines == 1 else f"{lines} lines differ"
    return f"({differ} from the stub, modified {minutes:.0f} min ago)"


@pytest.fixture(scope="session")
def ahead(request):
    """Judges all that was asked for."""
    tasks = [
        (item.path.stem.removeprefix("test_"), item.callspec.params["name"])
        for item in request.session.items
    ]
    judges = Ahead(tasks, request.config.getoption("target"))
    yield judges
    judges.stop()


@pytest.fixture
def grade(request, ahead):
    """grade(stem, name): judge one task of the target, and report its status."""

    def run(stem: str, name: str) -> None:
        target = request.config.getoption("target")
        verdict = ahead.verdict((stem, name))
        request.node.stash[VERDICT] = verdict
        board.note(stem, name, verdict.status, graded_file(stem, target), target)
        if verdict.status == "SKIPPED":
            pytest.skip("needs a GPU")
        if verdict.status != PASSED:
            raise Rejected(verdict.status)

    return run


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    verdict = item.stash.get(VERDICT, None)
    if report.when == "call" and verdict is not None:
        report.verdict = json.dumps([verdict.status, verdict.lines])
        report.location = (*report.location[:2], task_title(item))  # heads the message
        if verdict.status not in GREEN:
            report.longrepr = f"{verdict.status}\n{verdict.text}"


def task_title(item) -> str:
    """ "01.2 zeropower_via_newtonschulz", or "01 all-together" """
    number, _, name = item.callspec.id.partition("-")
    milestone = item.path.stem.removeprefix("test_milestone")[:2]
    return f"{milestone}.{number} {name}" if number.isdigit() else f"{milestone} {item.callspec.id}"


def pytest_report_teststatus(report, config):
    if report.when == "call" and hasattr(report, "verdict"):
        status, _ = json.loads(report.verdict)
        together = "." not in report.location[2].split()[0]
        waiting = "" if together else "not started"  # pytest counts no empty category
        category, letter, color = {
            PASSED: ("passed", ".", {"green": True}),
            "TODO": (waiting, "t", {"yellow": True}),
            "SKIPPED": ("skipped", "s", {"yellow": True}),
        }.get(status, ("failed", "F", {"red": True}))
        return category, letter, (status, color)
    return None


def pytest_terminal_summary(terminalreporter):
    """One line for all that is not started, and where to go on; what needs a GPU."""
    write, reports = terminalreporter.write_line, terminalreporter.stats
    tasks = [report.location[2] for report in reports.get("not started", [])]
    if tasks:
        milestone, number, task = find_task(tasks[0].split()[0])
        write(f"TODO      {', '.join(tasks)}")
        write(
            f"Start with {milestone.number}.{number}, about {task.minutes} min, in "
            f"exercises/{milestone.stem}.py; for help: "
            f"python -m grader hint {milestone.number}.{number}"
        )
    for report in reports.get("skipped", []):
        if hasattr(report, "verdict"):
            write(f"SKIPPED   {report.location[2]}: {json.loads(report.verdict)[1][0]}")
    for report in reports.get("passed", []):
        if hasattr(report, "verdict"):
            write(f"PASSED    {report.location[2]}: {'; '.join(json.loads(report.verdict)[1])}")
    own = terminalreporter.config.getoption("target") == "exercises"
    if own and reports.get("passed") and not tasks and not reports.get("failed"):
        write(board.go_on())
