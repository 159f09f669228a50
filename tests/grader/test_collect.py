"""Grading a class: what is right passes, what only says so does not, nothing else is touched."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from grader import claims, collect, release, reports, sandbox, workplace
from grader.__main__ import main, with_stub
from grader.claims import UNCONFIRMED
from grader.judge import load_implementation, script_of
from grader.reports import Graded, Row
from grader.submissions import MOST, find_submissions, read_submission
from grader.verdict import PASSED
from grader.worker import measured
from grader.workplace import Interrupted, Limits
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from tests.conftest import hashes
from tests.grader.test_judge import FAULTS
from tests.grader.test_release import clone, git

BASELINE, STEM = "milestone00_baseline", "milestone01_muon"
TASKS = ("get_lr", "zeropower_via_newtonschulz", "split_qkv", "Muon", "split_parameters")
SOLUTION = (ROOT / "solutions" / f"{STEM}.py").read_text()
STUB = (ROOT / "grader" / "stubs" / f"{STEM}.py").read_text()
SPLIT = "def split_qkv(U: Tensor) -> tuple[Tensor, ...]:\n"
namespaces = pytest.mark.skipif(not sandbox.namespaces(), reason="this machine gives no namespaces")


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The repository to collect with: the working tree, committed."""
    return clone(tmp_path_factory.mktemp("repository") / "course")


# ------------------------------------------------------------------------- submissions to grade


def done(*names: str) -> str:
    """The stub with these tasks solved."""
    text = STUB
    for name in names:
        text = with_stub(text, SOLUTION, name)
    return text


WRONG = """
def get_lr(step, args): return 1.0
def zeropower_via_newtonschulz(U, steps, eps, dtype): return U
def split_qkv(U): return (U,)
class Muon:
    def __init__(self, params, lr, momentum, nesterov, newton_schulz_steps, newton_schulz_eps,
                 newton_schulz_dtype): pass
def split_parameters(model): return [], []
"""
PATCHED = """
import sys
from contextlib import nullcontext
for module in list(sys.modules.values()):
    if "injected" in vars(module):
        module.injected = lambda *args, **kwargs: nullcontext()
judge = sys.modules["grader.judge"]
judge.check_units = lambda *args: []
judge.check_curve = lambda *args: ["curve within 0 of ours"]
judge.compare = lambda *args: ["2 ranks within 0"]
judge.load_implementation.__globals__["stubs_among"] = lambda *args: []
"""
ANSWERING = f"""
import json, os
lines = [json.dumps([name, "PASSED", ["right"]]) + "\\n" for name in {(*TASKS, "")}]
for descriptor in range(3, 64):
    try:
        os.write(descriptor, "".join(lines).encode())
    except OSError:
        pass
os._exit(0)
"""
BORROWED = f"""
import sys
script = sys.modules["milestones.{STEM}.train_gpt"]
for name in script.EXERCISES:
    globals()[name] = getattr(script, name)
    if globals()[name]:
        globals()[name].__module__ = "mine"
"""
READING = f"""
import pathlib
places = ["milestones/{STEM}", "../course/milestones/{STEM}", "COURSE/milestones/{STEM}"]
texts = [p.read_text() for place in places for p in pathlib.Path(place).glob("train_gpt.py")]
exec(texts[0].rsplit("if __name__", 1)[0])
"""
LEAVING = """
import os, pathlib, time
for folder in ("{outside}", "{outside}/class-graded", "..", "../..", os.path.expanduser("~")):
    try:
        pathlib.Path(folder, "STOLEN").write_text("x")
    except OSError:
        pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
"""


def overwriting() -> str:
    """Wrong in training alone, and puts its own curve in the place of the stored one."""
    _, _, old, new = FAULTS["CURVE"]
    return f"""{SOLUTION.replace(old, new)}
import json, pathlib, sys
import grader.judge as judge
if "judge" in sys.argv:  # the process that the curve is stored for
    path = pathlib.Path(judge.__file__).parent / "curves" / "{STEM}.json"
    content = json.loads(path.read_text())
    content["curve"] = judge.curve_of("{STEM}", sys.modules[__name__], ["Muon"])
    path.write_text(json.dumps(content))
    judge.stored.cache_clear()
"""


