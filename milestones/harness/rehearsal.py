"""A dress rehearsal: the first steps of the very run asked for, and all that comes with them.

The schedule is the run's own, left after 20 steps.  Squeezing it would take fields that differ from
milestone to milestone, and would not notice that the shards are too few for the whole run.

    first part     20 steps, validated before steps 0 and 10, saved before step 10
    second part    resumed from there; its losses are held against those of the first part
"""

import gc
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from milestones.harness.errors import RehearsalFailed, Stopped, UsageError
from milestones.harness.estimates import duration, money
from milestones.harness.preflight import count_parameters
from milestones.harness.run import Run

STEPS = 20
TOLERANCE = 0.02  # nats, on a GPU: not measured there; what tests/test_record.py grants bfloat16


class PartDone(Exception):
    """The rehearsal has trained as far as it wants to."""


class Part(Run):
    """The run, saved before step `half` and left after `end` steps, whatever its schedule says."""

    def __init__(self, run: Run, folder: Path, end: int, resume: bool):
        self.half, self.end = end // 2, end
        options = replace(run.options, folder=folder, resume=folder if resume else None)
        args = replace(run.args, val_loss_every=self.half)
        super().__init__(run.script, run.preset, args, options, run.ranks, run.learner)
        self.step_ended, self.evaluation_seconds = time.perf_counter(), math.nan

    def save_due(self, step: int, last_step: bool) -> bool:
        return step == self.half and not self.resumed

    def log_validation(self, step: int, val_loss: float) -> None:
        self.evaluation_seconds = time.perf_counter() - self.step_ended
        super().log_validation(step, val_loss)

    def log_train(self, step: int, loss: Tensor) -> None:
        super().log_train(step, loss)
        if self.stop_signal:
            raise Stopped("rehearsal stopped" if self.rank == 0 else "", self.stop_signal)
        if step + 1 == self.end:
            raise PartDone
        self.step_ended = time.perf_counter()

    def play(self) -> float:
        """Train.  Returns the seconds it took, compilation and validation included."""
        started = time.perf_counter()
        try:
            with self.in_progress():
                self.script.train(self.args, self)
        except PartDone:
            pass
        if self.bar is not None:
            self.bar.close()
        return time.perf_counter() - started


def rehearse(run: Run) -> None:
    """Both parts, and what they say about the whole run.

    UsageError if the run has fewer than two steps; RehearsalFailed if the second part goes on
    differently from the first.  The run folder stays, its checkpoint does not.
    """
    end = min(STEPS, run.args.num_iterations)
    if end < 2:
        raise UsageError("--rehearse resumes half-way: it needs num_iterations of 2 or more")
    folder = rehearsal_folder(run)
    first = Part(run, folder, end, resume=False)
    try:
        seconds = first.play()
        figures = first.summarize(count_parameters(run)) | {"peak_memory_gib": peak_memory(run)}
        free_memory(run)
        second = Part(run, folder, end, resume=True)
        second.note(f"rehearsal: resumed before step {second.first_step}")
        second.play()
    finally:
        if run.rank == 0:
            for name in ("checkpoint.pt", "checkpoint.partial"):
                (folder / name).unlink(missing_ok=True)
    if run.rank == 0:
        figures |= forecast(run, first, seconds)
        figures["resume_difference"] = difference(first, second)
        second.close_folder(figures)
        if not run.options.quiet:
            print("\n".join(summary(run, folder, end, figures)))
        check_resume(run, figures["resume_difference"])


def rehearsal_folder(run: Run) -> Path:
    """The folder of the run with "-rehearsal" after its name, the same on all ranks."""
    folder = run.folder or run.default_folder()
    folder = [folder.with_name(f"{folder.name}-rehearsal")]
    if run.world_size > 1:
        dist.broadcast_object_list(folder)  # the ranks' clocks may differ
    return folder[0]


def free_memory(run: Run) -> None:
    """Forget the first part as the end of its process would: a GPU may have no room for two."""
    gc.collect()  # models and optimizers are held by cycles
    if run.device.type == "cuda":
        torch.compiler.reset()
        torch.cuda.empty_cache()


def peak_memory(run: Run) -> float:
    """GiB, of tensors on a GPU, on a CPU of the whole process."""
    if run.device.type == "cuda":
        return torch.cuda.max_memory_allocated(run.device) / 2**30
    import resource  # here, because Windows has none

    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def forecast(run: Run, first: Part, seconds: float) -> dict:
    """What the whole run will take, given that its first part took `seconds`; None if unknown."""
    args, step_avg = run.args, first.clock.step_avg / 1000
    validations = len(range(0, args.num_iterations, args.val_loss_every)) + 1
    validations -= len(range(0, first.end, first.half))  # those of the first part
    whole = seconds + (args.num_iterations - first.end) * step_avg
    whole += validations * first.evaluation_seconds
    return {
        "evaluation_seconds": first.evaluation_seconds,
        "whole_run_seconds": whole if math.isfinite(whole) else None,
    }


def difference(first: Part, second: Part) -> float:
    """The largest between two losses of the same step, nats; nan where only one part has one."""
    a, b = (
        np.array([(row.train_loss, row.val_loss) for row in part.history])
        for part in (first, second)
    )
    return float(np.abs(a - b)[np.isfinite(a) | np.isfinite(b)].max())


def summary(run: Run, folder: Path, end: int, figures: dict) -> list[str]:
    """The figures, a line each."""
    resumed = f"at most {figures['resume_difference']:.1e} nats from the uninterrupted losses"
    if figures["resume_difference"] == 0:
        resumed = "the uninterrupted losses, bit for bit"
    step, whole = "not measured: the first steps are not timed", "not known"
    if figures["step_avg_ms"]:
        step = f"{figures['step_avg_ms']:.1f} ms, {figures['tokens_per_second']:,.0f} tokens/s"
        step += f", MFU {figures['mfu']:.3f}" if figures.get("mfu") else ""
    if figures["whole_run_seconds"]:
        price = run.options.price_per_hour
        whole = f"about {duration(figures['whole_run_seconds'])}"
        whole += f", {money(figures['whole_run_seconds'], price)}" if price else ""
    return [
        f"rehearsed {end} of {run.args.num_iterations} steps, curve in {folder}/curve.png",
        f"    resumed      {resumed}",
        f"    a step       {step}",
        f"    validation   {1000 * figures['evaluation_seconds']:.0f} ms",
        f"    peak memory  {figures['peak_memory_gib']:.1f} GiB",
        f"    whole run    {whole}",
    ]


def check_resume(run: Run, nats: float) -> None:
    """RehearsalFailed unless the second part repeated the first, on a CPU bit for bit."""
    limit = TOLERANCE if run.device.type == "cuda" else 0
    if not nats <= limit:
        raise RehearsalFailed(
            f"resumed, the run goes on differently, by {nats:.1e} nats: do not rely on --resume"
        )
