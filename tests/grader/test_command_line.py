"""`pytest grader/` and `python -m grader` as a learner runs them, in processes of their own."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from grader import __main__ as command_line
from grader import doctor
from grader.__main__ import reset, with_stub
from grader.verdict import Failed
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from tests.grader.test_judge import golden

MUON = "milestone01_muon.py"


def run(*words: str) -> tuple[int, str]:
    """Exit code and output of python -m <words>, run in the repository."""
    environment = {**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def timeless(text: str) -> str:
    text = re.sub(r"in [0-9.]+s|[0-9]+ min ago|torch [0-9.+a-z]+", "...", text)
    text = re.sub(r"collected .*|, [0-9]+ deselected|[0-9]+ deselected, ", "", text)
    text = re.sub(r"within \S+ of ours", "within ... of ours", text)
    return re.sub(r"[ =]+\n", "\n", text)


def test_an_untouched_clone_is_red_without_a_traceback():
    code, text = run("pytest", "grader/", "-k", "milestone01", "--target", "grader/stubs")
    assert code == 1
    assert "Traceback" not in text and "Error" not in text
    golden("terminal untouched", timeless(text))


def test_a_file_half_done(tmp_path):
    stub, solution = ((ROOT / place / MUON).read_text() for place in ("grader/stubs", "solutions"))
    for name in ("get_lr", "Muon"):
        stub = with_stub(stub, solution, name)
    (tmp_path / MUON).write_text(stub.replace("* max(rows, cols) ** 0.5", "* rows**0.5"))
    code, text = run("pytest", "grader/", "-k", "milestone01", "--target", str(tmp_path))
    assert code == 1
    golden("terminal half done", timeless(text.replace(str(tmp_path.resolve()), "exercises")))


def test_tasks_graded_at_a_time_keep_apart_what_they_print_and_how_they_end(tmp_path):
    text = (ROOT / "solutions" / MUON).read_text()
    says = {
        "def get_lr(step: int, args) -> float:\n": "    print('from one'); 1 / 0\n",
        "def split_qkv(U: Tensor) -> tuple[Tensor, ...]:\n": (
            "    print('from another')\n    import os\n    os.kill(os.getppid(), 9)\n"
        ),
    }
    for line, more in says.items():
        assert line in text
        text = text.replace(line, line + more)
    (tmp_path / MUON).write_text(text)
    asked = "milestone01 and (get_lr or split_qkv)"
    code, text = run("pytest", "grader/", "-k", asked, "--target", str(tmp_path))
    one, another = text.split("01.3 split_qkv")
    assert code == 1
    assert "CRASH" in one and "from one" in one and "another" not in one
    assert "ENDED" in another and "from another" in another and "from one" not in another


def test_the_solutions_of_a_task_are_green():
    code, text = run("pytest", "grader/", "-k", "01.3", "--target", "solutions")
    assert code == 0 and "1 passed" in text


@pytest.mark.parametrize(
    ("asked", "found"), [("milestone04.1", "1-CastedLinear"), ("04.10", "10-get_momentum")]
)
def test_task_1_is_not_task_10(asked, found):
    code, text = run("pytest", "grader/", "-k", asked, "--collect-only", "-q")
    assert code == 0
    assert re.findall(r"test_task\[(.*)\]", text) == [found]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-k", "milestone1"], "did you mean milestone01?"),
        (["-k", "milestone77"], "choose from milestone00, milestone01"),
        (["-k", "01.9"], "there is no task 01.9"),
        (["--target", "nowhere"], "there is no such folder"),
    ],
)
def test_a_misspelt_request_is_a_usage_error(words, says):
    code, text = run("pytest", "grader/", *words)
    assert code == 4 and says in text, text
    assert "Traceback" not in text


def test_the_doctor_finds_this_machine_well():
    code, text = run("grader", "doctor")
    assert code == 0, text
    assert text.count("OK ") == len(doctor.CHECKS)


def test_the_doctor_says_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor, "TOLERANCE", -1)
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version="3.9.0", version_info=(3, 9, 0)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))

    def fail(*args, **kwargs):
        raise Failed("HANG", "rank 0 is silent")

    monkeypatch.setattr(doctor, "run_ranks", fail)
    found = [line for well, line in doctor.examine() if not well]
    assert len(found) == 4
    cures = ("3.11, 3.12 or 3.13 is needed", "want 1 GB", "please report it", "GLOO_SOCKET_IFNAME")
    for line, cure in zip(found, cures, strict=True):
        assert cure in line


def test_one_task_is_reset_and_the_others_stay():
    mine = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    stub = "def one():\n    raise\n\n\ndef two():\n    raise\n"
    assert with_stub(mine, stub, "two") == "def one():\n    return 1\n\n\ndef two():\n    raise\n"
    assert with_stub("import math\n", stub, "one") == "import math\n\n\ndef one():\n    raise\n"


def test_every_reset_keeps_what_it_replaces(tmp_path, monkeypatch):
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    stub, path = (tmp_path / f / "milestone01_muon.py" for f in ("grader/stubs", "exercises"))
    for file, text in (stub, "def get_lr():\n    raise\n"), (path, "def get_lr():\n    return 1\n"):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert reset("01.1").endswith("yours is in exercises/milestone01_muon.py.bak")
    assert path.read_text() == stub.read_text()
    assert "already" in reset("01.1") and "already" in reset("milestone01")
    path.write_text("# fa\xe7ade\n", encoding="latin-1")
    with pytest.raises(UsageError, match="not UTF-8: reset the whole file"):
        reset("01.1")
    assert reset("milestone01").endswith("exercises/milestone01_muon.py.bak2")
    kept = sorted(p.read_bytes() for p in path.parent.glob("*.bak*"))
    assert kept == [b"# fa\xe7ade\n", b"def get_lr():\n    return 1\n"]
