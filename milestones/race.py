"""Re-live the ladder on this machine: every milestone at `tiny`, one table, one picture.

    python -m milestones.race                               what `make race` runs
    python -m milestones.race --rungs 00 01 --seeds 3 4 5
    python -m milestones.race --implementation exercises    with your own code beside ours

The target is the mean final validation loss of milestone 00 over the seeds; the columns say how
soon each milestone gets there.  A seed chooses the initial weights and the shard of training text.
"""

import csv
import importlib
import json
import statistics
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from signal import SIGINT

import tyro
from tqdm import tqdm

from data import synthetic
from data.shards import ShardError
from milestones.harness import Stopped, UsageError
from milestones.harness.cli import execute
from milestones.harness.curve import Row
from milestones.harness.errors import NonFiniteLoss
from milestones.harness.injection import ROOT, load_implementation, stubs_among
from milestones.harness.run import Options, refuse_unwritable
from milestones.table import Milestone, find_milestone, milestones

MEASURED = ROOT / "data" / "measured"  # what README and book show


@dataclass(frozen=True)
class Settings:
    rungs: tuple[str, ...] = ()  # milestones, such as 00 01; default: all there are
    seeds: tuple[int, ...] = (3, 4)  # 1 and 2 tuned the learning rates; 3 to 10 are fresh
    implementation: str = ""  # folder with a learner's files, such as exercises
    folder: Path | None = None  # of the results; default: runs/race/<time>
    publish: bool = False  # also replace data/measured/race.csv and race.png


@dataclass
class Result:
    """One milestone's runs, a list of measured rows a seed."""

    name: str  # "01 muon", or "01 muon, exercises"
    tokens_per_step: int
    val_tokens: int  # that each validation reads
    curves: list[list[Row]]  # rows with a validation loss only
    cpu_seconds: list[float]  # of a whole run

    @property
    def final(self) -> list[float]:
        """Final validation loss of each seed, nats."""
        return [curve[-1].val_loss for curve in self.curves]

    @property
    def num_iterations(self) -> int:
        return self.curves[0][-1].step

    @property
    def losses(self) -> list[list[float]]:
        """Validation losses, a list a seed."""
        return [[row.val_loss for row in curve] for curve in self.curves]

    def steps(self, target: float) -> list[float | None]:
        """The step at which each seed meets `target`; None if it never does."""
        return [steps_to(curve, target) for curve in self.curves]

    def mean_steps(self, target: float) -> float | None:
        """Their mean; None if a seed never meets it."""
        steps = self.steps(target)
        return None if None in steps else statistics.mean(steps)


def steps_to(curve: list[Row], target: float) -> float | None:
    """The step at which a curve first meets `target`, between two validations; None if never."""
    for before, after in pairwise(curve):
        if after.val_loss <= target:
            fraction = (before.val_loss - target) / (before.val_loss - after.val_loss)
            return before.step + max(0.0, fraction) * (after.step - before.step)
    return None


def run_rung(
    milestone: Milestone, seeds: tuple[int, ...], implementation: str, folder: Path
) -> Result:
    """Train one milestone once a seed, each in a run folder of its own."""
    script = importlib.import_module(f"milestones.{milestone.stem}.train_gpt")
    name = milestone.short + (f", {implementation}" if implementation else "")
    tiny = script.PRESETS["tiny"]
    tokens = tiny.tokens_per_step
    result = Result(name, tokens, tiny.val_batches * tokens, [], [])
    for seed in seeds:
        shard = synthetic.CORPUS / f"corpus_train_{seed:06d}.bin"
        args = replace(tiny, seed=seed, train_files=str(shard))
        place = folder / (milestone.stem + ("-yours" if implementation else "")) / f"seed{seed}"
        options = Options(implementation=implementation, folder=place, device="cpu", quiet=True)
        run = execute(script, "tiny", args, options)
        result.curves.append([row for row in run.history if row.val_loss == row.val_loss])
        result.cpu_seconds.append(
            json.loads((place / "run.json").read_text())["summary"]["cpu_seconds"]
        )
        tqdm.write(f"{name}, seed {seed}: val_loss {result.final[-1]:.3f}")
    return result


