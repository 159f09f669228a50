"""A student's version: no answers in it, red, and everything else as it was."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader import collect
from grader import release as module
from grader.release import LEFT_OUT, MENTIONS, TAG, release
from grader.workplace import Limits
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import milestones
from tests.conftest import STEMS, hashes

BASELINE = "milestone00_baseline.py"


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=teacher", "-c", "user.email=teacher@localhost"]
    quiet = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *who, *words], cwd=root, env=quiet, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def clone(root: Path) -> Path:
    """The working tree as a repository of its own, all committed, with answers in exercises/."""
    for name in git(ROOT, "ls-files", "-z", "-co", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    for path in (root / "solutions").glob("milestone*.py"):
        shutil.copy(path, root / "exercises")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all of it")
    return root


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    return clone(tmp_path_factory.mktemp("repository") / "course")


@pytest.fixture(scope="module")
def released(course, tmp_path_factory) -> Path:
    """A release, graded for real."""
    folder = tmp_path_factory.mktemp("class") / "student"
    tasks = sum(len(milestone.tasks) for milestone in milestones())
    assert f"{tasks} tasks, all TODO" in release(folder, course)
    assert [path.name for path in folder.parent.iterdir()] == ["student"]
    return folder


@pytest.fixture
def ungraded(monkeypatch):
    """Releases are not graded: what is tested comes before or after."""
    monkeypatch.setattr(module, "grade", lambda work: None)


def definitions(path: Path) -> list[str]:
    """The functions and classes of a file, as text."""
    text = path.read_text()
    nodes = [node for node in ast.parse(text).body if hasattr(node, "name")]
    return [ast.get_source_segment(text, node) for node in nodes]


def test_no_answer_that_can_be_left_out_is_in_it(released):
    answers = [text for path in (ROOT / "solutions").glob("*.py") for text in definitions(path)]
    assert len(answers) > 10
    for path in released.rglob("*"):
        assert str(path.relative_to(released)) not in LEFT_OUT
        if path.suffix in (".py", ".ipynb", ".md", ".txt", ".toml"):
            text = path.read_text(encoding="utf-8")
            assert not [answer for answer in answers if answer in text], path
    for path in (released / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        original = json.loads((ROOT / "notebooks" / path.name).read_text(encoding="utf-8"))["cells"]
        assert 0 < len(cells) < len(original) or path.stem not in STEMS
        assert cells == [c for c in original if TAG not in c["metadata"].get("tags", [])]


def test_what_is_left_out_is_not_spoken_of(released):
    gone = (*LEFT_OUT, "grader.record", "make resolution", "grader release", "grader collect")
    pages = {str(path.relative_to(released)) for path in released.rglob("*.md")} | {"Makefile"}
    for name in pages - {"book/teaching.md"}:  # for whoever has the clone
        text = (released / name).read_text(encoding="utf-8")
        assert not [word for word in gone if re.search(rf"(?<!\w){re.escape(word)}\b", text)], name
    readme = (released / "README.md").read_text(encoding="utf-8")
    assert "## Teach" not in readme and "inside the band?\n" in readme and "## My number" in readme
    assert "\nresolution:" not in (released / "Makefile").read_text(encoding="utf-8")
    headings = [
        cell["source"]
        for path in (released / "notebooks").glob("milestone*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    assert not [source for source in headings if "".join(source).startswith("After trying")]


def test_the_exercises_are_the_stubs_whatever_the_teacher_has_committed(released):
    for stem in STEMS:
        stub = (ROOT / "grader" / "stubs" / f"{stem}.py").read_bytes()
        assert (released / "exercises" / f"{stem}.py").read_bytes() == stub


def test_nothing_else_differs(released, course):
    before, after = hashes(course), hashes(released)
    assert not after.keys() - before.keys()
    differ = {name for name, digest in after.items() if digest != before[name]}
    spoken = {name for name, _, _ in MENTIONS}
    differ = {n for n in differ if Path(n).parts[0] not in ("exercises", "notebooks")}
    assert differ == spoken
    gone = before.keys() - after.keys()
    gone = [name for name in gone if not name.startswith((".git/", *LEFT_OUT))]
    assert all(name.startswith("tests/") for name in gone), gone
    assert "tests/conftest.py" in after and "tests/test_chain.py" in after


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    command = [sys.executable, "-m", "pytest", "-q", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_tests_that_are_left_find_what_they_import(released):
    done = run_pytest(released, "tests", "--collect-only")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_tests_that_are_left_pass(released, tmp_path):
    shutil.copytree(released, tmp_path / "student")
    done = run_pytest(tmp_path / "student", "tests", "-m", "not slow")
    assert done.returncode == 0, done.stdout


def test_what_is_not_red_is_not_released(released, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(released, work)
    right = next(d for d in definitions(ROOT / "solutions" / BASELINE) if "batches_in_shard" in d)
    exercise = work / "exercises" / BASELINE
    exercise.write_text(f"{exercise.read_text()}\n\n{right}\n")
    with pytest.raises(
        UsageError, match="not red: milestone00_baseline batches_in_shard is PASSED"
    ):
        module.grade(work)


@pytest.mark.parametrize("error", [UsageError("not red"), KeyboardInterrupt()])
def test_what_is_half_written_does_not_stay(course, tmp_path, monkeypatch, error):
    def fail(work):
        raise error

    monkeypatch.setattr(module, "grade", fail)
    with pytest.raises(type(error)):
        release(tmp_path / "student", course)
    assert not list(tmp_path.iterdir())


def test_only_a_new_or_an_empty_folder_is_written_to(course, tmp_path, ungraded):
    (tmp_path / "student").mkdir()
    release(tmp_path / "student", course)
    before = hashes(tmp_path)
    for folder in (tmp_path / "student", tmp_path / "student" / "README.md"):
        with pytest.raises(UsageError, match="is not an empty folder"):
            release(folder, course)
    assert hashes(tmp_path) == before


def test_changes_must_be_committed_and_files_git_does_not_know_are_named(
    course, tmp_path, ungraded
):
    notes, readme = course / "exercises" / "notes.txt", course / "README.md"
    text, answer = readme.read_text(), (course / "exercises" / BASELINE).read_text()
    try:
        notes.write_text("who comes when")
        assert "not in git: exercises/notes.txt" in release(tmp_path / "one", course)
        assert not (tmp_path / "one" / "exercises" / "notes.txt").exists()
        (course / "exercises" / BASELINE).write_text("not committed, and not released either")
        readme.write_text("better")
        with pytest.raises(UsageError, match=r"commit or stash README\.md$"):
            release(tmp_path / "two", course)
        git(course, "add", "exercises/notes.txt")
        with pytest.raises(UsageError, match=r"README\.md and 1 more$"):
            release(tmp_path / "two", course)
    finally:
        git(course, "reset", "--quiet")
        (course / "exercises" / BASELINE).write_text(answer)
        readme.write_text(text)
        notes.unlink()
    assert not (tmp_path / "two").exists()


def test_a_folder_in_the_clone_is_refused(course, ungraded):
    for place in (course / "exercises" / "inside", course / "new", course):
        with pytest.raises(UsageError, match="is inside the clone: name a folder outside"):
            release(place, course)
    assert git(course, "status", "--porcelain") == ""


def test_a_release_has_nothing_to_release_or_to_grade_with(released, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(released, copy)
    for _ in range(2):
        with pytest.raises(UsageError, match="release and collect need the teacher's clone"):
            release(tmp_path / "student", copy)
        with pytest.raises(UsageError, match="release and collect need the teacher's clone"):
            collect.collect(tmp_path, None, ["01"], Limits(30, 2), jobs=1, root=copy)
        git(copy, "init", "--quiet")  # as students do
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
