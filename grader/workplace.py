"""Where submissions run: a clean copy of the course and a sandbox for each question put to one."""

import compileall
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock

from grader.checkout import export
from grader.sandbox import inside, namespaces
from grader.worker import longest

MOST = 1_000_000  # bytes of an answer
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # environment variables


@dataclass(frozen=True)
class Limits:
    """Of one task: seconds until it hangs, and GB of memory besides what Python and torch take."""

    seconds: float
    memory: float


class Interrupted(Exception):
    """The teacher stopped it: what is half graded is forgotten."""


@dataclass
class Workplace:
    """An empty folder to work in; `hidden` are folders that no sandbox shows."""

    folder: Path
    root: Path  # of the repository that the course is exported from
    limits: Limits
    hidden: list[Path]
    running: set[subprocess.Popen] = field(default_factory=set)
    stopped: bool = False
    lock: Lock = field(default_factory=Lock)  # of the two above

    def __post_init__(self):
        self.course.mkdir()
        export(self.root, self.course)
        compileall.compile_dir(self.course, quiet=2)  # once, not once a sandbox
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(self.course, arcname="")
        self.archive = packed.getvalue()  # out of the reach of what runs here

    @property
    def course(self) -> Path:
        return self.folder / "course"

    def ask(self, what: str, stem: str, text: bytes | None, **request) -> list:
        """What grader.worker answers, with `text` as its exercise file; None leaves the stub.

        Whatever JSON was written: all of it may be made up.  Less than was asked for if the worker
        was ended or ended itself.  Raises Interrupted.
        """
        folder = self.folder / secrets.token_hex(8)
        try:
            with tarfile.open(fileobj=io.BytesIO(self.archive)) as tar:
                tar.extractall(folder, filter="data")
            (folder / "tmp").mkdir()
            if text is not None:
                (folder / "exercises" / f"{stem}.py").write_bytes(text)
            limits = [str(self.limits.seconds), str(self.limits.memory)]
            command = [sys.executable, "-m", "grader.worker", what, stem, *limits]
            process = self.start(folder, command, quiet=text is not None)
            try:
                with suppress(BrokenPipeError):
                    process.stdin.write(json.dumps(request).encode() + b"\n")
                    process.stdin.close()
                seconds = longest(stem, self.limits.seconds)
                written = read_until(process, time.monotonic() + seconds)
            finally:
                self.end(process)
        finally:
            remove(folder)
        if self.stopped:
            raise Interrupted
        return [value for line in written.splitlines() for value in parsed(line)]

    def start(self, folder: Path, command: list[str], quiet: bool) -> subprocess.Popen:
        """In a session of its own, and in a namespace where that can be had."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {name: str(folder / "tmp") for name in ("HOME", "TMPDIR")}
        environment |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        environment |= {"CUDA_VISIBLE_DEVICES": ""}
        if namespaces():
            command = inside(folder, self.hidden, command)
            environment["GLOO_SOCKET_IFNAME"] = "lo"
        with self.lock:
            if self.stopped:
                raise Interrupted
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if quiet else None,
                start_new_session=True,
            )
            self.running.add(process)
        return process

    def end(self, process: subprocess.Popen) -> None:
        """With all that it has started, as far as that can be found."""
        kill(process)
        process.wait()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        with self.lock:
            self.running.discard(process)

    def stop(self) -> None:
        """End what runs, and let nothing new begin."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                kill(process)


def kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen, deadline: float) -> bytes:
    """What it writes until it ends, it is late, or it writes too much."""
    written = b""
    while len(written) < MOST and wait([process.stdout], max(0.0, deadline - time.monotonic())):
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            break
        written += piece
    return written


def parsed(line: bytes) -> list:
    """The value of a line of JSON, in a list; none of another line."""
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError):
        return []


def remove(folder: Path) -> None:
    """Delete a folder, also where somebody has locked the folders in it."""
    for where, folders, _ in os.walk(folder):
        for path in [Path(where, name) for name in folders]:
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
