"""Published figures of the speedrun: loss curves, records, and how far equal runs differ.

    curve = published_curve("milestone01_muon")
    curve.at(250), curve.band(250)  # 4.5819 nats, and 0.0402 either way for one run

README.md says where each table comes from.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np

from data.history import read_records

FOLDER = Path(__file__).parent
LN_VOCAB = float(np.log(50304))  # nats: the loss of a head that starts at zero
OWN_SPREAD_RUNS = 7  # fewer runs say too little about their own spread


@dataclass(frozen=True)
class PublishedCurve:
    """The validation loss of one record; where several runs were published, their mean.

    Arrays have one entry a published point.  A point at step s is measured after s updates.
    """

    record: int
    log: str  # folder in upstream's records/track_1_short
    runs: int
    final_std: float  # nats, of the final loss over runs; nan where unknown
    step_avg_ms: float  # on 8xH100
    steps: np.ndarray  # int64
    tokens: np.ndarray  # int64, read so far
    val_loss: np.ndarray  # nats
    std: np.ndarray  # nats, over the runs; nan with one run
    low: np.ndarray  # nats, the lowest of the runs
    high: np.ndarray  # nats, the highest
    time_ms: np.ndarray  # training time so far; nan where none was logged

    @property
    def total_steps(self) -> int:
        return int(self.steps[-1])

    @property
    def pooled(self) -> bool:
        """Whether the width is borrowed from repeats of other scripts, for want of own ones."""
        return self.runs < OWN_SPREAD_RUNS

    def at(self, step: int) -> float | None:
        """The published loss at `step`, nats; linear between two points, None outside."""
        if not 0 <= step <= self.total_steps:
            return None
        return float(np.interp(step, self.steps, self.val_loss))

    def band(self, step: int) -> float:
        """Half the width in which one run of the same script is expected at `step`, nats.

        Three pooled s.d., the 90th percentile over scripts at that fraction of training; a record's
        own s.d. can only widen it.  Held against the mean of their siblings, 1 of the 57 runs that
        records 29, 33 and 41-43 published leaves this band at some step; 10 leave one of three own
        s.d., because 7 to 20 runs tell a s.d. too badly.
        """
        if step == 0:  # exact with a zero head (0.0005 for rounding), else drawn at random:
            # s.d. 0.021 and 0.035 over 6 seeds of milestones 00 and 01, measured here; two runs
            return 0.0005 if abs(self.val_loss[0] - LN_VOCAB) < 1e-4 else 3 * 2**0.5 * 0.035
        fraction = step / self.total_steps
        pooled = next(r["std_90th"] for r in read_table("seed_spread") if fraction <= r["until"])
        return 3 * float(np.fmax(pooled, self.final_std))


def read_table(name: str) -> list[dict]:
    """The rows of <name>.csv: numbers as int or float, an empty cell as None.

    Those of `records` with date, minutes, log, what and who, which data/history holds.
    ValueError if there is no such table.
    """
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        names = ", ".join(sorted(p.stem for p in FOLDER.glob("*.csv")))
        raise ValueError(f"there is no published table {name}: choose from {names}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return [row | _listed()[row["record"]] for row in rows] if name == "records" else rows


@cache
def _listed() -> dict[int, dict]:
    """What the record history says of each record, by its number."""
    return {
        r.record: {
            "date": str(r.date),
            "minutes": _value(f"{r.minutes:g}"),
            "log": PurePosixPath(r.log).name or None,
            "what": r.what,
            "who": "; ".join(r.who),
        }
        for r in read_records()
        if not r.retiming
    }


def _value(cell: str) -> int | float | str | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell or None


@cache
def record_curve(record: int) -> PublishedCurve:
    """The curve of one of the course's records.  ValueError if none was published."""
    table = read_table("curves")
    rows = [row for row in table if row["record"] == record]
    if not rows:
        known = ", ".join(str(number) for number in sorted({row["record"] for row in table}))
        raise ValueError(f"there is no published curve of record {record}: choose from {known}")

    def column(name: str) -> np.ndarray:
        return np.array([np.nan if row[name] is None else row[name] for row in rows])

    about = next(row for row in read_table("records") if row["record"] == record)
    std = about["val_loss_std"]
    return PublishedCurve(
        record=record,
        log=about["log"],
        runs=about["runs"],
        final_std=np.nan if std is None else std,
        step_avg_ms=about["step_avg_ms"],
        steps=column("step"),
        tokens=column("tokens"),
        val_loss=column("mean"),
        std=column("std"),
        low=column("min"),
        high=column("max"),
        time_ms=column("time_ms"),
    )


def published_curve(milestone: str) -> PublishedCurve:
    """The curve a `record` run of a milestone is held against.  ValueError if there is none."""
    records = {row["milestone"]: row["held_against"] for row in read_table("milestones")}
    if milestone not in records:
        names = ", ".join(records)
        raise ValueError(f"there is no published curve of {milestone}: choose from {names}")
    return record_curve(records[milestone])


def progress_text(milestone: str, step: int, val_loss: float) -> str:
    """`published 4.5819, +0.012 (band 0.040)`; empty where nothing was published at `step`."""
    try:
        curve = published_curve(milestone)
    except ValueError:
        return ""
    if step not in curve.steps:
        return ""
    published = curve.at(step)
    return f"published {published:.4f}, {val_loss - published:+.3f} (band {curve.band(step):.3f})"
