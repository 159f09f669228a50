"""Fits of time against days, gains, eras, and what each kind of change bought.

Everything is done on the logarithm of the minutes, least squares: equal factors count equally.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from data.history import Record

ERAS = {"1-21": (1, 21), "22-55": (22, 55), "56-89": (56, 89)}  # first and last record
MIN_RECORDS = 7  # with 5 degrees of freedom left `student_t` is good
SUBSETS = {"1-55": (1, 55), "2-55": (2, 55), "all": (1, None), "all but 1": (2, None), **ERAS}


def select(
    records: Sequence[Record], first: int, last: int | None = None, retimings: bool = False
) -> list[Record]:
    """Dated records `first` to `last` (to the end without), re-timings only if asked for."""
    return [
        r
        for r in records
        if first <= r.record <= (last or r.record) and (retimings or not r.retiming) and r.date
    ]


# ------------------------------------------------------------------------------------------ fits


@dataclass(frozen=True)
class Fit:
    """log(minutes) = log(a) + b * x with x = days, or log(days + offset) for the power law."""

    model: str  # "exponential" or "power law"
    n: int
    a: float  # minutes
    b: float  # per day, or the power
    b_error: float  # standard error, if the points were independent
    r2: float  # of log(minutes)
    autocorrelation: float  # of neighbouring residuals
    offset: float  # days, of the power law

    def minutes(self, days) -> np.ndarray:
        days = np.asarray(days, dtype=float)
        if self.model == "exponential":
            return self.a * np.exp(self.b * days)
        return self.a * (days + self.offset) ** self.b

    @property
    def half_life(self) -> float:
        """Days in which an exponential halves."""
        return -math.log(2) / self.b

    def half_life_interval(self, correlated: bool = False) -> tuple[float, float]:
        """95% interval in days, Student's t; inf where never halving is not ruled out.

        correlated: the error grows by sqrt((1 + r) / (1 - r)), r the autocorrelation of residuals
        that each depend on the one before.  Neighbouring records lie on the same side of the line
        and say the same thing twice.
        """
        r = max(self.autocorrelation, 0.0) if correlated else 0.0
        error = self.b_error * ((1 + r) / (1 - r)) ** 0.5
        margin = student_t(0.975, self.n - 2) * error
        slowest, fastest = self.b + margin, self.b - margin
        return -math.log(2) / fastest, -math.log(2) / slowest if slowest < 0 else math.inf


def student_t(p: float, freedom: int) -> float:
    """Quantile of Student's t: the normal one, expanded in 1 / freedom (Abramowitz and Stegun
    26.7.5).  At p = 0.975 off by 0.0002 with 10 degrees of freedom, by 0.003 with 5."""
    z, v = NormalDist().inv_cdf(p), freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def fit(records: Sequence[Record], model: str = "exponential", offset: float = 1.0) -> Fit:
    """The least-squares line through (days, log minutes), or (log(days + offset), log minutes) for
    the power law.  ValueError with fewer than MIN_RECORDS."""
    if len(records) < MIN_RECORDS:
        raise ValueError(f"{len(records)} records: a fit with an interval needs {MIN_RECORDS}")
    days = np.array([r.days for r in records], dtype=float)
    x = days if model == "exponential" else np.log(days + offset)
    y = np.log([r.minutes for r in records])
    b, log_a = np.polyfit(x, y, 1)
    residual = y - (log_a + b * x)
    squares = np.sum(residual**2)
    return Fit(
        model=model,
        n=len(records),
        a=math.exp(log_a),
        b=float(b),
        b_error=math.sqrt(squares / (len(records) - 2) / np.sum((x - x.mean()) ** 2)),
        r2=float(1 - squares / np.sum((y - y.mean()) ** 2)),
        autocorrelation=float(np.sum(residual[1:] * residual[:-1]) / squares),
        offset=offset,
    )


def all_fits(records: Sequence[Record]) -> list[dict[str, str]]:
    """Both laws on every subset that has enough records, as rows of a table."""
    subsets = {name: select(records, *ends) for name, ends in SUBSETS.items()}
    for name in ("1-55", "all"):
        subsets[f"{name}, re-timings too"] = select(records, *SUBSETS[name], retimings=True)
    return [
        {"records": name, **as_row(fit(subset, model))}
        for name, subset in subsets.items()
        for model in ("exponential", "power law")
        if len(subset) >= MIN_RECORDS
    ]


def as_row(found: Fit) -> dict[str, str]:
    """A fit in words for a table; days are empty for the power law, which has no half-life."""
    row = {
        "model": found.model,
        "n": f"{found.n}",
        "a": f"{found.a:.5g}",
        "b": f"{found.b:.4g}",
        "r2_log": f"{found.r2:.4f}",
        "autocorrelation": f"{found.autocorrelation:.2f}",
    }
    low, high = found.half_life_interval()
    correlated = found.half_life_interval(correlated=True)
    days = [found.half_life, low, high, *correlated]
    names = ["half_life_days", "low_95", "high_95", "correlated_low_95", "correlated_high_95"]
    exponential = found.model == "exponential"
    return row | {k: f"{v:.1f}" if exponential else "" for k, v in zip(names, days, strict=True)}


def best_break(records: Sequence[Record], least: int = 5) -> tuple[int, float]:
    """Where one exponential is best replaced by two: (last record before it, R^2 of both)."""
    x = np.array([r.days for r in records], dtype=float)
    y = np.log([r.minutes for r in records])

    def squares(part: slice) -> float:
        line = np.polyval(np.polyfit(x[part], y[part], 1), x[part])
        return float(np.sum((y[part] - line) ** 2))

    places = range(least, len(records) - least + 1)
    place = min(places, key=lambda i: squares(slice(i)) + squares(slice(i, None)))
    left = squares(slice(place)) + squares(slice(place, None))
    return records[place - 1].record, 1 - left / float(np.sum((y - y.mean()) ** 2))


# ----------------------------------------------------------------------------------------- gains


def gains(records: Sequence[Record], corrected: bool = True) -> dict[int, float]:
    """log(time before / time after) of every record but the first, by its number.

    corrected: before is the latest timing of the record before, re-timings included, so that a
    change of the clock or the machine counts as nobody's gain or loss.
    """
    found, timed = {}, {}  # minutes by record, the latest timing so far
    for record in records:
        if record.retiming and not corrected:
            continue
        before = timed.get(record.record - 1)
        if before is not None and not record.retiming:
            found[record.record] = float(np.log(before / record.minutes))
        timed[record.record] = record.minutes
    return found


@dataclass(frozen=True)
class Bought:
    """What a kind of change bought, in log(time before / after)."""

    kind: str
    alone: int  # records of this kind only
    bundled: int  # records of this kind and others
    low: float  # the gain of those alone
    middle: float  # bundles shared out equally among their kinds
    high: float  # all of every bundle


def bought(records: Sequence[Record], first: int = 1, last: int | None = None) -> list[Bought]:
    """The corrected gains of records `first` to `last` by kind of change, largest first."""
    gain = gains(records)
    parts = defaultdict(list)  # kind: (gain, number of kinds that share it)
    for record in records:
        inside = first <= record.record <= (last or record.record)
        if record.retiming or not inside or record.record not in gain:
            continue
        for kind in record.kinds or ("unsorted",):
            parts[kind].append((gain[record.record], max(len(record.kinds), 1)))
    rows = [
        Bought(
            kind,
            alone=sum(shared == 1 for _, shared in found),
            bundled=sum(shared > 1 for _, shared in found),
            low=sum(g for g, shared in found if shared == 1),
            middle=sum(g / shared for g, shared in found),
            high=sum(g for g, _ in found),
        )
        for kind, found in parts.items()
    ]
    return sorted(rows, key=lambda row: -row.middle)


def line_changes(records: Sequence[Record]) -> dict[int, int]:
    """Lines added (or removed) at every record whose predecessor was counted too."""
    counted = [r for r in records if not r.retiming]
    pairs = itertools.pairwise(counted)
    return {b.record: b.lines - a.lines for a, b in pairs if a.lines and b.lines}
