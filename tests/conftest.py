"""Shared by the tests of the harness: every milestone's script, and ways to run one.

Milestones come from milestones.toml, so a new one is covered without an edit here.
"""

import csv
import hashlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import suppress
from copy import deepcopy
from dataclasses import astuple
from pathlib import Path
from unittest import mock

import pytest
import torch

from grader.observe import observed
from milestones.harness import Run, Stopped, main, replay
from milestones.harness.curve import Row
from milestones.harness.injection import injected, load_implementation
from milestones.harness.ranks import Ranks
from milestones.harness.run import Options
from milestones.table import milestones

torch.set_num_threads(1)
ONE_RANK = Ranks(0, 1, torch.device("cpu"))
STEMS = [milestone.stem for milestone in milestones()]
LATEST = [  # in full for the latest milestone, the others in the slow tests
    pytest.param(stem, marks=[] if stem == STEMS[-1] else pytest.mark.slow) for stem in STEMS
]


def find_script(stem: str):
    return importlib.import_module(f"milestones.{stem}.train_gpt")


@pytest.fixture(scope="session", params=STEMS)
def script(request):
    """The train_gpt module of every milestone in turn."""
    return find_script(request.param)


@pytest.fixture(scope="session")
def solution(script):
    """The module of solutions/ for `script`."""
    return load_implementation("solutions", script)


@pytest.fixture(scope="session")
def exact_curve():
    """exact_curve(script): the rows of the script's own `exact` run, computed once."""
    curves = {}

    def curve(script) -> list[Row]:
        if script.__name__ not in curves:
            curves[script.__name__] = replay(script)
        return curves[script.__name__]

    return curve


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(here, capfd):
    """cli(script, *argv): (exit code, stdout, stderr) of a command line, in this process."""

    def run(script, *argv) -> tuple[int, str, str]:
        capfd.readouterr()
        code = 0
        try:
            main(script.__name__, [str(word) for word in argv])
        except SystemExit as end:
            code = end.code
        return code, *capfd.readouterr()

    return run


def saved(script, step: int, ranks: Ranks = ONE_RANK, learner=None, names=None) -> tuple:
    """An exact run up to `step`, in memory: its rows, and what its checkpoint holds."""
    kept = []

    def keep(run, at, state):
        kept.append(deepcopy(state))
        raise Stopped("", 0)

    due = mock.patch.object(Run, "save_due", lambda run, at, last: at == step)
    run = Run(script, "exact", script.PRESETS["exact"], Options(), ranks, in_memory=True)
    save = mock.patch.object(Run, "save", keep)
    with injected(script, learner, names), due, save, suppress(Stopped):
        script.train(run.args, run)
    return run.history[:step], kept[0]


def resumed(
    script, step: int, state: dict, ranks: Ranks = ONE_RANK, learner=None, names=None
) -> tuple[list[Row], list[torch.optim.Optimizer]]:
    """The rest of that run, from a checkpoint: its rows, and its optimizers at the end."""
    run = Run(script, "exact", script.PRESETS["exact"], Options(), ranks, in_memory=True)
    run.first_step, run.resumed = step, deepcopy(state)
    with injected(script, learner, names), observed() as seen:
        script.train(run.args, run)
    return run.history, seen.optimizers


def untimed(rows: list[Row]) -> list[tuple]:
    """Every column but the time, as text: what two equal runs have bit by bit in common."""
    return [tuple(map(repr, astuple(row)[:4])) for row in rows]


def losses(rows: list[Row]) -> list[float]:
    """Every training and validation loss there is, row by row."""
    return [value for row in rows for value in (row.train_loss, row.val_loss) if value == value]


def csv_untimed(path: Path) -> list[list[str]]:
    """The same of a curve.csv, from its own text."""
    with path.open(newline="") as file:
        return [record[:4] for record in csv.reader(file)]


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -------------------------------------------- a run in a process of its own, ended by a signal


def send_signal_at(step: int, number: int, place: str) -> None:
    """Make the run of this process send itself a signal at a place of a step.

    place: "before row" or "after row" of curve.csv, "twice" before the row, or "in checkpoint",
    half-way through writing the first one from `step` on.
    """
    log_train, save, torch_save = Run.log_train, Run.save, torch.save

    def send():
        os.kill(os.getpid(), number)

    def log_train_and_send(run, at, loss):
        if place in ("before row", "twice") and at == step:
            send()
        if place == "twice" and at == step:
            send()
        log_train(run, at, loss)
        if place == "after row" and at == step:
            send()

    def save_half(content, path):
        torch_save(content, path)
        os.truncate(path, path.stat().st_size // 2)
        send()

    def save_and_send(run, at, state):
        if place == "in checkpoint" and at >= step:
            torch.save = save_half
        save(run, at, state)

    Run.log_train, Run.save = log_train_and_send, save_and_send


def run_in_child(module: str, argv: list[str], folder: str, step: int, number: int, place: str):
    with Path(folder, "child.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # both in the order in which they are written
    os.chdir(folder)
    if number:
        send_signal_at(step, number, place)
    main(module, argv)


@pytest.fixture
def interrupted(here):
    """interrupted(script, *argv, step=, number=, place=): exit code and output of the child."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["milestones.harness", "matplotlib.figure"])

    def run(script, *argv, step=0, number=signal.SIGKILL, place="after row") -> tuple[int, str]:
        argv = [str(word) for word in argv]
        child = context.Process(
            target=run_in_child, args=(script.__name__, argv, str(here), step, int(number), place)
        )
        with mock.patch.object(sys.modules["__main__"], "__spec__", None):
            child.start()  # pytest itself need not be imported there
        child.join(120)
        if child.is_alive():
            child.kill()
            child.join()
            pytest.fail("the child did not end within 120 s")
        log = here / "child.log"
        output = log.read_text()
        log.unlink()
        return child.exitcode, output

    return run


@pytest.fixture
def torchrun(here):
    """torchrun(ranks, *words): (exit code, stderr); words are what follows torchrun's own flags."""

    def run(ranks: int, *words) -> tuple[int, str]:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
        process = subprocess.Popen(
            [sys.executable, *launch, *map(str, words)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its ranks, by force after 30 s
            _, err = process.communicate()
            pytest.fail(f"torchrun did not end within 120 s:\n{err}")
        return process.returncode, err

    return run
