"""Several ranks on one machine (gloo): a training run on two of them, or a unit call on any number.

A rank is a process.  Shared memory tells where each one is, so that a hang can be explained.
"""

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
import torch.distributed as dist

from grader.cost import ALLOWED
from grader.crash import crash, is_todo
from grader.marks import curve_distance
from grader.observe import observed
from grader.processes import CONTEXT, Child
from grader.verdict import Failed
from grader.words import shown
from milestones.harness import replay
from milestones.harness.ranks import Ranks

QUIET = 5  # seconds after which ranks that all wait in a collective will not go on
COLLECTIVES = (
    "all_reduce", "reduce", "broadcast", "all_gather", "all_gather_into_tensor", "reduce_scatter",
    "reduce_scatter_tensor", "all_to_all", "all_to_all_single", "gather", "scatter", "barrier",
)  # fmt: skip


@dataclass(frozen=True)
class Seat:
    """What a rank is told when it starts."""

    rank: int
    world_size: int
    store: str  # a file at which the ranks meet
    place: object  # shared memory for where it is


class Waiting:
    """A collective under way, whose wait() says that it waits."""

    def __init__(self, work, traffic: "Traffic", words: str):
        self.work, self.traffic, self.words = work, traffic, words
        traffic.begun.append(words)

    def wait(self, *args, **kwargs):
        if self.words in self.traffic.begun:
            self.traffic.begun.remove(self.words)
        self.traffic.say(f"waits in {self.words}")
        result = self.work.wait(*args, **kwargs)
        self.traffic.say(f"is past {self.words}")
        return result

    def __getattr__(self, name: str):
        self.traffic.begun.clear()  # another way to wait
        return getattr(self.work, name)


class Traffic:
    """Counts the collective calls of this rank and their bytes, and says where it waits."""

    def __init__(self, place, path: Path):
        self.place, self.path = place, path  # shared memory that the grader reads; learner's file
        self.calls, self.bytes = 0, 0
        self.begun = []  # collectives that nobody has waited for
        self.own = None  # a group of the grader's own, which a learner's collectives cannot meet

    def say(self, words: str) -> None:
        self.place.value = words.encode()[:250]

    def count(self, name: str, function: Callable) -> Callable:
        def counted(*args, **kwargs):
            self.calls += 1
            tensors = [x for x in [*args, *kwargs.values()] if isinstance(x, torch.Tensor | list)]
            first = tensors[:1] if not tensors or torch.is_tensor(tensors[0]) else tensors[0]
            self.bytes += sum(x.nbytes for x in first if torch.is_tensor(x))
            words = f"{name}{root_of(name, args, kwargs)}, its collective no. {self.calls}"
            words += self.line()
            self.say(f"waits in {words}")
            work = function(*args, **kwargs)
            self.say(f"is past {words}")
            return work if work is None else Waiting(work, self, words)

        return counted

    def exchange(self, value, moment: str) -> list:
        """The values of all ranks.  Who has skipped a collective waits here for who has not."""
        self.say(f"waits in the grader's own exchange, {moment}")
        everywhere = [None] * dist.get_world_size()
        dist.all_gather_object(everywhere, value, group=self.own)
        self.say(f"is past the grader's exchange, {moment}")
        return everywhere

    def line(self) -> str:
        """Where in the learner's file the call was made, if there."""
        frames = [f for f in traceback.extract_stack() if f.filename == str(self.path)]
        return f" ({shown(self.path)}:{frames[-1].lineno})" if frames else ""

    @contextmanager
    def counted(self) -> Iterator[None]:
        patches = {name: self.count(name, getattr(dist, name)) for name in COLLECTIVES}
        with mock.patch.multiple(dist, **patches):
            yield


def root_of(name: str, args: tuple, kwargs: dict) -> str:
    """The rank that sends or receives alone, where there is one."""
    if name not in ("broadcast", "reduce"):
        return ""
    keyword = "src" if name == "broadcast" else "dst"
    return f" with {keyword} {kwargs.get(keyword, args[1] if len(args) > 1 else None)}"


def meet(seat: Seat) -> None:
    """Join the other ranks.  Nobody leaves: whoever did would break the others' connections."""
    meeting = {"init_method": f"file://{seat.store}", "world_size": seat.world_size}
    dist.init_process_group("gloo", rank=seat.rank, **meeting)


def run_rank(seat: Seat, script: ModuleType, learner, names) -> dict:
    """One rank's part of the exact run: its curve, two sums of each weight, its traffic."""
    traffic = Traffic(seat.place, Path(learner.__file__ if learner else ""))
    meet(seat)
    traffic.say("is in the training run")
    with traffic.counted(), observed() as seen:
        ranks = Ranks(seat.rank, seat.world_size, torch.device("cpu"))
        rows = replay(script, learner=learner, names=names, ranks=ranks)
    traffic.say("has finished")
    weights = {n: [p.sum().item(), p.norm().item()] for n, p in seen.model.named_parameters()}
    return {
        "val": [row.val_loss for row in rows if row.step % 20 == 0],
        "train": [row.train_loss for row in rows[:40]],
        "weights": weights,
        "traffic": {"calls": traffic.calls, "bytes": traffic.bytes},
    }


