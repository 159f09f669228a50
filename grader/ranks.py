"""The exact run on two ranks of one machine (gloo): same curve, same weights, same traffic."""

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
import torch.distributed as dist

from grader.cost import ALLOWED
from grader.observe import observed
from grader.processes import CONTEXT, Child
from grader.verdict import Failed
from grader.words import shown
from milestones.harness import replay
from milestones.harness.ranks import Ranks

COLLECTIVES = (
    "all_reduce", "reduce", "broadcast", "all_gather", "all_gather_into_tensor", "reduce_scatter",
    "reduce_scatter_tensor", "all_to_all", "all_to_all_single", "gather", "scatter", "barrier",
)  # fmt: skip


class Waiting:
    """A collective under way, whose wait() says that it waits."""

    def __init__(self, work, traffic: "Traffic", words: str):
        self.work, self.traffic, self.words = work, traffic, words

    def wait(self, *args, **kwargs):
        self.traffic.say(f"waits in {self.words}")
        result = self.work.wait(*args, **kwargs)
        self.traffic.say(f"is past {self.words}")
        return result

    def __getattr__(self, name: str):
        return getattr(self.work, name)


class Traffic:
    """Counts the collective calls of this rank and their bytes, and says where it waits."""

    def __init__(self, place, path: Path):
        self.place, self.path = place, path  # shared memory that the grader reads; learner's file
        self.calls, self.bytes = 0, 0

    def say(self, words: str) -> None:
        self.place.value = words.encode()[:250]

    def count(self, name: str, function: Callable) -> Callable:
        def counted(*args, **kwargs):
            self.calls += 1
            tensors = [x for x in [*args, *kwargs.values()] if isinstance(x, torch.Tensor | list)]
            first = tensors[:1] if not tensors or torch.is_tensor(tensors[0]) else tensors[0]
            self.bytes += sum(x.nbytes for x in first if torch.is_tensor(x))
            words = f"{name}, its collective no. {self.calls}{self.line()}"
            self.say(f"waits in {words}")
            work = function(*args, **kwargs)
            self.say(f"is past {words}")
            return work if work is None else Waiting(work, self, words)

        return counted

    def line(self) -> str:
        """Where in the learner's file the call was made, if there."""
        frames = [f for f in traceback.extract_stack() if f.filename == str(self.path)]
        return f" ({shown(self.path)}:{frames[-1].lineno})" if frames else ""

    @contextmanager
    def counted(self) -> Iterator[None]:
        patches = {name: self.count(name, getattr(dist, name)) for name in COLLECTIVES}
        with mock.patch.multiple(dist, **patches):
            yield


def run_rank(rank: int, store: str, place, script: ModuleType, learner, names) -> dict:
    """One rank's part of the exact run: its curve, two sums of each weight, its traffic.

    store: a file both ranks meet at; place: shared memory for where this rank is.
    """
    traffic = Traffic(place, Path(learner.__file__ if learner else ""))
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    traffic.say("is in the training run")
    with traffic.counted(), observed() as seen:
        ranks = Ranks(rank, 2, torch.device("cpu"))
        rows = replay(script, learner=learner, names=names, ranks=ranks)
    traffic.say("has finished")
    dist.destroy_process_group()
    weights = {n: [p.sum().item(), p.norm().item()] for n, p in seen.model.named_parameters()}
    return {
        "val": [row.val_loss for row in rows if row.step % 20 == 0],
        "train": [row.train_loss for row in rows[:40]],
        "weights": weights,
        "traffic": {"calls": traffic.calls, "bytes": traffic.bytes},
    }


def run_both(function: Callable, *args, seconds: float) -> list[dict]:
    """What function(rank, store, place, *args) returns on ranks 0 and 1.

    Raises Failed: a rank's own verdict, or HANG, which says where each of them waits.
    """
    places = [CONTEXT.Array("c", 256) for _ in range(2)]
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        children = [Child(function, i, f"{folder}/store", places[i], *args) for i in range(2)]
        try:
            waited_for = {child.pipe: child for child in children}
            while waited_for:
                ready = wait(list(waited_for), timeout=max(0.0, deadline - time.monotonic()))
                if not ready:
                    where = [f"rank {i} {place.value.decode()}" for i, place in enumerate(places)]
                    rule = "every rank must make the same collective calls in the same order"
                    raise Failed("HANG", *where, f"No end after {seconds:.0f} s: {rule}.")
                for pipe in ready:
                    child = waited_for.pop(pipe)
                    child.answer = child.result()
            return [child.answer for child in children]
        finally:
            for child in children:
                child.end()


def compare(ranks: list[dict], curve: list[float], traffic: dict, tolerance: float) -> list[str]:
    """One line for the board if two ranks are one.  Raises Failed: INVARIANT or TOO SLOW."""
    first, second = ranks
    for name, sums in first["weights"].items():
        if any(abs(a - b) > 1e-9 for a, b in zip(sums, second["weights"][name], strict=True)):
            raise Failed(
                "INVARIANT",
                f"After 40 steps on 2 ranks {name} differs between them: rank 0 has norm "
                f"{sums[1]:.6g}, rank 1 {second['weights'][name][1]:.6g}.",
                "Every rank must make the same update: from averaged gradients, with no rank's own "
                "numbers in it.",
            )
    got = first["val"] + first["train"]
    gap = max((abs(a - b) for a, b in zip(got, curve, strict=False)), default=0)
    if len(got) != len(curve) or not gap <= tolerance:
        raise Failed(
            "INVARIANT",
            f"On one rank the curve is ours; on 2 ranks it is {gap:.1e} off.",
            "Together the ranks must do what one does: the same tokens, the same mean gradient.",
        )
    for what, ours in traffic.items():
        theirs = first["traffic"][what]
        if theirs > ALLOWED * ours:
            raise Failed(
                "TOO SLOW",
                f"{what} of the collectives in 40 steps: {theirs:,}, ours {ours:,}; "
                f"allowed {ALLOWED} times",
            )
    return [f"2 ranks within {gap:.0e}, {first['traffic']['calls']} collective calls"]
