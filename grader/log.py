"""A real run held against the published curve of its record and the band around it."""

import importlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from data.published import PublishedCurve, published_curve, read_table
from milestones.harness import UsageError
from milestones.harness.curve import read_curve
from milestones.harness.estimates import FILES, FREE
from milestones.table import find_milestone

NUMBER = r"(\d+\.\d{4,}|-?nan|-?inf)"  # as logs print it: with fewer digits it was cut off
LLMC = re.compile(rf"s:(\d+) tel:{NUMBER}\b")
SPEEDRUN = re.compile(rf"step:(\d+)/(\d+) val_loss:{NUMBER} .*?step_avg:(\S+)ms")
OTHER = re.compile(r"s:\d+ trl:|step:\d+/\d+ (train_loss|train_time):")
SHAPES = "`step:125/6200 val_loss:5.2017 train_time:24564ms step_avg:213.60ms` or `s:0 tel:11.0092`"
FILES_OF_A_RUN = ("run.json", "curve.csv", "log.txt")
ROWS = 9  # of the table


@dataclass(frozen=True)
class Measured:
    """What a run folder or a log file says of a run."""

    val_loss: dict[int, float]  # nats, by step
    milestone: str = ""  # stem; a log file does not say
    total_steps: int | None = None  # llm.c's log does not say
    step_avg_ms: float = math.nan


@dataclass(frozen=True)
class Point:
    """One validation beside the published one, nats."""

    step: int
    published: float
    yours: float
    band: float

    @property
    def difference(self) -> float:
        return self.yours - self.published

    @property
    def bands(self) -> float:
        return abs(self.difference) / self.band


# ------------------------------------------------------------------------------------- reading


def read_run(path: Path) -> Measured:
    """A run folder of ours (or one of its files), or a log.  UsageError if it is neither."""
    if path.name in FILES_OF_A_RUN and (path.parent / "run.json").exists():
        path = path.parent
    if not path.exists():
        raise UsageError(f"{path}: there is no such run folder or log")
    measured = read_folder(path) if path.is_dir() else read_log(path)
    if not measured.val_loss:
        raise UsageError(f"{path}: there is no validation loss in it yet")
    return measured


def read_folder(folder: Path) -> Measured:
    """run.json and curve.csv.  UsageError for a run that was not meant to follow the record."""
    try:
        run = json.loads((folder / "run.json").read_text())
        stem, preset, args = run["milestone"], run["preset"], dict(run["args"])
        rows = read_curve(folder / "curve.csv")
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: no {Path(error.filename).name}: not a run folder") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder}: run.json or curve.csv is damaged ({error!r})") from None
    if preset != "record":
        raise UsageError(
            f"{folder}: a `{preset}` run has no published curve to be held against: "
            "only `record` runs train what was published"
        )
    refuse_other_arguments(folder, stem, args)
    return Measured(
        {row.step: row.val_loss for row in rows if not math.isnan(row.val_loss)},
        stem,
        args.get("num_iterations"),
        run.get("summary", {}).get("step_avg_ms") or math.nan,
    )


def refuse_other_arguments(folder: Path, stem: str, args: dict) -> None:
    """UsageError that names the first argument with which the published curve is not to be had."""
    script = importlib.import_module(f"milestones.{find_milestone(stem).stem}.train_gpt")
    for name, published in vars(script.PRESETS["record"]).items():
        yours = args.get(name, published)
        if name in FILES:  # they may lie in another folder
            same = Path(str(yours)).name == Path(published).name
        else:
            same = name in FREE or yours == published
        if not same:
            raise UsageError(
                f"{folder}: this run has no published curve to be held against: "
                f"its {name} is {yours!r}, the published run's {published!r}"
            )


def read_log(path: Path) -> Measured:
    """A log in llm.c's or the speedrun's shape; what else is in it is passed over.

    UsageError for a malformed line; a last line that was cut off is left out.
    """
    val_loss, totals, step_avg = {}, set(), math.nan
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if found := LLMC.match(line):
            val_loss[int(found[1])] = float(found[2])
        elif found := SPEEDRUN.match(line):
            val_loss[int(found[1])] = float(found[3])
            totals.add(int(found[2]))
            step_avg = milliseconds(found[4])
        elif re.match(r"(s|step):\d", line) and not OTHER.match(line) and line.endswith("\n"):
            raise UsageError(f"{path}, line {number}: {line.strip()[:60]!r} is not like {SHAPES}")
    if len(totals) > 1:
        raise UsageError(f"{path}: two runs in one log, of {min(totals)} and {max(totals)} steps")
    if not val_loss:
        raise UsageError(f"{path}: no validation in it; expected lines like {SHAPES}")
    return Measured(val_loss, total_steps=min(totals, default=None), step_avg_ms=step_avg)


def milliseconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


# ------------------------------------------------------------------------------------- judging


def which_milestone(measured: Measured, named: str) -> str:
    """The stem: what the run folder says, else what was asked for, else what the steps fit."""
    asked = find_milestone(named).stem if named else ""
    if measured.milestone:
        if asked and asked != measured.milestone:
            raise UsageError(f"--milestone {named}: this is a run of {measured.milestone}")
        return measured.milestone
    if asked:
        return asked
    steps = measured.total_steps or max(measured.val_loss)
    stems = [row["milestone"] for row in read_table("milestones")]
    fitting = [stem for stem in stems if published_curve(stem).total_steps == steps]
    if len(fitting) != 1:
        fits = " and ".join(fitting) if fitting else "no milestone"
        raise UsageError(f"{steps} steps fit {fits}: say which it is with --milestone")
    return fitting[0]


def compare(measured: Measured, stem: str) -> list[Point]:
    """The points that both have, in order of steps.  UsageError if there are none."""
    curve = published_curve(stem)
    steps = measured.total_steps or max(measured.val_loss)
    if steps > curve.total_steps or measured.total_steps not in (None, curve.total_steps):
        raise UsageError(
            f"a run of {steps} steps has no published curve to be held against: "
            f"the published run of {stem} has {curve.total_steps}"
        )
    common = [step for step in curve.steps.tolist() if step in measured.val_loss]
    if not common:
        few = ", ".join(map(str, curve.steps[:3]))
        raise UsageError(f"no step of this run was published: those were {few} and so on")
    return [
        Point(step, curve.at(step), measured.val_loss[step], curve.band(step)) for step in common
    ]


def report(path: Path, named: str = "") -> tuple[bool, str]:
    """Whether the run is inside the band, and the text that says so.  UsageError if refused."""
    measured = read_run(path)
    stem = which_milestone(measured, named)
    points, curve = compare(measured, stem), published_curve(stem)
    for step, value in sorted(measured.val_loss.items()):
        if not math.isfinite(value):
            return False, f"outside the band: the validation loss is {value} at step {step}"
    outside = [point for point in points if point.bands > 1]
    worst = max(points, key=lambda point: point.bands)
    text = [
        f"{stem} held against record {curve.record}, {curve.log}",
        *table(points, {worst.step, *[point.step for point in outside[:1]]}),
        *verdict(points, outside, worst),
        *remarks(measured, points, curve),
    ]
    return not outside, "\n".join(text)


def table(points: list[Point], always: set[int]) -> list[str]:
    """Some of the points, evenly spread, and those that must be seen."""
    spread = {round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)}
    rows = [p for i, p in enumerate(points) if i in spread or p.step in always]
    return [f"{'step':>8}{'published':>12}{'yours':>10}{'difference':>13}{'band':>10}"] + [
        f"{p.step:>8}{p.published:>12.4f}{p.yours:>10.4f}{p.difference:>+13.4f}{p.band:>10.4f}"
        + ("  outside" if p.bands > 1 else "")
        for p in rows
    ]


def verdict(points: list[Point], outside: list[Point], worst: Point) -> list[str]:
    largest = f"the largest deviation is {worst.bands:.2f} bands, at step {worst.step}"
    if not outside:
        return [
            f"inside the band at all {len(points)} points; {largest}",
            "One run inside the band shows that there is no gross mistake; it makes no record. For",
            "that, several runs need a mean of at most 3.28, by a one-sided t-test with p < 0.01.",
        ]
    first = outside[0]
    return [
        f"outside the band, first at step {first.step}: {first.difference:+.4f}, that is "
        f"{first.bands:.2f} bands",
        f"outside at {len(outside)} of {len(points)} points; {largest}",
    ]


def remarks(measured: Measured, points: list[Point], curve: PublishedCurve) -> list[str]:
    """How far the run has come, its speed, and what the band rests on."""
    lines = []
    if points[-1].step < curve.total_steps:
        lines.append(
            f"unfinished: judged up to step {points[-1].step} of {curve.total_steps}, "
            f"on {len(points)} of {len(curve.steps)} published points"
        )
    yours = "unknown" if math.isnan(measured.step_avg_ms) else f"{measured.step_avg_ms:.1f} ms"
    lines.append(
        f"time a step: {yours}; published: {curve.step_avg_ms:.1f} ms on 8xH100; "
        "not judged, machines differ"
    )
    if curve.pooled:
        own = "" if math.isnan(curve.final_std) else ", and widened to the s.d. its README states"
        lines += [
            "centre of the band: the one run that was published",
            f"width of the band: pooled from repeats of other scripts{own}",
        ]
    else:
        lines.append(f"centre of the band: the mean of {curve.runs} published runs, all inside it")
    return lines