def unit_rank(seat: Seat, function: Callable, path: Path) -> dict:
    """One rank's part of a unit call.  Raises Failed: TODO or CRASH, with lines of `path`."""
    torch.use_deterministic_algorithms(True, warn_only=True)  # fills a torch.empty with nan
    traffic = Traffic(seat.place, path)
    meet(seat)
    traffic.own = dist.new_group()
    traffic.say("is at work")
    try:
        with traffic.counted():
            found = function(seat.rank, seat.world_size, traffic)
    except Exception as error:
        if is_todo(error, path):
            raise Failed("TODO", str(error)) from None
        error.add_note(f"on ranks   rank {seat.rank} of {seat.world_size}")
        raise crash(error, path) from None
    if traffic.begun:
        where = f"rank {seat.rank}: nothing has waited for {traffic.begun[0]}"
        raise Failed(
            "INVARIANT", where, "Call .wait() of what it returns before you use the result."
        )
    traffic.say("has finished")
    return packed(found)


def on_ranks(world_size: int, function: Callable, path: Path) -> list:
    """What function(rank, world_size, traffic) returns on each rank; tensors are welcome.

    path: the learner's file.  Raises Failed: a rank's own verdict, or HANG.
    """
    ranks = run_ranks(unit_rank, function, path, world_size=world_size, seconds=4 * QUIET)
    return [unpacked(found) for found in ranks]


def packed(value):
    """As JSON: tensors become lists of numbers with a dtype."""
    if isinstance(value, torch.Tensor):
        return {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, dict):
        return {str(key): packed(item) for key, item in value.items()}
    return [packed(item) for item in value] if isinstance(value, list | tuple) else value


def unpacked(value):
    """The inverse of `packed`."""
    if isinstance(value, dict) and "tensor" in value:
        return torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"]))
    if isinstance(value, dict):
        return {key: unpacked(item) for key, item in value.items()}
    return [unpacked(item) for item in value] if isinstance(value, list) else value


def run_ranks(function: Callable, *args, world_size: int = 2, seconds: float) -> list:
    """What function(seat, *args) returns on every rank.

    Raises Failed: a rank's own verdict, or HANG, which says where each of them waits.
    """
    places = [CONTEXT.Array("c", 256) for _ in range(world_size)]
    with tempfile.TemporaryDirectory() as folder:
        seats = [Seat(i, world_size, f"{folder}/store", place) for i, place in enumerate(places)]
        children = [Child(function, seat, *args, linger=True) for seat in seats]
        try:
            return results(children, places, seconds)
        finally:
            for child in children:
                child.end()


def results(children: list[Child], places: list, seconds: float) -> list:
    """The answers of all ranks.  Raises Failed."""
    waited_for, answers = {child.pipe: i for i, child in enumerate(children)}, {}
    deadline, seen, since = time.monotonic() + seconds, [], 0.0
    while waited_for:
        ready = wait(list(waited_for), timeout=0.1)
        for pipe in ready:
            rank = waited_for.pop(pipe)
            try:
                answers[rank] = children[rank].result()
            except Failed as failed:
                raise first_cause(failed, rank, children, places) from None
        now, words = time.monotonic(), [place.value.decode() for place in places]
        if ready or words != seen:
            seen, since = words, now
        stuck = all(words[rank].startswith("waits in") for rank in waited_for.values())
        limit = seconds if now > deadline else QUIET
        if now > deadline or (stuck and now > since + QUIET):
            where = [f"rank {i} {text}" for i, text in enumerate(words)]
            rule = "every rank must make the same collective calls in the same order"
            raise Failed("HANG", *where, f"No end after {limit:.0f} s: {rule}.")
    return [answers[rank] for rank in range(len(children))]


def first_cause(failed: Failed, rank: int, children: list[Child], places: list) -> Failed:
    """What went wrong on a rank; if a process just ended, its own or another's, where all were.

    A rank whose partner ends meets an error in its collective: it is then not the cause.
    """
    status, gone = failed.verdict.status, [rank]
    if status == "CRASH":  # ranks stay until they are ended, so one that is gone was aborted
        ranks = {child.process.sentinel: i for i, child in enumerate(children)}
        gone = [ranks[sentinel] for sentinel in wait(list(ranks), timeout=1)]
    if status not in ("CRASH", "ENDED") or not gone:
        return failed
    where = [f"rank {i} {place.value.decode()}" for i, place in enumerate(places)]
    rule = "A collective ends a rank if its tensor is larger or smaller than another rank's."
    code = children[gone[0]].process.exitcode
    return Failed("ENDED", f"rank {gone[0]}: its process ended (exit code {code})", *where, rule)


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
    gap = curve_distance(got, curve)
    if gap > tolerance:
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
                "Ours are one a step for each gradient, and few besides: one call can carry all.",
            )
    return [f"2 ranks within {gap:.0e}, {first['traffic']['calls']} collective calls"]
