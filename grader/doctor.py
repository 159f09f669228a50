"""python -m grader doctor: whether this machine can grade, and what to do where it cannot."""

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist

from data.shards import ShardError, read_shard
from grader.judge import TOLERANCE, curve_of, in_words, load, script_of
from grader.marks import curve_distance, stored
from grader.ranks import Seat, meet, run_ranks
from grader.verdict import Failed
from milestones.harness import UsageError
from milestones.harness.injection import ROOT
from milestones.table import milestones

INSTALL = "pip install -r requirements.lock && pip install --no-deps -e ."


class Fix(Exception):
    """What is wrong, and the cure."""


def python() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Fix(f"Python {sys.version.split()[0]}: 3.11, 3.12 or 3.13 is needed")
    return f"Python {sys.version.split()[0]}"


def packages() -> str:
    """Everything the project asks for is installed; other versions than the lock's are fine."""
    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    wanted = importlib.metadata.requires("nanogpt-speedrun-milestones") or []
    names = [re.match(r"[\w-]+", want)[0] for want in wanted if "extra" not in want]
    found = {}
    for name in [*names, "pytest"]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise Fix(f"{name} is not installed: {INSTALL}") from None
    if tuple(map(int, found["torch"].split(".")[:2])) < (2, 10):
        raise Fix(f"torch {found['torch']}: 2.10 or later is needed: {INSTALL}")
    tested = (
        "the tested one" if found["torch"].split("+")[0] == locked["torch"] else "not the lock's"
    )
    return f"{len(found)} packages; torch {found['torch']}, {tested}"


def tokens() -> str:
    for name in ("exact_train.bin", "exact_val.bin"):
        try:
            read_shard(ROOT / "data" / "exact" / name)
        except ShardError:
            raise Fix(f"data/exact/{name} is damaged: git checkout data/exact") from None
    return "the grader's tokens are whole"


def exercises() -> str:
    for milestone in milestones():
        script = script_of(milestone.stem)
        try:
            with in_words(milestone.stem, "", "exercises"):
                for name in script.EXERCISES:
                    load(milestone.stem, "exercises", name)
        except Failed as failed:
            lines = " ".join(line.strip() for line in failed.verdict.lines)
            raise Fix(f"{lines} (or: python -m grader reset {milestone.stem[:11]})") from None
    return f"{len(milestones())} files of exercises load"


def arithmetic() -> str:
    """The script's own curve, here and where it was recorded."""
    stem = milestones()[-1].stem
    gap = curve_distance(curve_of(stem, None, None), stored(stem)["curve"])
    if not gap <= TOLERANCE:
        raise Fix(
            f"{stem}'s own loss curve is {gap:.0e} off on this machine (allowed {TOLERANCE:.0e}): "
            "please report it, with this output"
        )
    return f"loss curves reproduce to {gap:.0e} (allowed {TOLERANCE:.0e})"


def add_up(seat: Seat) -> float:
    meet(seat)
    x = torch.ones(1)
    dist.all_reduce(x)
    return x.item()


def two_ranks() -> str:
    try:
        sums = run_ranks(add_up, seconds=20)
    except Failed as failed:
        raise Fix(
            f"two processes cannot talk ({'; '.join(failed.verdict.lines)}): "
            "export GLOO_SOCKET_IFNAME=lo (on macOS lo0)"
        ) from None
    assert sums == [2.0, 2.0]
    return "two ranks reach each other"


def gpu() -> str:
    if not torch.cuda.is_available():
        return "no GPU: all but the GPU parts can be graded, and nothing else is missing"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"


def disk() -> str:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < 1:
        raise Fix(f"{free:.1f} GB free: runs and the embedded corpus want 1 GB")
    return f"{free:.0f} GB free (FineWeb shards, for real runs only, take 0.2 GB each)"


CHECKS: tuple[Callable[[], str], ...] = (
    python, packages, disk, tokens, exercises, arithmetic, two_ranks, gpu,
)  # fmt: skip


def examine() -> Iterator[tuple[bool, str]]:
    """(whether it is well, what was found) for each check in turn."""
    for check in CHECKS:
        try:
            yield True, check()
        except (Fix, UsageError) as fix:
            yield False, str(fix)
