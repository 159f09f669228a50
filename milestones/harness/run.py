"""One training run as `train(args, run)` sees it: device, clock, log, run folder, checkpoints.

A run writes `runs/<milestone>/<time>-<preset>/`:

    log.txt         speedrun-shaped lines, for the tools of the field
    curve.csv       a row a step (harness/curve.py)
    curve.png       the same as a picture
    run.json        arguments, versions, hardware, git revision, injected files, summary
    source/         the script as it ran, and the learner's file
    checkpoint.pt   every --save-every steps, on SIGTERM or Ctrl-C, and at the end
"""

import itertools
import json
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from data.published import progress_text
from milestones.harness.clock import Clock
from milestones.harness.curve import CurveWriter, Row, plot_curve, read_curve
from milestones.harness.errors import NonFiniteLoss, Stopped, UsageError
from milestones.harness.estimates import as_published, duration, money
from milestones.harness.initialization import initialize
from milestones.harness.injection import ROOT, injected, stem_of
from milestones.harness.ranks import Ranks

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, vendor's data sheets
FORECAST_AFTER = 20  # timed steps
WORTH_A_FORECAST = 60  # seconds still to go


@dataclass(frozen=True)
class Options:
    """What may be said of any run of any milestone.  No option changes a curve."""

    implementation: str = ""  # folder whose <milestone>.py replaces the functions in EXERCISES
    names: tuple[str, ...] = ()  # only these of them; default: all
    resume: Path | None = None  # run folder to go on with; same preset and arguments
    save_every: int = 0  # steps between checkpoints; 0: only at the end and when asked to stop
    folder: Path | None = None  # of this run; default: runs/<milestone>/<time>-<preset>
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: the GPU if there is one
    threads: int = 1  # on a CPU: one is reproducible and, on a busy machine, fastest
    quiet: bool = False  # nothing on the terminal but warnings and a progress bar
    preflight: bool = False  # train nothing: check GPUs, shards and disk, estimate time and cost
    thorough: bool = False  # with --preflight: compare every shard's SHA-256 with the one on record
    rehearse: bool = False  # train 20 steps, save, resume, compare, then estimate time and cost
    price_per_hour: float = 0.0  # of the whole machine, in dollars; 0: estimates name no cost

    def check(self) -> None:
        """Raise UsageError if these cannot be followed."""
        if self.threads < 1:
            raise UsageError(f"--threads {self.threads}: at least one is needed")
        if self.names and not self.implementation:
            raise UsageError("--names says which functions to take: from what --implementation?")
        if self.save_every < 0:
            raise UsageError(f"--save-every {self.save_every}: 0 or a number of steps is needed")
        if self.resume and self.folder not in (None, self.resume):
            raise UsageError(f"--resume {self.resume} goes on there: leave --folder out")
        if not 0 <= self.price_per_hour < float("inf"):
            raise UsageError(f"--price-per-hour {self.price_per_hour}: dollars are needed")
        if self.thorough and not self.preflight:
            raise UsageError("--thorough says how to check shards: add --preflight")
        if self.rehearse and (self.preflight or self.resume):
            other = "--preflight trains nothing" if self.preflight else "--resume goes on"
            raise UsageError(f"--rehearse trains its own 20 steps, {other}: pass one of them")


def new_folder(path: Path) -> Path:
    """Create `path`, or if a run that began in the same second has it, `path`-2, -3 and so on."""
    names = (f"{path.name}-{number}" for number in itertools.count(2))
    folder = path
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            folder = path.with_name(next(names))


def refuse_unwritable(folder: Path) -> None:
    """UsageError if nothing can be written in `folder`, there or yet to be made; leaves no trace.

    Tried and not asked: to root even /proc looks writable.
    """
    try:
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        if there.is_dir():
            with tempfile.TemporaryDirectory(dir=there):
                return
    except OSError as error:
        raise UsageError(
            f"{folder}: nothing can be written there ({error.strerror}): choose another --folder"
        ) from None
    which = "is" if there == folder else f"cannot be made: {there} is"
    raise UsageError(f"--folder {folder} {which} a file: choose another name")


def damaged(path: Path, why: str) -> UsageError:
    """The refusal to go on in a run folder without this file."""
    return UsageError(f"--resume: {path}: {why}: put back what was there, or start another run")