def run_learners(
    milestone: Milestone, seeds: tuple[int, ...], implementation: str, folder: Path
) -> list[Result]:
    """The same with a learner's code.  If that fails, say so and return nothing: ours stay."""
    try:
        return [run_rung(milestone, seeds, implementation, folder)]
    except (Stopped, UsageError, ShardError, OSError):
        raise
    except Exception as error:  # whatever the learner's code raises
        kind = "" if isinstance(error, NonFiniteLoss) else f"{type(error).__name__}: "
        why = (str(error).splitlines() or [""])[0]
        grade = f"pytest grader/ -k {milestone.stem.split('_')[0]}"
        print(f"{milestone.short}, {implementation}: left out: {kind}{why}: ask {grade}")
        return []


def spread(values: list[float], digits: int) -> str:
    """Mean, and the standard deviation if there are two or more."""
    text = f"{statistics.mean(values):.{digits}f}"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def table(results: list[Result], target: float, floor: float) -> str:
    """The race as text, a line a rung.  The first one sets the target, so it ends there."""
    header = f"{'milestone':<22}{'final loss':>16}{'above floor':>13}{'steps':>14}{'tokens':>10}"
    lines = [header + f"{'CPU s':>8}{'CPU speed-up':>14}   (steps to CPU s: to the target)"]
    first, before, previous = results[0], None, None
    for result in results:
        steps = [first.num_iterations] if result is first else result.steps(target)
        above = statistics.mean(result.final) - floor
        line = f"{result.name:<22}{spread(result.final, 3):>16}{above:>13.3f}"
        if None in steps:
            line += f"{steps.count(None)} of {len(steps)} seeds never reach it".rjust(42)
            mean = float("inf")
        else:
            mean = statistics.mean(steps)
            cpu = statistics.mean(result.cpu_seconds) * mean / result.num_iterations
            line += f"{spread(steps, 0):>14}{mean * result.tokens_per_step:>10,.0f}{cpu:>8.1f}"
            line += f"{statistics.mean(first.cpu_seconds) / cpu:>13.1f}x"
        if before and result.losses == before.losses:
            line += "   the same curve"
        elif before and mean >= previous:
            line += "   not ahead of the one before"
        before, previous = result, mean
        lines.append(line)
    return "\n".join(lines)


def picture(results: list[Result], target: float, levels: dict[str, float], path: Path) -> None:
    """Mean validation loss against tokens, the seeds' range behind it; a dot at the target."""
    from matplotlib.figure import Figure  # imported late: it costs half a second

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes, seen = figure.subplots(), []
    for result in results:
        tokens = [row.tokens for row in result.curves[0]]
        losses = list(zip(*result.losses, strict=True))
        means = [statistics.mean(x) for x in losses]
        style = "--" if "," in result.name or result.losses in seen else "-"
        seen.append(result.losses)
        reached = result.mean_steps(target)
        label = f"{result.name}: {reached:.0f} steps to the target" if reached else result.name
        (line,) = axes.plot(tokens, means, style, label=label)
        low, high = [min(x) for x in losses], [max(x) for x in losses]
        axes.fill_between(tokens, low, high, color=line.get_color(), alpha=0.2, lw=0)
        if reached:
            there = reached * result.tokens_per_step
            axes.plot(there, target, "o", color=line.get_color(), clip_on=False)
    for label, value in levels.items():
        axes.axhline(value, color="gray", lw=0.8, ls=":")
        crowded = any(0 < other - value < 0.25 for other in levels.values())
        place = {"textcoords": "offset points", "fontsize": 9, "color": "gray"}
        axes.annotate(label, (0, value), (6, -11 if crowded else 3), **place)
    axes.set(
        xlabel="training tokens", ylabel="validation loss (nats per token)", xlim=(0, tokens[-1]),
        ylim=(min(levels.values()) - 0.15, 5.1), title="The race at laptop scale",
    )  # fmt: skip
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=140)


