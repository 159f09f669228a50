"""The pictures of the record history.  Each function draws the small track on the axes given."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from data.history import KINDS, START, Record
from data.history.analysis import bought, fit, gains, select

COLOURS = {  # Okabe and Ito's, which most eyes tell apart
    "optimizer": "#0072B2",
    "architecture": "#E69F00",
    "attention": "#D55E00",
    "data": "#009E73",
    "communication": "#56B4E9",
    "kernels": "#CC79A7",
    "precision": "#F0E442",
    "library": "black",
}
GREY = "0.75"  # several kinds, or none given
MINUTES = (45, 30, 20, 10, 5, 3, 2, 1.5, 1, 0.7)  # ticks


def speed_over_time(axes: Axes, records: Sequence[Record], later: Sequence[Record] = ()) -> None:
    """Minutes against date, the two laws fitted to all records, and the records since."""
    new, again = select(records, 1), [r for r in records if r.retiming]
    axes.plot([r.date for r in new], [r.minutes for r in new], ".", color="C0", label="record")
    dates, minutes = [r.date for r in again], [r.minutes for r in again]
    axes.plot(dates, minutes, "x", color="C3", ms=5, label="re-timing")
    if later:
        dates, minutes = [r.date for r in later], [r.minutes for r in later]
        axes.plot(dates, minutes, "o", color="C0", mfc="none", ms=4, label="later, not fitted")
    days = np.arange(0, max(r.days for r in [*new, *later]) + 1)
    dates = np.datetime64(START) + days
    for model, style, color in ("exponential", "-", "C1"), ("power law", "--", "0.3"):
        found = fit(new, model)
        label = f"{model}, $R^2$ = {found.r2:.3f}"
        axes.plot(dates, found.minutes(days), style, color=color, lw=1, label=label)
    date_axis(axes)
    minutes_axis(axes)
    axes.set_title(f"{len(new)} records: {new[0].minutes:g} minutes to {new[-1].minutes:g}")
    axes.legend()


def speed_over_lines(axes: Axes, records: Sequence[Record]) -> None:
    """Minutes against lines of the training script, in the order of the records."""
    counted = [r for r in select(records, 1) if r.lines]
    lines, minutes = [r.lines for r in counted], [r.minutes for r in counted]
    axes.plot(lines, minutes, ".-", color="C0", lw=0.6)
    for record in (counted[0], counted[len(counted) // 2], counted[-1]):
        there = (record.lines, record.minutes)
        axes.annotate(f"{record.record}", there, (4, 4), textcoords="offset points")
    axes.set_xlabel("lines of the training script")
    minutes_axis(axes)
    axes.set_title(
        f"What the speed cost in lines, records {counted[0].record} to {counted[-1].record}"
    )


def lines_over_time(axes: Axes, records: Sequence[Record]) -> None:
    """Lines of the training script at the date of each record."""
    counted = [r for r in select(records, 1) if r.lines]
    axes.plot([r.date for r in counted], [r.lines for r in counted], ".-", color="C0", lw=0.6)
    date_axis(axes)
    axes.set_ylim(0)
    axes.set_ylabel("lines of the training script")
    first, last = counted[0], counted[-1]
    axes.set_title(f"{first.lines} lines at record {first.record}, {last.lines} at {last.record}")


def gain_per_record(axes: Axes, records: Sequence[Record]) -> None:
    """The share of the time that each record cut, against the latest timing before it."""
    kinds = {r.record: r.kinds for r in records if not r.retiming}  # without a date too
    labelled = set()
    for number, gain in gains(records).items():
        kind = (kinds[number] or ("unsorted",))[0] if len(kinds[number]) < 2 else "several"
        label = None if kind in labelled else kind
        labelled.add(kind)
        cut = 100 * -np.expm1(-gain)
        axes.bar(number, cut, color=COLOURS.get(kind, GREY), width=0.8, label=label)
    handles, labels = axes.get_legend_handles_labels()
    order = [labels.index(kind) for kind in [*KINDS, "several", "unsorted"] if kind in labels]
    axes.legend([handles[i] for i in order], [labels[i] for i in order], ncols=3)
    axes.set_xlabel("record")
    axes.set_ylabel("time cut (%)")
    axes.set_title("The gain of each record, by kind of change")


def gain_by_kind(axes: Axes, records: Sequence[Record]) -> None:
    """How many halvings each kind of change bought: bundles shared out, and none or all of them."""
    rows = bought(records)[::-1]
    places = range(len(rows))
    low, middle, high = (
        np.array([getattr(row, name) for row in rows]) / np.log(2)
        for name in ("low", "middle", "high")
    )
    for place, row in zip(places, rows, strict=True):
        color = COLOURS.get(row.kind, GREY)
        axes.plot([low[place], high[place]], [place, place], color=color, lw=4, alpha=0.4)
        axes.plot(middle[place], place, "o", color=color)
    axes.set_yticks(places, [row.kind for row in rows])
    axes.set_xlim(0)
    axes.set_xlabel("times the duration was halved")
    axes.set_title("What each kind of change bought")


PLOTS = {
    f.__name__: f
    for f in (speed_over_time, speed_over_lines, lines_over_time, gain_per_record, gain_by_kind)
}


def date_axis(axes: Axes) -> None:
    """Short dates below."""
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def minutes_axis(axes: Axes) -> None:
    """Minutes at the side, on a log scale that holds the records and not where a law explodes."""
    axes.set_yscale("log")
    low, high = axes.dataLim.intervaly
    axes.set_ylim(max(low, 0.5) / 1.2, min(high, MINUTES[0]) * 1.3)
    axes.set_yticks(MINUTES, [f"{m:g}" for m in MINUTES])
    axes.minorticks_off()
    axes.set_ylabel("minutes on 8 H100s")