def hand_in(folder: Path, student: str, text: str) -> Path:
    """A submission: a folder with exercises/ in it."""
    exercises = folder / student / "exercises"
    exercises.mkdir(parents=True)
    (exercises / f"{STEM}.py").write_text(text)
    return exercises


def by_student(out: Path) -> dict[str, list[str]]:
    """The statuses in grades.csv, in the order of the tasks."""
    statuses = {}
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            statuses.setdefault(row["student"], []).append(row["status"])
    return statuses


# ------------------------------------------------------------------------------ the whole thing


def test_what_is_right_passes_and_what_says_so_does_not(course, tmp_path):
    """One real run: an honest one that is half done, and one that rewrites its grader."""
    folder, out = tmp_path / "class", tmp_path / "class-graded"
    hand_in(folder, "ada", done("split_qkv"))
    hand_in(folder, "eve", WRONG + PATCHED)
    (folder / "eve" / "exercises" / "conftest.py").write_text("import os; os._exit(0)")
    before = hashes(tmp_path), git(course, "status", "--porcelain")
    text = collect.collect(folder, None, ["01"], Limits(30, 2), jobs=2, root=course)
    statuses = by_student(out)
    assert statuses["ada"] == ["TODO", "TODO", PASSED, "TODO", "TODO", "TODO"]
    assert statuses["eve"][:5] == [UNCONFIRMED] * 5
    assert PASSED not in statuses["eve"]
    assert "ada       1/5\neve       0/5\n" in text
    assert "eve: not used: exercises/conftest.py" in text
    after = {n: h for n, h in hashes(tmp_path).items() if not n.startswith("class-graded/")}
    assert (after, git(course, "status", "--porcelain")) == before
    assert {path.name for path in out.iterdir()} == {
        "grades.csv", "junit.xml", "gradescope", "remarks.txt", collect.KEPT,
    }  # fmt: skip


