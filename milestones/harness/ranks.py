"""Ranks and devices: one CPU process, one GPU, or any number of ranks under torchrun."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.distributed as dist

from milestones.harness.errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """Where this process stands.  Without torchrun: rank 0 of 1, and no process group."""

    rank: int
    world_size: int
    device: torch.device


def start_ranks(device: str = "auto") -> Ranks:
    """Join the process group if torchrun started us (NCCL on GPUs, gloo on CPUs).

    device: "auto", "cpu" or "cuda".  UsageError if a GPU is asked for and there is none, or if
    there are more ranks than GPUs.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    if device == "cuda" and local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"rank {local_rank} finds no GPU: this machine has {torch.cuda.device_count()}; "
            "start fewer ranks or pass --device cpu"
        )
    where = torch.device("cuda", local_rank) if device == "cuda" else torch.device("cpu")
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if "RANK" not in os.environ:
        return Ranks(0, 1, where)
    if not dist.is_initialized():
        gpu = where if where.type == "cuda" else None
        dist.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
    return Ranks(dist.get_rank(), dist.get_world_size(), where)


def first_to_fail() -> bool:
    """Whether no other rank has asked this before: an error of all ranks is printed by one."""
    if not dist.is_initialized():
        return True
    try:
        return dist.distributed_c10d._get_default_store().add("failed", 1) == 1
    except RuntimeError:  # the store has gone with the rank that kept it
        return False


def stop_ranks() -> bool:
    """Leave the process group.  Returns whether there was one."""
    if not dist.is_initialized():
        return False
    dist.destroy_process_group()
    return True


def exit_rank(code: int) -> NoReturn:
    """End the process of one of several ranks at once, without Python's own tidying up.

    A thread of gloo may still hold a tensor at that time, and asks for an interpreter that is
    gone: one run in ten ended in SIGABRT, for which torchrun kills the other ranks too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
