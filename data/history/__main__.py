"""The record history of the speedrun: a table, fits and pictures.

    python -m data.history                          # of the table that ships with the course
    python -m data.history --repo ../modded-nanogpt # of a clone of upstream, with all its history

Writes records.csv (one row a record, both tracks), fits.csv and the pictures into a new folder.
A row of upstream's README that cannot be read ends it, before anything is written.
"""

import csv
import math
import shutil
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import tyro

from data.history import LATER, SHIPPED, Record, read_records, with_labels, write_records
from data.history.analysis import MIN_RECORDS, all_fits, fit, gains, select
from data.history.extract import extract, with_stars
from milestones.harness.errors import UsageError


@dataclass(frozen=True)
class Settings:
    repo: Path | None = None  # a clone; without, the shipped table
    commit: str = "HEAD"  # of the clone; f411b3d3 is the shipped table's
    stars: Path | None = None  # a CSV with columns Date and Stars, as star-history.com exports it
    out: Path | None = None  # a new folder; default: runs/history/<time>


def history(settings: Settings) -> str:
    """Extract, analyse, write; return a summary.  UsageError before anything is written."""
    out = settings.out or Path("runs") / "history" / f"{datetime.now():%Y%m%d-%H%M%S}"
    if out.exists():
        raise UsageError(f"{out} is there: pass another --out")
    if settings.commit != "HEAD" and not settings.repo:
        raise UsageError("--commit is one of a clone: pass --repo too")
    if settings.stars and not settings.stars.is_file():
        raise UsageError(f"there is no file {settings.stars}")
    shipped = [*read_records(), *read_records(track="medium"), *read_records(LATER)]
    if settings.repo:
        records = with_labels(extract(settings.repo, settings.commit), shipped)
    else:
        records = [*read_records(), *read_records(track="medium")]
    if settings.stars:
        records = with_stars(records, settings.stars)
    small = [record for record in records if record.track == "small"]
    if len(select(small, 1)) < MIN_RECORDS:
        raise UsageError(f"{len(select(small, 1))} dated records: a fit needs {MIN_RECORDS}")
    part = out.with_name(f".{out.name}.{uuid.uuid4().hex}.part")  # whole, or not under its name
    try:
        part.mkdir(parents=True)
        write_records(part / SHIPPED.name, records)
        write_rows(part / "fits.csv", all_fits(small))
        draw(part, small)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return summary(records, out)


def write_rows(path: Path, rows: Sequence[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(folder: Path, records: Sequence[Record]) -> None:
    """All pictures of one track as <name>.png."""
    from matplotlib.figure import Figure  # imported late: it costs half a second

    from data.history.plots import PLOTS

    for name, plot in PLOTS.items():
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        plot(axes, records)
        figure.savefig(folder / f"{name}.png", dpi=140)


def summary(records: Sequence[Record], out: Path) -> str:
    """What was found, in a few lines."""
    lines = []
    for track in ("small", "medium"):
        found = [record for record in records if record.track == track]
        retimings = sum(record.retiming for record in found)
        counted = sum(record.lines is not None for record in found)
        lines.append(
            f"{track} track: {len(found) - retimings} records, {retimings} re-timings, "
            f"{counted} scripts counted"
        )
    small = [record for record in records if record.track == "small"]
    new = select(small, 1)
    found = fit(new)
    low, high = found.half_life_interval()
    factor = math.exp(sum(gains(small).values()))
    return "\n".join(
        [
            *lines,
            f"{new[0].minutes:g} to {new[-1].minutes:g} minutes in {new[-1].days} days, "
            f"{factor:.1f}x with re-timings taken out",
            f"half-life {found.half_life:.0f} days ({low:.0f} to {high:.0f}), "
            f"R^2 {found.r2:.3f}; power law {fit(new, 'power law').r2:.3f}",
            f"table, fits and pictures: {out}",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Exit codes: 0 done, 1 the disk, 2 bad request or table, 130 Ctrl-C."""
    settings = tyro.cli(Settings, prog="python -m data.history", description=__doc__, args=argv)
    try:
        print(history(settings))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename or settings.out}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