class Run:
    """Handed to `train`.  Everything here behaves the same on one rank as on many."""

    def __init__(
        self,
        script: ModuleType,
        preset: str,
        args: Any,
        options: Options,
        ranks: Ranks,
        learner: ModuleType | None = None,
        in_memory: bool = False,
    ):
        self.script, self.preset, self.args, self.options = script, preset, args, options
        self.ranks = ranks
        self.rank, self.world_size, self.device = ranks.rank, ranks.world_size, ranks.device
        self.learner, self.in_memory = learner, in_memory
        self.milestone = stem_of(script)
        self.clock = Clock(self.device)
        self.history: list[Row] = []
        self.first_step, self.resumed, self.finished = 0, None, False
        self.folder = options.resume or options.folder
        self.writer, self.bar, self.unwritten = None, None, []
        self.asked_to_stop = 0  # the signal this rank has received
        self.stop_signal = 0  # the same once all ranks know, at the end of a step
        self.cpu_started, self.started = time.process_time(), time.monotonic()
        if not in_memory:
            refuse_unwritable(self.folder or self.default_folder())
        if options.resume:
            self.read_checkpoint()
        elif self.folder and (self.folder / "run.json").exists():
            raise UsageError(f"{self.folder} already holds a run: --resume it or choose another")
        self.timed_before = self.clock.steps  # by the run that is resumed
        self.comparable = preset == "record" and as_published(args, script.PRESETS["record"])

    # ------------------------------------------------------------------ for the model

    def initialize(self, model: nn.Module, init_weights: Callable[[nn.Module], None]) -> None:
        """Run `init_weights(model)` with this run's seed; the same weights on every rank."""
        initialize(model, init_weights, self.args.seed, self.args.portable_init)

    def compile(self, function: Any) -> Any:
        """torch.compile a model (in place) or a function with the backend the arguments ask for.

        Inductor is left out on a CPU: there it takes minutes to save milliseconds.
        """
        backend = self.args.compile
        if backend == "no" or (backend == "inductor" and self.device.type == "cpu"):
            return function
        if isinstance(function, nn.Module):
            function.compile(backend=backend)
            return function
        return torch.compile(function, backend=backend, dynamic=False)  # a kernel a shape

    def check_coverage(self, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        """UsageError unless each parameter is in exactly one group of one optimizer."""
        held = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
        for name, p in model.named_parameters():
            if held.count(id(p)) != 1:
                raise UsageError(f"{name} is in {held.count(id(p))} optimizer groups, not in one")

    def mean_over_ranks(self, value: Tensor) -> Tensor:
        """The mean of `value` over all ranks, on every rank."""
        if self.world_size > 1:
            dist.all_reduce(value, dist.ReduceOp.AVG)
        return value

    # -------------------------------------------------------------------- for the log

    def note(self, message: str) -> None:
        """One line on the terminal (unless --quiet) and in the log, from rank 0."""
        if self.rank == 0 and not self.in_memory:
            if not self.options.quiet:
                tqdm.write(message, file=sys.stderr)
            self.unwritten.append(message)

    def warn(self, message: str) -> None:
        """The same, --quiet or not."""
        if self.rank == 0 and not self.in_memory:
            print(f"warning: {message}", file=sys.stderr)
            self.unwritten.append(f"warning: {message}")

    def log_validation(self, step: int, val_loss: float) -> None:
        """Note the validation loss of the weights after `step` updates."""
        self.row(step, self.clock.milliseconds).val_loss = val_loss
        self.write_line(
            f"step:{step}/{self.args.num_iterations} val_loss:{val_loss:.4f}", show=True
        )
        beside = progress_text(self.milestone, step, val_loss) if self.comparable else ""
        if beside and self.rank == 0 and not self.in_memory and not self.options.quiet:
            tqdm.write(f"    {beside}")  # on the terminal only: tools of the field read log.txt
        if step == self.args.num_iterations:
            self.write_row()
            if not np.isfinite(val_loss):  # before the last step the training loss says so
                raise NonFiniteLoss(f"the validation loss is {val_loss} after the last step")

    def log_train(self, step: int, loss: Tensor) -> None:
        """Note the training loss of update `step`, a 0-dim tensor, averaged over ranks here.

        The wish to stop travels with it, so that all ranks stop at the same step.
        """
        both = torch.stack([loss.double(), loss.new_tensor(self.asked_to_stop > 0).double()])
        value, stop = self.mean_over_ranks(both).tolist()
        self.stop_signal = (self.asked_to_stop or signal.SIGTERM) if stop else 0
        self.row(step, self.clock.before).train_loss = value
        self.write_line(f"step:{step + 1}/{self.args.num_iterations} train_loss:{value:.4f}")
        self.write_row()
        if self.bar is not None:
            self.bar.set_postfix_str(f"train {value:.3f}", refresh=False)
            self.bar.update(step + 1 - self.bar.n)
        if not np.isfinite(value):
            raise NonFiniteLoss(f"the training loss is {value} at step {step}: stopped")
        if self.clock.steps == self.timed_before + FORECAST_AFTER:
            self.forecast((self.args.num_iterations - step - 1) * self.clock.step_avg / 1000)

    def forecast(self, seconds: float) -> None:
        """Note once when the run will end, `seconds` of training from now, and what it costs."""
        if seconds < WORTH_A_FORECAST:
            return
        price, end = self.options.price_per_hour, datetime.now() + timedelta(seconds=seconds)
        so_far = time.monotonic() - self.started
        cost = f"; {money(so_far, price)} so far, {money(so_far + seconds, price)} then"
        self.note(
            f"{self.clock.step_avg:.1f} ms a step: done in {duration(seconds)}, {end:%a %H:%M}, "
            f"validation not counted{cost if price else ''}"
        )

    def row(self, step: int, milliseconds: float) -> Row:
        """The row of `step`, made on first use."""
        if not self.history or self.history[-1].step != step:
            tokens = step * self.args.tokens_per_step
            self.history.append(Row(step, tokens, train_time_ms=round(milliseconds, 3)))
        return self.history[-1]

    def write_row(self) -> None:
        if self.writer:
            self.writer.append(self.history[-1])

    def write_line(self, text: str, show: bool = False) -> None:
        if self.rank or self.in_memory:
            return
        if self.writer is None:
            self.open_folder()
        clock = self.clock
        line = f"{text} train_time:{clock.milliseconds:.0f}ms step_avg:{clock.step_avg:.2f}ms"
        for ready in [*self.unwritten, line]:
            self.log.write(ready + "\n")
        self.unwritten.clear()
        if show and not self.options.quiet:
            tqdm.write(line)

    # ------------------------------------------------------------- for the run folder

    def open_folder(self) -> None:
        """Create the folder, or tidy the one to be resumed: rows from first_step on go."""
        if self.folder is None:
            self.folder = new_folder(self.default_folder())
        self.folder.mkdir(parents=True, exist_ok=True)
        curve = self.folder / "curve.csv"
        earlier = read_curve(curve) if self.first_step else []
        self.history[:0] = [row for row in earlier if row.step < self.first_step]
        self.writer = CurveWriter(curve, self.history[:-1])
        self.log = (self.folder / "log.txt").open("a" if self.options.resume else "w", buffering=1)
        if self.first_step:
            self.log.write(f"resumed at step {self.first_step}\n")
        else:
            self.write_json(self.describe())
            self.snapshot_sources()
        self.bar = tqdm(
            total=self.args.num_iterations, initial=self.first_step, unit="step",
            desc=self.milestone, disable=not sys.stderr.isatty(), dynamic_ncols=True,
            leave=not self.options.quiet,
        )  # fmt: skip
        if not self.options.quiet:
            tqdm.write(f"{self.milestone} {self.preset}, {self.device}, writing {self.folder}/")

    def default_folder(self) -> Path:
        """Of a run that begins now."""
        return Path("runs") / self.milestone / f"{datetime.now():%Y%m%d-%H%M%S}-{self.preset}"

    def describe(self) -> dict:
        """run.json: what one needs to run this again, and to believe it."""
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
        revision = subprocess.run(git, capture_output=True, text=True).stdout.strip()
        gpu = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else None
        return {
            "milestone": self.milestone,
            "preset": self.preset,
            "args": asdict(self.args),
            "implementation": self.options.implementation,
            "injected": self.injected_names(),
            "world_size": self.world_size,
            "device": gpu or platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            "git": revision or None,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        }

    def injected_names(self) -> list[str]:
        """The names of EXERCISES that are the learner's in this run."""
        return list(self.options.names or self.script.EXERCISES) if self.learner else []

    def write_json(self, content: dict) -> None:
        partial = self.folder / "run.partial"
        partial.write_text(json.dumps(content, indent=2) + "\n")
        partial.replace(self.folder / "run.json")

    def snapshot_sources(self) -> None:
        source = self.folder / "source"
        source.mkdir(exist_ok=True)
        shutil.copy(self.script.__file__, source / "train_gpt.py")
        if self.learner:
            shutil.copy(self.learner.__file__, source / Path(self.learner.__file__).name)

    def finish(self, model: nn.Module) -> None:
        """Complete the run folder and say where it is."""
        if self.writer is None:
            return
        summary = self.summarize(sum(p.numel() for p in model.parameters()))
        self.close_folder(summary)
        if not self.options.quiet:
            rate = f"{summary['tokens_per_second']:,.0f} tokens/s, " if self.clock.steps else ""
            print(f"val_loss {summary['val_loss']:.4f}, {rate}curve in {self.folder}/curve.png")
            print(f"to see what it writes: python -m milestones.sample {self.folder}")

    def close_folder(self, summary: dict) -> None:
        """Add the summary to run.json and draw the curve."""
        self.bar.close()
        content = json.loads((self.folder / "run.json").read_text())
        self.write_json({**content, "summary": summary})
        plot_curve(self.history, f"{self.milestone} {self.preset}", self.folder / "curve.png")

    def summarize(self, parameters: int) -> dict:
        """Figures of a run whose model has so many parameters; None where there is none."""
        rate = 1000 * self.args.tokens_per_step / self.clock.step_avg
        summary = {
            "val_loss": self.history[-1].val_loss,
            "parameters": parameters,
            "step_avg_ms": self.clock.step_avg,
            "tokens_per_second": rate,
            "cpu_seconds": time.process_time() - self.cpu_started,
        }
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
            peak = next((flops for gpu, flops in PEAK_FLOPS.items() if gpu in name), None)
            summary["peak_memory_gib"] = torch.cuda.max_memory_allocated(self.device) / 2**30
            # 6 FLOPs a parameter and token (forward and backward); attention scores not counted
            summary["mfu"] = 6 * parameters * rate / (peak * self.world_size) if peak else None
        return {k: None if v != v else v for k, v in summary.items()}  # nan is not JSON

    # -------------------------------------------------------------------- checkpoints

    def save_due(self, step: int, last_step: bool) -> bool:
        """Whether to save before update `step`."""
        if self.in_memory:
            return False
        every = self.options.save_every
        periodic = bool(every) and step % every == 0 and step > self.first_step
        return last_step or bool(self.stop_signal) or periodic

    def save(self, step: int, state: dict) -> None:
        """Write checkpoint.pt: `state` (tensors, numbers, strings, dicts) before update `step`.

        The old file stays whole until the new one is.  Raises Stopped if the run was asked to stop.
        """
        if self.rank == 0:
            clock = {"milliseconds": self.clock.milliseconds, "steps": self.clock.steps}
            content = {"step": step, "clock": clock, "state": state}
            partial = self.folder / "checkpoint.partial"
            torch.save(content, partial)
            partial.replace(self.folder / "checkpoint.pt")
        if self.stop_signal and step < self.args.num_iterations:
            message = (
                f"stopped before step {step} and saved; to go on, repeat the command with "
                f"--resume {self.folder}"
            )
            raise Stopped(message if self.rank == 0 else "", self.stop_signal)

    def read_checkpoint(self) -> None:
        """Find out where the run to be resumed stands.  UsageError if it is another run."""
        folder = self.options.resume
        if not (folder / "run.json").exists():
            raise UsageError(f"--resume {folder}: there is no run in this folder")
        try:
            before = json.loads((folder / "run.json").read_text())
            then = {**before, **before["args"]}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise damaged(folder / "run.json", f"damaged ({type(error).__name__})") from None
        now = {
            "milestone": self.milestone,
            "preset": self.preset,
            "implementation": self.options.implementation,
            "injected": self.injected_names(),
            **asdict(self.args),
        }
        for key, value in json.loads(json.dumps(now)).items():  # as run.json keeps them
            if then.get(key) != value:
                raise UsageError(
                    f"--resume {folder}: that run has {key} {then.get(key)!r}, this one {value!r}"
                )
        if not (folder / "checkpoint.pt").exists():
            self.warn(f"{folder} holds no checkpoint yet: starting again from step 0")
            return
        try:
            content = torch.load(
                folder / "checkpoint.pt", map_location=self.device, weights_only=True
            )
            self.first_step, self.resumed = content["step"], content["state"]
            self.clock.milliseconds = content["clock"]["milliseconds"]
            self.clock.steps = content["clock"]["steps"]
        except Exception as error:
            raise UsageError(  # torch's own text runs to pages and advises to switch checks off
                f"{folder}/checkpoint.pt cannot be read ({type(error).__name__}): "
                "delete it to start again from step 0"
            ) from None
        self.finished = self.first_step == self.args.num_iterations and "summary" in before
        self.check_record_so_far()

    def check_record_so_far(self) -> None:
        """UsageError if the earlier curve or log has gone: a new one would hold the rest alone."""
        curve, log = self.folder / "curve.csv", self.folder / "log.txt"
        for path in (curve, log):
            if not path.is_file():
                raise damaged(path, "no such file")
        try:
            rows = read_curve(curve)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise damaged(curve, f"damaged ({type(error).__name__})") from None
        if self.first_step and not rows:
            raise damaged(curve, "no rows in it")

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Around `train`: the learner's code is in place, and a signal saves before it ends."""
        names = self.options.names or None
        with self.stops_on_signal(), injected(self.script, self.learner, names, self.compile):
            yield

    @contextmanager
    def stops_on_signal(self) -> Iterator[None]:
        """SIGTERM or a first Ctrl-C: finish the step, save, leave.  A second Ctrl-C: leave now."""

        def ask(number, frame):
            self.asked_to_stop = number
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
