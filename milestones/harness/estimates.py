"""How long, how dear, how near: what a run says about itself beside its figures."""

from pathlib import Path
from typing import Any

# A run that differs from the published one in these alone is held against the published curve: the
# seed moves it within the band, and so do milestone 00's few batches that come twice (many would
# show); the files may lie elsewhere, the others change speed or memory.
FREE = ("seed", "allow_repeat", "device_batch_size", "compile", "fused", "untimed_steps")
FREE += ("val_loss_every",)
FILES = ("train_files", "val_files")


def as_published(args: Any, published: Any) -> bool:
    """Whether `args` should give the curve of `published`, both Hyperparameters."""

    def what_counts(these: Any) -> dict:
        fields = {name: value for name, value in vars(these).items() if name not in FREE}
        return fields | {name: Path(fields[name]).name for name in FILES}

    return what_counts(args) == what_counts(published)


def duration(seconds: float) -> str:
    """ "85 s", "38 min" or "6.1 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def money(seconds: float, price_per_hour: float) -> str:
    """What the machine costs in that time, "$12.34"."""
    return f"${seconds / 3600 * price_per_hour:,.2f}"


def gigabytes(size: float) -> str:
    """Bytes as disks are sold, "6.8 GB"."""
    return f"{size / 1e9:.1f} GB"
