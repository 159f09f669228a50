"""Children: learner code runs in processes of its own, so that nothing it does ends the grader."""

import faulthandler
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import torch

from grader.verdict import Failed

CONTEXT = multiprocessing.get_context("fork")  # torch is imported once, not once a task


@cache
def warm_up() -> None:
    """What torch imports at its first optimizer step, once for all children: a second each."""
    p = torch.nn.Parameter(torch.zeros(1))
    p.grad = torch.zeros(1)
    torch.optim.AdamW([p]).step()


def work(function: Callable, args: tuple, pipe, leads: bool, linger: bool) -> None:
    """In the child: send what function(*args) returns, or the verdict that it raised."""
    if leads:
        os.setpgid(0, 0)
    torch.set_num_threads(1)
    faulthandler.disable()  # pytest's: the stack of a rank that ends is the grader's
    try:
        answer = {"value": function(*args)}
    except Failed as failed:
        answer = {"verdict": [failed.verdict.status, failed.verdict.lines]}
    except SystemExit:
        answer = {"verdict": ["ENDED", ["sys.exit was called: return a value instead"]]}
    pipe.send(json.dumps(answer))
    if linger:
        signal.pause()


class Child:
    """function(*args) in a forked process; the answer must be JSON.

    A child may have children: it leads a process group, and end() ends them all.  With `linger` it
    stays until end(), its connections open.
    """

    def __init__(self, function: Callable, *args, linger: bool = False):
        warm_up()
        self.pipe, send = CONTEXT.Pipe(duplex=False)
        self.leads = multiprocessing.parent_process() is None
        self.process = CONTEXT.Process(target=work, args=(function, args, send, self.leads, linger))
        self.process.start()
        send.close()
        if self.leads:
            with suppress(OSError):  # here as well: whoever comes first
                os.setpgid(self.process.pid, 0)

    def result(self):
        """Its answer.  Raises Failed with the verdict it ended with instead."""
        try:
            answer = json.loads(self.pipe.recv())
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise Failed("ENDED", f"the process ended (exit code {code}) before a result") from None
        if "verdict" in answer:
            status, lines = answer["verdict"]
            raise Failed(status, *lines)
        return answer["value"]

    def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS's answer for a zombie
            os.killpg(self.process.pid, signal.SIGKILL) if self.leads else self.process.kill()
        self.process.join()
        self.pipe.close()


def in_child(seconds: float, function: Callable, *args):
    """What function(*args) returns in a child.  Raises Failed: its verdict, HANG or ENDED."""
    child = Child(function, *args)
    try:
        if not child.pipe.poll(seconds):
            raise Failed("HANG", f"no answer after {seconds:.0f} s: is there an endless loop?")
        return child.result()
    finally:
        child.end()


assert os.name == "posix", "the grader forks: run it on Linux, macOS or WSL"