FAKES = {  # text, and the statuses it deserves
    "right": (SOLUTION, [PASSED] * 6),
    "half": (done("get_lr", "Muon"), [PASSED, "TODO", "TODO", PASSED, "TODO", "TODO"]),
    "hanging": (
        SOLUTION.replace(SPLIT, f"{SPLIT}    while True: pass\n"),
        [PASSED, PASSED, "HANG", PASSED, PASSED, "HANG"],
    ),
    "hungry": (
        SOLUTION.replace(SPLIT, f"{SPLIT}    x = [bytes(10**8)]\n    while True: x += x\n"),
        [PASSED, PASSED, "CRASH", PASSED, PASSED, "CRASH"],
    ),
    "tampering": (WRONG + PATCHED, [UNCONFIRMED] * 5),
}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_twenty_do_not_get_into_each_others_way(course, tmp_path):
    folder = tmp_path / "class"
    for number in range(4):
        for name, (text, _) in FAKES.items():
            hand_in(folder, f"{name}{number}", text)
    before = hashes(folder)
    started = time.perf_counter()
    collect.collect(folder, None, ["01"], Limits(30, 2), jobs=2, root=course)
    print(f"20 submissions: {time.perf_counter() - started:.0f} s")
    statuses = by_student(tmp_path / "class-graded")
    assert len(statuses) == 20
    for student, got in statuses.items():
        deserved = FAKES[student[:-1]][1]
        assert got[: len(deserved)] == deserved, student
        assert student.startswith("right") or got[5] != PASSED
    assert hashes(folder) == before
    assert {path.name for path in tmp_path.iterdir()} == {"class", "class-graded"}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_there_is_no_other_way_to_pass(course, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "class-graded"
    tampering = {
        "answering": WRONG + ANSWERING,
        "borrowed": BORROWED,
        "ended": "import os\nos._exit(0)\n" + SOLUTION,
        "overwriting": overwriting(),
    }
    if sandbox.namespaces():
        tampering |= {"reading": READING.replace("COURSE", str(course))}
        leaving = SOLUTION + LEAVING.format(outside=tmp_path)
        tampering |= {"leaving": leaving}
    for name, text in tampering.items():
        hand_in(folder, name, text)
    collect.collect(folder, None, ["01"], Limits(30, 2), jobs=2, root=course)
    statuses = by_student(out)
    for name in ("answering", "borrowed", "reading"):
        assert statuses.get(name, [UNCONFIRMED] * 6) == [UNCONFIRMED] * 6, name
    assert statuses["ended"] == ["ENDED"] * 6
    assert PASSED not in statuses["overwriting"] and UNCONFIRMED in statuses["overwriting"]
    assert statuses.get("leaving", [PASSED] * 6) == [PASSED] * 6  # right all the same
    assert not list(tmp_path.rglob("STOLEN")) and not Path("~/STOLEN").expanduser().exists()


# ---------------------------------------------------------------------------------- the sandbox


def inside(folder: Path, code: str, *hidden: Path, seconds: float = 20) -> str:
    """What Python code prints in a sandbox that may write to a folder."""
    command = sandbox.inside(folder, list(hidden), [sys.executable, "-c", code])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr
    return done.stdout


@namespaces
def test_only_its_folder_can_be_written_to_and_what_is_hidden_is_empty(tmp_path):
    mine, hidden = tmp_path / "out" / "mine", tmp_path / "out"
    (tmp_path / "out" / "other").mkdir(parents=True)
    mine.mkdir()
    code = """
import os, pathlib, subprocess
print(sorted(p.name for p in pathlib.Path("..").iterdir()))
for place in (".", "..", "../..", os.path.expanduser("~"), "/tmp", "/dev/shm"):
    try:
        pathlib.Path(place, "canary").write_text("x")
        print("wrote", place)
    except OSError:
        pass
subprocess.run(["mount", "-o", "remount,bind,rw", "/"], stderr=subprocess.DEVNULL)
subprocess.run(["umount", ".."], stderr=subprocess.DEVNULL)
try:
    pathlib.Path("../../canary").write_text("x")
except OSError:
    print("still closed")
"""
    said = inside(mine, code, hidden).splitlines()
    assert said == ["['mine']", "wrote .", "wrote /dev/shm", "still closed"]
    assert [path.name for path in tmp_path.rglob("canary")] == ["canary"]
    assert (mine / "canary").exists() and not Path("/dev/shm/canary").exists()


@namespaces
def test_there_is_no_network_and_nobody_to_signal(tmp_path):
    code = f"""
import os, socket
for place in (("192.0.2.1", 80), ("127.0.0.1", 9)):
    try:
        socket.create_connection(place, 2)
    except OSError as error:
        print(type(error).__name__, error.errno == 101)
try:
    os.kill({os.getpid()}, 0)
except ProcessLookupError:
    print("nobody")
"""
    assert inside(tmp_path, code).splitlines() == [
        "OSError True",  # unreachable
        "ConnectionRefusedError False",  # the loopback is there, and empty
        "nobody",
    ]


@namespaces
def test_what_it_started_ends_with_it(tmp_path):
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    for _ in range(100):
        open("alive", "a").write("x")
        time.sleep(0.05)
    os._exit(0)
while not os.path.exists("alive"):
    time.sleep(0.01)
"""
    inside(tmp_path, code)
    size = (tmp_path / "alive").stat().st_size
    time.sleep(0.3)
    assert size > 0 and (tmp_path / "alive").stat().st_size == size


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = bytes(400_000_000)", "MemoryError"),
        ("open('large', 'wb').write(bytes(100_000_000))", "File too large"),
    ],
)
def test_memory_and_files_have_a_limit(tmp_path, code, error):
    code = f"from grader.sandbox import limit\nlimit(5, 0.3)\nx = bytes(100_000_000)\n{code}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and error in done.stderr.splitlines()[-1]


def test_an_answer_without_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(workplace, "MOST", 200_000)
    command = [sys.executable, "-c", "while True: print('x' * 1000)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    written = workplace.read_until(process, time.monotonic() + 30)
    workplace.kill(process)
    assert process.wait() == -signal.SIGKILL
    assert 200_000 <= len(written) < 400_000
    process.stdout.close()


# ---------------------------------------------------------------------------------- the verdict


@pytest.fixture(scope="module")
def ours() -> dict:
    """What right tasks of the milestone compute, from the seed of the stored curve."""
    return json.loads(json.dumps(measured(STEM, script_of(STEM), None, list(TASKS), 60)))


class Answers:
    """A workplace whose sandboxes answer what they are told to."""

    course = ROOT

    def __init__(self, judge: list, numbers: list):
        self.answers = {"judge": judge, "numbers": numbers}

    def ask(self, what: str, stem: str, text: bytes | None, **request) -> list:
        return self.answers[what]


CLAIMS = [[name, PASSED, ["right"]] for name in (*TASKS, "")]


def statuses(place, ours: dict, text: bytes = b"x") -> list[str]:
    return [row.status for row in claims.grade(place, STEM, text, ours, seed=1)]


def test_numbers_that_are_ours_confirm_all(ours):
    assert statuses(Answers(CLAIMS, [ours]), ours) == [PASSED] * 6


def test_another_implementation_confirms_too(ours):
    learner = load_implementation("solutions", script_of(STEM))
    theirs = measured(STEM, script_of(STEM), learner, list(TASKS), 60)
    assert statuses(Answers(CLAIMS, [theirs]), ours) == [PASSED] * 6


def changed(content: dict, value, *keys) -> dict:
    """A copy with one entry replaced."""
    content = json.loads(json.dumps(content))
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return content


NOWHERE = [
    (["marks"], {}),
    (["marks", "Muon"], None),
    (["marks", "Muon", "structure"], 0),
    (["marks", "Muon", "values"], [float("nan")] * 16),
    (["marks", "Muon", "values"], []),
    (["marks", "Muon", "values"], ["x"] * 16),
    (["marks", "Muon", "values", 0], 10**400),
]
TRAINING = [
    (["ranks"], []),
    (["ranks"], None),
    (["ranks", 1], {}),
    (["ranks", 0, "train", 30], float("nan")),
    (["ranks", 1, "train", 30], 3.0),
    (["ranks", 0, "train"], [3.0]),
    (["ranks", 1, "weights", "wte.weight"], [float("nan")] * 2),
    (["ranks", 0, "traffic", "calls"], 10**6),
]


@pytest.mark.parametrize(("keys", "value"), NOWHERE)
def test_other_outputs_of_a_task_are_held_against_it_alone(ours, keys, value):
    theirs = changed(ours, value, *keys)
    got = statuses(Answers(CLAIMS, [theirs]), ours)
    alone = [UNCONFIRMED if name == "Muon" else PASSED for name in TASKS]
    assert got == [*(alone if "Muon" in keys else [UNCONFIRMED] * 5), UNCONFIRMED]


@pytest.mark.parametrize(("keys", "value"), TRAINING)
def test_another_training_confirms_nothing(ours, keys, value):
    theirs = changed(ours, value, *keys)
    assert statuses(Answers(CLAIMS, [theirs]), ours) == [UNCONFIRMED] * 6


@pytest.mark.parametrize("answer", [[], [None], ["PASSED"], [[]], [{"marks": 1, "ranks": 2}], [7]])
def test_what_is_no_answer_confirms_nothing(ours, answer):
    assert statuses(Answers(CLAIMS, answer), ours) == [UNCONFIRMED] * 6


@pytest.mark.parametrize(
    "answer", [None, 1, [], ["Muon"], ["Muon", "GREAT", []], ["other", PASSED, []], [[], {}, 1]]
)
def test_a_claim_that_is_none_is_no_verdict(ours, answer):
    rows = claims.grade(Answers([answer], [ours]), STEM, b"x", ours, seed=1)
    assert {row.status for row in rows} == {"ENDED"}


def test_what_was_not_begun_is_not_run(ours):
    place = Answers([], [])
    stub = (ROOT / "grader" / "stubs" / f"{STEM}.py").read_bytes()
    for text, says in [(None, "not handed in"), (stub, "as it was handed out")]:
        rows = claims.grade(place, STEM, text, ours, seed=1)
        assert {(row.status, row.message) for row in rows} == {("TODO", says)}


# ------------------------------------------------------------------------------------ the class


@pytest.fixture
def graded(monkeypatch, course):
    """graded(folder, ...): collect with a grader that passes all, and what it was asked."""
    asked = []

    def grade(place, stem, text, ours, seed):
        asked.append(text)
        if text == b"stop":
            raise KeyboardInterrupt
        return [Row(stem, name, PASSED) for name in claims.names_of(stem)]

    monkeypatch.setattr(collect, "grade", grade)
    monkeypatch.setattr(collect, "our_numbers", lambda place, stem, seed: {})

    def run(folder: Path, out: Path | None = None, names=("01",), seconds=30.0) -> list[bytes]:
        asked.clear()
        collect.collect(folder, out, names, Limits(seconds, 2), jobs=1, root=course)
        return list(asked)

    return run


def test_what_has_not_changed_is_not_graded_again(graded, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "class-graded"
    for student in ("ada", "bob"):
        hand_in(folder, student, student)
    assert sorted(graded(folder)) == [b"ada", b"bob"]
    assert graded(folder) == []
    (folder / "bob" / "exercises" / f"{STEM}.py").write_text("better")
    assert graded(folder) == [b"better"]
    (out / collect.KEPT / "ada" / f"{STEM}.json").write_text("{")
    assert graded(folder) == [b"ada"]
    assert sorted(graded(folder, seconds=10)) == [b"ada", b"better"]  # other terms
    assert by_student(out) == {"ada": [PASSED] * 6, "bob": [PASSED] * 6}


def test_what_was_stopped_goes_on(graded, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "class-graded"
    for student, text in [("ada", "ada"), ("bob", "stop"), ("cyd", "cyd")]:
        hand_in(folder, student, text)
    with pytest.raises(KeyboardInterrupt):
        graded(folder)
    assert {path.name for path in out.iterdir()} == {collect.KEPT}
    (folder / "bob" / "exercises" / f"{STEM}.py").write_text("bob")
    assert b"ada" not in graded(folder)
    assert len(by_student(out)) == 3


def test_stopping_ends_what_runs(tmp_path, course):
    (tmp_path / "work").mkdir()
    place = workplace.Workplace(tmp_path / "work", course, Limits(30, 2), [])
    sleeping = place.start(place.course, ["sh", "-c", "echo here; sleep 60"], quiet=True)
    assert sleeping.stdout.readline() == b"here\n"
    place.stop()
    assert sleeping.wait(10) == -signal.SIGKILL
    place.end(sleeping)
    with pytest.raises(Interrupted):
        place.ask("judge", STEM, b"")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["course"]


def test_a_milestone_that_is_named_twice_is_graded_once(graded, tmp_path):
    hand_in(tmp_path / "class", "ada", "ada")
    assert graded(tmp_path / "class", names=["01", STEM, "01"]) == [b"ada"]
    assert by_student(tmp_path / "class-graded") == {"ada": [PASSED] * 6}


def test_a_flag_that_release_does_not_know_is_named(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["grader", "release", "--foo", "x"])
    with pytest.raises(SystemExit):
        main()
    assert "Unrecognized options: --foo" in "".join(capsys.readouterr())


def test_where_to_write(graded, tmp_path):
    folder = tmp_path / "class"
    hand_in(folder, "ada", "ada")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    for out in (folder, folder / "graded", tmp_path):
        with pytest.raises(UsageError, match="must not hold the submissions, nor lie among them"):
            graded(folder, out)
    for out in (tmp_path / "full", tmp_path / "full" / "thesis.txt"):
        with pytest.raises(UsageError, match="there is something else"):
            graded(folder, out)
    assert graded(folder, tmp_path / "new" / "one") == [b"ada"]
    assert {path.name for path in tmp_path.iterdir()} == {"class", "full", "new"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["collect", "none", "--csv"], "none: there is no such folder"),
        (["collect", "."], "no submissions: a folder or a zip file each"),
        (["collect", ".", "--jobs", "0"], "--jobs must be 1 or more"),
        (["collect", ".", "--seconds", "nan"], "--seconds must be a number above 0"),
        (["collect", ".", "--seconds", "inf"], "--seconds must be a number above 0"),
        (["collect", ".", "--memory", "0.001"], "--memory must be 0.5 (GB) or more"),
        (["collect", ".", "--milestones"], "--milestones: say which, such as 00 01"),
        (["collect", ".", "--milestones", "77"], "there is no milestone 77"),
        (["collect", "..", "--out", "/dev/null/x"], "x: no folder can be made there ("),
        (["release", ".."], "is not an empty folder"),
        (["release", "/dev/null/x"], "x: no folder can be made there ("),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(here, monkeypatch, capsys, words, says):
    if "77" in words:
        hand_in(here, "ada", "x")
    monkeypatch.setattr(release, "uncommitted", lambda root: ([], []))  # the working tree
    before = hashes(here.parent)
    monkeypatch.setattr(sys, "argv", ["grader", *words])
    with pytest.raises(SystemExit) as end:
        main()
    out, error = capsys.readouterr()
    assert (end.value.code, out) == (2, "") and says in error
    assert len(error.splitlines()) == 1
    assert hashes(here.parent) == before


# ------------------------------------------------------------------------------ what is handed in


def read(folder: Path, student: str = "ada"):
    return read_submission(student, find_submissions(folder)[0][student], [STEM], ROOT)


def zipped(path: Path, **files: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


EXERCISE = f"exercises/{STEM}.py"


@pytest.mark.parametrize(
    "name", [EXERCISE, f"course-main/{EXERCISE}", f"{STEM}.py", f"homework\\exercises\\{STEM}.py"]
)
def test_a_zip_of_any_shape(tmp_path, name):
    files = {name: "mine", f"__MACOSX/{EXERCISE}": "x", f"a/b/c/{STEM}.py": "deeper"}
    base = name.replace("\\", "/").removesuffix(f"{STEM}.py") or "./"
    zipped(tmp_path / "class" / "ada.zip", **files)
    found = read(tmp_path / "class")
    deeper = f"not used: a/b/c/{STEM}.py: {base} is"
    assert (found.exercises, found.remarks) == ({STEM: b"mine"}, (deeper,))
    assert [path.name for path in tmp_path.rglob("*")] == ["class", "ada.zip"]


def test_a_whole_repository_is_held_against_ours(tmp_path, course):
    folder = tmp_path / "class" / "ada" / "course"
    shutil.copytree(course, folder, ignore=shutil.ignore_patterns(".git"))
    assert read(tmp_path / "class").remarks == ()
    judge = folder / "grader" / "judge.py"
    judge.write_bytes(judge.read_bytes().replace(b"\n", b"\r\n"))
    assert read(tmp_path / "class").remarks == ()  # from Windows
    judge.write_text("x")
    (folder / "grader" / "curves" / f"{STEM}.json").write_text("{}")
    (folder / "grader" / "helper.py").write_text("x")
    (folder / "exercises" / "conftest.py").write_text("x")
    (folder / "README.md").write_text("notes of my own")
    assert read(tmp_path / "class").remarks == (
        "not used: course/exercises/conftest.py",
        f"changed: grader/curves/{STEM}.json",
        "added: grader/helper.py",
        "changed: grader/judge.py",
    )


@pytest.mark.parametrize("stems", [[STEM], [BASELINE], [BASELINE, STEM]])
def test_where_the_exercises_are_does_not_depend_on_what_is_graded(tmp_path, stems):
    hand_in(tmp_path, "mix", "mine")
    (tmp_path / "mix" / f"{BASELINE}.py").write_text("beside")
    found = read_submission("mix", tmp_path / "mix", stems, ROOT)
    assert found.exercises == {stem: b"mine" for stem in stems if stem == STEM}
    assert found.remarks == (f"not used: {BASELINE}.py: exercises/ is",)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret.py").write_text("secret")
    exercises = tmp_path / "class" / "ada" / "exercises"
    exercises.mkdir(parents=True)
    (exercises / f"{STEM}.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "class" / "ada" / "more").symlink_to(ROOT)
    found = read(tmp_path / "class")
    assert found.exercises == {}
    assert found.remarks[0].startswith("cannot be read: no exercise file such as exercises/")


def test_a_submission_that_cannot_be_read_is_a_remark(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ada.zip").write_text("no zip")
    zipped(tmp_path / "class" / "bob.zip", **{f"a/{STEM}.py": "1", f"b/{STEM}.py": "2"})
    zipped(tmp_path / "class" / "cyd.zip", **{EXERCISE: "x" * (MOST + 1)})
    says = {"ada": "not a zip file", "bob": "in two places, a/ and b/", "cyd": "is over 1,000,000"}
    for student, words in says.items():
        found = read(tmp_path / "class", student)
        assert found.exercises == {} and words in found.remarks[0]


def test_two_submissions_of_one_name(tmp_path):
    hand_in(tmp_path, "ada", "x")
    zipped(tmp_path / "ada.zip", **{EXERCISE: "x"})
    with pytest.raises(UsageError, match=r"ada and ada\.zip: which is it"):
        find_submissions(tmp_path)


def test_the_reports_say_why_nothing_was_handed_in(graded, monkeypatch, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "class-graded"
    monkeypatch.setattr(collect, "grade", claims.grade)
    hand_in(folder, "eve", STUB).joinpath(f"{STEM}.py").rename(folder / "eve" / f"{BASELINE}.py")
    (folder / "eve" / "exercises" / "milestone2.py").write_text("misnamed")
    (folder / "eve" / "exercises" / "milestone04_unet_skips.py").write_text("x")
    (folder / "ada.zip").write_text("no zip")
    graded(folder, names=["00", "01"])
    with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
        said = {(row["student"], row["milestone"], row["message"]) for row in csv.DictReader(file)}
    unread, misnamed = "cannot be read: File is not a zip file", "not used: exercises/milestone2.py"
    beside = f"not used: {BASELINE}.py: exercises/ is"
    assert said == {
        ("ada", BASELINE, f"not handed in: {unread}"),
        ("ada", STEM, f"not handed in: {unread}"),
        ("eve", BASELINE, f"not handed in: {misnamed}; {beside}"),
        ("eve", STEM, f"not handed in: {misnamed}"),
    }
    results = {p.parent.name: json.loads(p.read_text()) for p in out.rglob("results.json")}
    assert {student: content["output"] for student, content in results.items()} == {
        "ada": unread,
        "eve": f"{misnamed}\n{beside}",
    }


def test_what_is_neither_a_folder_nor_a_zip_is_a_remark(graded, tmp_path):
    folder, says = tmp_path / "class", "kim.py: not graded: a folder or a zip file is needed"
    folder.mkdir()
    for name in ("kim.py", ".DS_Store", "._kim.py", "Thumbs.db", "desktop.ini"):
        (folder / name).write_text("x")
    (folder / "__MACOSX").mkdir()
    with pytest.raises(UsageError, match=f"no submissions: .*; {says}$"):
        find_submissions(folder)
    exercises = hand_in(folder, "ada", "ada")
    (exercises / "._notes.py").write_text("x")
    (folder / "tara.tar.gz").write_text("x")
    graded(folder)
    remarks = (tmp_path / "class-graded" / "remarks.txt").read_text()
    assert remarks.splitlines() == [says, says.replace("kim.py", "tara.tar.gz")]


# ----------------------------------------------------------------------------------- the reports


ROWS = (
    Row(STEM, "get_lr", PASSED, ("curve within 0 of ours",)),
    Row(STEM, "Muon", "BORROWED", ("=HYPERLINK(1)", "\x00 <b> & \ud800")),
    Row(STEM, "", "TODO", ("not started: Muon",)),
)
CLASS = [Graded("=ada", ROWS, ("changed: grader/judge.py",))]


def test_csv():
    assert reports.as_csv(CLASS).splitlines() == [
        "student,milestone,task,status,message",
        f"'=ada,{STEM},01.1 get_lr,PASSED,curve within 0 of ours",
        f"'=ada,{STEM},01.4 Muon,BORROWED,'=HYPERLINK(1)",
        f"'=ada,{STEM},01 all-together,TODO,not started: Muon",
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CANNOT_LOAD", "'(' was never closed"),
        ("CANNOT_LOAD_name", "exercises/milestone01_muon.py does not define split_qkv"),
        ("CRASH", "AttributeError: 'Tensor' object has no attribute 'foo'"),
        ("HANG", "no answer after 4 s: is there an endless loop?"),
        ("HANG_ranks", "every rank must make the same collective calls in the same order."),
        ("SHAPE", "mistake    tall matrices not transposed back"),
        ("WRONG_VALUES", "called zeropower_via_newtonschulz([[2.]], steps=0, eps=1.0, float64)"),
    ],
)
def test_one_line_of_a_message_says_what_is_wrong(name, says):
    text = Path(__file__).with_name("golden").joinpath(f"{name}.txt").read_text()
    status, *lines = [line.removeprefix("  ") for line in text.splitlines()]
    assert Row(STEM, "Muon", status, tuple(lines)).message.endswith(says)


def test_advice_is_not_the_error():
    error = "RuntimeError: shape '[2, 3]' is invalid for input of size 5\nin two lines\ud800"
    lines = ("exercises/a.py:1   x.view(2, 3)", error, "5 is one number short of that.")
    row = Row(STEM, "Muon", "CRASH", lines)
    assert row.message == error.replace("\n", " ")


def test_junit():
    suite = ElementTree.fromstring(reports.as_junit(CLASS)).find("testsuite")
    assert suite.attrib == {"name": "=ada", "tests": "3", "failures": "2"}
    passed, borrowed, _ = suite.findall("testcase")
    assert passed.attrib == {"classname": STEM, "name": "01.1 get_lr"} and len(passed) == 0
    assert borrowed.find("failure").get("type") == "BORROWED"
    assert borrowed.find("failure").text == "=HYPERLINK(1)\n? <b> & ?"
    assert suite.find("system-out").text == "changed: grader/judge.py"


def test_gradescope(tmp_path):
    reports.write(CLASS, [], tmp_path, ["gradescope"])
    assert {path.name for path in tmp_path.iterdir()} == {"gradescope", "remarks.txt"}
    content = json.loads((tmp_path / "gradescope" / "=ada" / "results.json").read_text())
    assert content["score"] == 1.0
    assert content["tests"][1] | {"output": ""} == {
        "name": "01.4 Muon", "score": 0.0, "max_score": 1.0, "status": "failed",
        "output": "", "output_format": "text",
    }  # fmt: skip
    assert content["tests"][2]["output"] == "TODO\nnot started: Muon"


def test_what_is_not_written_anew_goes_and_nothing_else(tmp_path):
    eve, odd = Graded("eve", ROWS), [Graded("odd", (Row(STEM, "Muon", "CRASH", ("E: \ud800",)),))]
    reports.write([*CLASS, eve], [], tmp_path, reports.FORMATS)
    for student in ("=ada", "eve"):
        (tmp_path / "gradescope" / student / "mine.txt").write_text("x")
    (tmp_path / "mine.csv").write_text("x")
    reports.write(odd, [], tmp_path, ["csv", "gradescope"])
    assert set(hashes(tmp_path)) == {
        "grades.csv", "remarks.txt", "mine.csv", "gradescope/odd/results.json",
        "gradescope/=ada/mine.txt", "gradescope/eve/mine.txt",
    }  # fmt: skip
    reports.write(odd, [], tmp_path, [])
    assert not (tmp_path / "grades.csv").exists() and not (tmp_path / "gradescope" / "odd").exists()
