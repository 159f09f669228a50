"""From the command line to a run: `main` is the last line of every train_gpt.py."""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
import tyro

from data.shards import ShardError
from milestones.harness.curve import Row
from milestones.harness.errors import NonFiniteLoss, RehearsalFailed, Stopped, UsageError
from milestones.harness.injection import injected, load_implementation, refuse_stubs
from milestones.harness.preflight import preflight
from milestones.harness.ranks import Ranks, exit_rank, first_to_fail, start_ranks, stop_ranks
from milestones.harness.rehearsal import rehearse
from milestones.harness.run import Options, Run

PRESET_HELP = {
    "exact": "float64 on a CPU, 40 steps, 2 seconds: the run the grader compares",
    "tiny": "a CPU or any GPU, the embedded corpus, 600 steps, 10-25 seconds",
    "record": "the published configuration: FineWeb on 1, 2, 4 or 8 GPUs",
}


def parse(script: ModuleType, argv: Sequence[str] | None = None) -> tuple[str, Any, Options]:
    """`<preset> [--flags]` -> the preset's name, its Hyperparameters with the flags, Options.

    Every field of Hyperparameters and of Options is a flag.  Exits with code 2 on a bad one.
    """

    @dataclass(frozen=True)
    class Settings:
        preset: tyro.conf.Suppress[str]
        hyperparameters: tyro.conf.OmitArgPrefixes[script.Hyperparameters]
        run: tyro.conf.OmitArgPrefixes[Options]

    chosen = tyro.extras.overridable_config_cli(
        {
            preset: (PRESET_HELP[preset], Settings(preset, args, Options()))
            for preset, args in script.PRESETS.items()
        },
        prog=f"python -m {script.__name__}",
        description=script.__doc__.split("\n\n")[0],
        args=argv,
        console_outputs=os.environ.get("RANK", "0") == "0",
    )
    return chosen.preset, chosen.hyperparameters, chosen.run


def check_numbers(args: Any) -> None:
    """Raise UsageError if a hyper-parameter is negative, infinite, not a number or too large."""
    for name, value in vars(args).items():
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            kind = "0 or more" if isinstance(value, int) else "a finite number, 0 or more"
            raise UsageError(f"{name} is {value}: it must be {kind}")
        if name.startswith("beta") and value >= 1:  # of a moving average, which would never move
            raise UsageError(f"{name} is {value}: it must be below 1")
    if args.seed >= 2**64:  # what torch's generators take
        raise UsageError(f"seed is {args.seed}: it must be from 0 to {2**64 - 1}")


def prepare(script: ModuleType, preset: str, args: Any, options: Options) -> Run:
    """Join the ranks and refuse what cannot be done: UsageError or ShardError before any work."""
    options.check()
    ranks = start_ranks("cpu" if preset == "exact" else options.device)
    if ranks.device.type == "cpu":
        torch.set_num_threads(options.threads)
    check_numbers(args)
    args.check(ranks.world_size)
    learner = (
        load_implementation(options.implementation, script) if options.implementation else None
    )
    if unknown := set(options.names) - set(script.EXERCISES):
        raise UsageError(f"--names {min(unknown)}: choose from {', '.join(script.EXERCISES)}")
    if learner:
        refuse_stubs(options.names or script.EXERCISES, learner)
    run = Run(script, preset, args, options, ranks, learner)
    if learner:
        run.note(f"implementation: {learner.__file__}: {', '.join(run.injected_names())}")
    if preset == "record" or options.preflight:
        preflight(run)
    return run


def execute(script: ModuleType, preset: str, args: Any, options: Options | None = None) -> Run:
    """One run of a script, with a run folder; or only its preflight, or its rehearsal.

    Raises UsageError or ShardError before any work; later NonFiniteLoss, Stopped, RehearsalFailed.
    """
    options = options or Options()
    run = prepare(script, preset, args, options)
    if run.finished:
        run.note(f"{run.folder}: this run is finished already: there is nothing to go on with")
    elif options.rehearse:
        rehearse(run)
    elif not options.preflight:
        with run.in_progress():
            run.finish(script.train(args, run))
    return run


def replay(
    script: ModuleType,
    preset: str = "exact",
    learner: ModuleType | None = None,
    names: Sequence[str] | None = None,
    ranks: Ranks | None = None,
    **overrides: Any,
) -> list[Row]:
    """One run in memory, on one CPU thread: the rows of its curve, and nothing on disk.

    `names` of `learner` (default: all exercises) replace the script's own; `ranks`, if this process
    is one of several, says which; `overrides` replace fields of the preset.  A curve that stops
    being finite ends with that row.
    """
    torch.set_num_threads(1)
    ranks = ranks or Ranks(0, 1, torch.device("cpu"))
    args = replace(script.PRESETS[preset], **overrides)
    args.check(ranks.world_size)
    run = Run(script, preset, args, Options(), ranks, in_memory=True)
    with injected(script, learner, names, run.compile), suppress(NonFiniteLoss):
        script.train(args, run)
    return run.history


def main(module: str, argv: Sequence[str] | None = None) -> None:
    """Run the train_gpt.py that is importable as `module`, as its command line says.

    The script runs as that module, not as __main__, so that an injected name is rebound in the
    only copy there is.  Exit codes: 0 done; 1 the loss is not finite, an exercise not finished, the
    GPU's memory full, a rehearsal failed; 2 bad request; 128 + n stopped by signal n after saving.
    """
    script = importlib.import_module(module)
    preset, args, options = parse(script, argv)
    code, message = 0, ""
    try:
        execute(script, preset, args, options)
    except (UsageError, ShardError, NotImplementedError, NonFiniteLoss, RehearsalFailed) as error:
        code = 2 if isinstance(error, (UsageError, ShardError)) else 1
        message = f"error: {error}" if first_to_fail() else ""
    except torch.OutOfMemoryError:
        full = "error: the GPU's memory is full: pass a smaller --device-batch-size"
        code, message = 1, full if first_to_fail() else ""
    except Stopped as stopped:
        code, message = 128 + stopped.signal, str(stopped)
    finally:
        several_ranks = stop_ranks()
    if message:
        print(message, file=sys.stderr)
    if several_ranks:
        exit_rank(code)
    if code:
        sys.exit(code)