def write_results(results: list[Result], seeds: tuple[int, ...], path: Path) -> None:
    """A line for every validation of every run."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["milestone", "seed", "step", "tokens", "val_loss"])
        for result in results:
            for seed, curve in zip(seeds, result.curves, strict=True):
                writer.writerows(
                    [result.name, seed, row.step, row.tokens, f"{row.val_loss:.6f}"]
                    for row in curve
                )


def race(settings: Settings) -> str:
    """Run everything, write the table, the curves and the picture; return the table."""
    entered = [find_milestone(rung) for rung in settings.rungs] or milestones()
    for flag, given in ("--rungs", entered), ("--seeds", settings.seeds):
        if len(set(given)) < len(given):
            raise UsageError(f"{flag} names one twice: name each once")
    unknown = [seed for seed in settings.seeds if not 1 <= seed <= synthetic.TRAIN_SHARDS]
    if unknown or not settings.seeds:
        raise UsageError(f"--seeds takes numbers from 1 to {synthetic.TRAIN_SHARDS}")
    theirs = []
    for milestone in entered if settings.implementation else []:
        script = importlib.import_module(f"milestones.{milestone.stem}.train_gpt")
        learner = load_implementation(settings.implementation, script)  # complain before any work
        if todo := stubs_among(script.EXERCISES, learner):
            print(f"{milestone.short}, {settings.implementation}: not started: {', '.join(todo)}")
        else:
            theirs.append(milestone)
    if settings.implementation and not theirs:
        raise UsageError(
            f"no milestone is complete in {settings.implementation}: python -m grader says what is "
            "missing, and --implementation --names on a milestone's script takes what is done"
        )
    folder = settings.folder or Path("runs") / "race" / f"{datetime.now():%Y%m%d-%H%M%S}"
    refuse_unwritable(folder)
    if folder.exists():
        raise UsageError(f"--folder {folder} is there already: choose another name")
    try:
        corpus = synthetic.generate()
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # another race was quicker
            raise UsageError(f"--folder {folder} is there already: choose another name") from None
        results = [run_rung(m, settings.seeds, "", folder) for m in entered]
        for milestone in theirs:
            results += run_learners(milestone, settings.seeds, settings.implementation, folder)
    except (Stopped, KeyboardInterrupt) as stopped:
        signal = getattr(stopped, "signal", SIGINT)
        begun = f"what was trained is in {folder}" if folder.exists() else "nothing was trained"
        raise Stopped(
            f"stopped: no table, {begun}; a race cannot be resumed: run it again", signal
        ) from None
    first = results[0]
    target, floor = statistics.mean(first.final), synthetic.floor(first.val_tokens)
    levels = {
        "bigram table": corpus["bigram"],
        f"target, {first.name}'s final loss": target,
        "exact floor": floor,
    }
    seeds = f"seed{'s' * (len(settings.seeds) > 1)} {', '.join(map(str, settings.seeds))}"
    text = (
        f"{table(results, target, floor)}\n\n"
        f"target {target:.3f}: mean final loss of {first.name} over {seeds}, ± s.d.; exact entropy "
        f"floor {floor:.3f} nats per token"
    )
    for place in [folder, MEASURED] if settings.publish else [folder]:
        place.mkdir(exist_ok=True)
        (place / "race.txt").write_text(text + "\n")
        write_results(results, settings.seeds, place / "race.csv")
        picture(results, target, levels, place / "race.png")
    return f"\n{text}\npicture: {folder}/race.png"


def main() -> None:
    settings = tyro.cli(Settings, prog="python -m milestones.race", description=__doc__)
    try:
        print(race(settings))
    except (UsageError, ShardError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or settings.folder or 'runs'}: {error.strerror}")
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signal)


if __name__ == "__main__":
    main()
