"""The record history: how the time to 3.28 fell, and what can be read from it.

    python -m data.history                       # the shipped table: fits and pictures
    python -m data.history --repo modded-nanogpt # the same from a clone of upstream

README.md says where the shipped table comes from and what its columns mean.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path

SHIPPED = Path(__file__).parent / "records.csv"  # both tracks, to 2026-08-01
LATER = Path(__file__).parent / "later.csv"  # published since; no fit has seen them
START = date(2024, 5, 28)  # of record 1, both tracks
KINDS = {  # of change, as we sort them
    "optimizer": "update rule, learning rates, schedules, weight decay",
    "architecture": "embeddings, skips, gates, activations, initialisation, output",
    "attention": "windows, positions, heads, what a token sees",
    "data": "which tokens a step reads and predicts",
    "communication": "what GPUs exchange, and when",
    "kernels": "the same mathematics, computed faster",
    "precision": "fewer bits",
    "library": "a newer PyTorch",
}


@dataclass(frozen=True)
class Record:
    """A row of a record table.  Of a re-timing, `record` is the number it times again."""

    track: str  # "small" (target 3.28) or "medium" (2.92)
    record: int
    retiming: bool
    date: date | None  # as listed upstream
    minutes: float  # training time on 8xH100
    lines: int | None  # of the training script; not counted for a re-timing
    commit: str  # the script's, counted by `lines`
    pull_request: int | None
    log: str  # folder in upstream's repository
    who: tuple[str, ...]
    kinds: tuple[str, ...]  # of KINDS, ours; several for a record that bundles changes
    what: str  # our words
    stars: float | None = None  # of the repository on that date

    @property
    def days(self) -> int:
        """Since START."""
        return (self.date - START).days


def read_records(path: Path = SHIPPED, track: str = "small") -> list[Record]:
    """The rows of one track, re-timings among them, in the order of upstream's README."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [_record(row) for row in csv.DictReader(file)]
    return [row for row in rows if row.track == track]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """The table that `read_records` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Record))
        for record in records:
            writer.writerow(_cell(getattr(record, field.name)) for field in fields(Record))


def with_labels(records: Iterable[Record], labelled: Iterable[Record]) -> list[Record]:
    """`records` with `kinds` and `what` of the same rows in `labelled`; new ones stay without."""

    def key(row: Record) -> tuple:
        return row.track, row.record, row.retiming and row.date  # one record, many re-timings

    labels = {key(row): {"kinds": row.kinds, "what": row.what} for row in labelled}
    return [replace(record, **labels.get(key(record), {})) for record in records]


def _record(row: dict[str, str]) -> Record:
    row = {name: cell or None for name, cell in row.items()}
    return Record(
        track=row["track"],
        record=int(row["record"]),
        retiming=row["retiming"] == "1",
        date=row["date"] and date.fromisoformat(row["date"]),
        minutes=float(row["minutes"]),
        lines=row["lines"] and int(row["lines"]),
        commit=row["commit"] or "",
        pull_request=row["pull_request"] and int(row["pull_request"]),
        log=row["log"] or "",
        who=tuple((row["who"] or "").split("; ")) if row["who"] else (),
        kinds=tuple(row["kinds"].split("; ")) if row["kinds"] else (),
        what=row["what"] or "",
        stars=row.get("stars") and float(row["stars"]),
    )


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return "; ".join(value) if isinstance(value, tuple) else str(value)
