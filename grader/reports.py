"""A class's verdicts in the forms that other programs read: CSV, JUnit XML, Gradescope."""

import csv
import io
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from grader.verdict import PASSED
from milestones.table import find_milestone

FORMATS = ("csv", "junit", "gradescope")
SAID_LAST = ("CANNOT LOAD", "CRASH", "HANG")
ERROR = re.compile(r"\w+: ")  # after it there may be advice
NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Row:
    """The verdict on one task; name "" is all tasks of the milestone together."""

    stem: str
    name: str
    status: str
    lines: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """ "01.2 zeropower_via_newtonschulz" or "01 all-together" """
        milestone = find_milestone(self.stem)
        names = [task.name for task in milestone.tasks]
        if not self.name:
            return f"{milestone.number} all-together"
        return f"{milestone.number}.{names.index(self.name) + 1} {self.name}"

    @property
    def message(self) -> str:
        """The line that says what is wrong: the mistake's name, or the error after the place."""
        if not self.lines or self.lines[0].startswith("mistake "):
            return self.lines[0] if self.lines else ""
        ends = [line for line in self.lines if self.status != "CRASH" or ERROR.match(line)]
        line = (ends or self.lines)[-1] if self.status in SAID_LAST else self.lines[0]
        return " ".join(line.split()).removeprefix("^ ")  # the mark under a line of code


@dataclass(frozen=True)
class Graded:
    """One student's verdicts, and what the teacher should know besides."""

    student: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def replace_text(path: Path, text: str) -> None:
    """Write a file in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # An error's text may hold anything, half a surrogate pair too.
    partial.write_text(text, encoding="utf-8", errors="replace")
    partial.replace(path)


def cell(text: str) -> str:
    """A spreadsheet runs what begins like a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


def as_csv(graded: list[Graded]) -> str:
    """A line a task: student, milestone, task, status, and what is wrong in one line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "milestone", "task", "status", "message"])
    for each in graded:
        for row in each.rows:
            words = (each.student, row.stem, row.title, row.status, row.message)
            writer.writerow(map(cell, words))
    return text.getvalue()


def as_junit(graded: list[Graded]) -> str:
    """A suite a student; whatever is not PASSED is a failure, of the type of its status."""
    root = ElementTree.Element("testsuites")
    for each in graded:
        failures = [row for row in each.rows if row.status != PASSED]
        counts = {"tests": str(len(each.rows)), "failures": str(len(failures))}
        suite = ElementTree.SubElement(root, "testsuite", name=in_xml(each.student), **counts)
        for row in each.rows:
            case = ElementTree.SubElement(suite, "testcase", classname=row.stem, name=row.title)
            if row.status != PASSED:
                words = {"type": row.status, "message": in_xml(row.message)}
                ElementTree.SubElement(case, "failure", words).text = in_xml("\n".join(row.lines))
        if each.remarks:
            ElementTree.SubElement(suite, "system-out").text = in_xml("\n".join(each.remarks))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def in_xml(text: str) -> str:
    return NOT_IN_XML.sub("?", text)


def as_gradescope(each: Graded) -> str:
    """results.json of one submission: a point a task, and one for all of them together."""
    tests = [
        {
            "name": row.title,
            "score": float(row.status == PASSED),
            "max_score": 1.0,
            "status": "passed" if row.status == PASSED else "failed",
            "output": "\n".join([row.status, *row.lines]),
            "output_format": "text",
        }
        for row in each.rows
    ]
    content = {"score": sum(test["score"] for test in tests), "tests": tests}
    if each.remarks:
        content |= {"output": "\n".join(each.remarks), "output_format": "text"}
    return json.dumps(content, indent=1) + "\n"


def as_table(graded: list[Graded]) -> list[str]:
    """A line a student: how many tasks of each milestone passed."""
    stems = list(dict.fromkeys(row.stem for each in graded for row in each.rows))
    numbers = [find_milestone(stem).number for stem in stems]
    width = max(len(each.student) for each in graded) + 2
    lines = [" " * width + "".join(f"{number:>8}" for number in numbers)]
    for each in graded:
        counts = []
        for stem in stems:
            tasks = [row for row in each.rows if row.stem == stem and row.name]
            counts.append(f"{sum(row.status == PASSED for row in tasks)}/{len(tasks)}")
        lines.append(f"{each.student:<{width}}" + "".join(f"{count:>8}" for count in counts))
    return lines


def write(graded: list[Graded], remarks: list[str], out: Path, formats: Iterable[str]) -> None:
    """The files of these formats, and remarks.txt; those of an earlier time go."""
    files = {}
    if "csv" in formats:
        files["grades.csv"] = as_csv(graded)
    if "junit" in formats:
        files["junit.xml"] = as_junit(graded)
    if "gradescope" in formats:
        for each in graded:
            files[f"gradescope/{each.student}/results.json"] = as_gradescope(each)
    files["remarks.txt"] = "".join(f"{remark}\n" for remark in remarks)
    remove_old(out, {out / name for name in files})  # first: some systems take Ada for ada
    for name, text in files.items():
        replace_text(out / name, text)


def remove_old(out: Path, kept: set[Path]) -> None:
    """Delete what `write` has written at an earlier time, and the folders that are empty then."""
    results = set(out.glob("gradescope/*/results.json"))
    for path in {out / "grades.csv", out / "junit.xml", *results} - kept:
        path.unlink(missing_ok=True)
    emptied = [path.parent for path in results - kept]
    for folder in [*emptied, *[path.parent for path in emptied[:1]]]:
        with suppress(OSError):  # there is something else in it
            folder.rmdir()


def remarks_on(graded: list[Graded]) -> list[str]:
    return [f"{each.student}: {remark}" for each in graded for remark in each.remarks]
