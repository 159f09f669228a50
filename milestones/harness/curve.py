"""The loss curve of a run: curve.csv, a row a step.

A row describes the weights after `step` updates: the training loss is that of the batch they meet
next, the validation loss that of the same weights.  N updates make N + 1 rows.
"""

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass
class Row:
    step: int
    tokens: int  # read so far: step x tokens per step
    train_loss: float = math.nan  # nats; nan in the last row, which meets no batch
    val_loss: float = math.nan  # nats; nan where nothing was validated
    train_time_ms: float = 0.0  # the clock after `step` updates; the untimed first ones add nothing


COLUMNS = [field.name for field in fields(Row)]


def to_csv(row: Row) -> list[str]:
    return ["" if value != value else repr(value) for value in asdict(row).values()]


def read_curve(path: str | Path) -> list[Row]:
    """The rows of a curve.csv; a last line cut off by a kill is left out."""
    text = Path(path).read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    rows = []
    for record in csv.DictReader(lines):
        step, tokens = int(record.pop("step")), int(record.pop("tokens"))
        rows.append(Row(step, tokens, **{k: float(v or "nan") for k, v in record.items()}))
    return rows


class CurveWriter:
    """Appends rows to a curve.csv, each flushed at once; starts it afresh from given rows."""

    def __init__(self, path: Path, rows: list[Row]):
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(to_csv(row) for row in rows)
        partial.replace(path)
        self.file = path.open("a", newline="")

    def append(self, row: Row) -> None:
        csv.writer(self.file, lineterminator="\n").writerow(to_csv(row))
        self.file.flush()


def plot_curve(rows: list[Row], title: str, path: Path) -> None:
    """Draw training and validation loss against steps."""
    from matplotlib.figure import Figure  # imported late: it costs half a second

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [r.step for r in rows], [r.train_loss for r in rows], lw=0.8, alpha=0.5, label="train"
    )
    measured = [r for r in rows if not math.isnan(r.val_loss)]
    axes.plot([r.step for r in measured], [r.val_loss for r in measured], lw=2, label="validation")
    axes.set(title=title, xlabel="step", ylabel="loss (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
