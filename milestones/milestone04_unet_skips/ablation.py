"""Record 9's ablation ladder at `tiny`: from record 8's model to this milestone's, an idea a rung.

    python -m milestones.milestone04_unet_skips.ablation                every rung, seeds 3, 4 and 5
    python -m milestones.milestone04_unet_skips.ablation --seeds 6 7    more; what is there stays

All rungs are this milestone's script, with its text, steps and learning rates.  What a rung has not
got yet is kept out: a weight is frozen where it has no effect, or a field set so that it has none.
Matrices start from the same draws in all.  Milestone 03 is run beside them, with its own rates.

Interrupted, it goes on with the first run that is missing.  data/measured/ablation.csv is a whole
one, and the notebook shows it.
"""

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
import tyro
from torch import nn
from tqdm import tqdm

from data import synthetic
from milestones.harness import UsageError, replay
from milestones.harness.curve import Row
from milestones.milestone03_distributed_muon import train_gpt as m03
from milestones.milestone04_unet_skips import train_gpt as m04

Frozen = dict[str, float | tuple[float, float]]  # last part of a parameter's name: what it stays
Curves = dict[tuple[str, int], list[Row]]  # by rung and seed; rows with a validation loss only

NO_SKIPS = {"skip_weights": 0.0}
NO_SHORTCUT = NO_SKIPS | {"lambdas": (1.0, 0.0)}
NO_CAP = {"logit_cap": 1e6}  # tanh is then the identity, to nine digits at a logit of 30
NO_WARMUP = {"momentum_warmup_iters": 0}

BEFORE = "milestone 03"
LADDER: dict[str, tuple[Frozen, dict]] = {  # what is frozen, and fields; names as published
    "record 8": (NO_SHORTCUT | {"lamb": 0.0}, NO_CAP | NO_WARMUP),
    "+ value residual, fixed at 0.5": (NO_SHORTCUT | {"lamb": 0.5}, NO_CAP | NO_WARMUP),
    "+ learnable lambda": (NO_SHORTCUT, NO_CAP | NO_WARMUP),
    "+ embedding shortcut": (NO_SKIPS, NO_CAP | NO_WARMUP),
    "+ momentum warm-up": (NO_SKIPS, NO_CAP),
    "+ soft cap (record 9)": (NO_SKIPS, {}),
    "+ U-net skips (milestone 04)": ({}, {}),
}
BESIDE = {"milestone 04 without value residual": ({"lamb": 0.0}, {})}

COLUMNS = ("rung", "seed", "step", "tokens", "val_loss")
draw = m04.init_weights  # kept here: while a rung runs, the script's name means the rung's


@dataclass(frozen=True)
class Settings:
    seeds: tuple[int, ...] = (3, 4, 5)  # 1 and 2 tuned the learning rates; 3 to 10 are fresh
    file: Path = Path("runs/ablation.csv")  # what is in it already is not run again


def initial_weights(frozen: Frozen, model: nn.Module) -> None:
    """The script's own; but what is `frozen` gets that value and no gradient, so Adam leaves it."""
    draw(model)
    for name, p in model.named_parameters():
        if (last := name.split(".")[-1]) in frozen:
            with torch.no_grad():
                p.copy_(torch.tensor(frozen[last]))
            p.requires_grad_(False)


def run_rung(rung: str, seed: int, **overrides) -> list[Row]:
    """Train one rung at `tiny`, with `overrides` of its fields: the rows that were validated.

    As in the race, a seed chooses the initial weights and the shard of training text.
    """
    shard = synthetic.CORPUS / f"corpus_train_{seed:06d}.bin"
    how = {"seed": seed, "train_files": str(shard)} | overrides
    if rung == BEFORE:
        rows = replay(m03, "tiny", **how)
    else:
        frozen, fields = (LADDER | BESIDE)[rung]
        variant = SimpleNamespace(init_weights=partial(initial_weights, frozen))
        rows = replay(m04, "tiny", variant, ["init_weights"], **how | fields)
    return [row for row in rows if row.val_loss == row.val_loss]


def read(file: Path) -> Curves:
    """The curves in `file`; none if there is no such file yet."""
    curves = defaultdict(list)
    if file.exists():
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                point = Row(int(row["step"]), int(row["tokens"]), val_loss=float(row["val_loss"]))
                curves[row["rung"], int(row["seed"])].append(point)
    return dict(curves)


def write(curves: Curves, file: Path) -> None:
    """The inverse of `read`, to six digits.  An interruption leaves the old file whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".partial")
    with unfinished.open("w", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (rung, seed), curve in curves.items():
            writer.writerows([rung, seed, r.step, r.tokens, f"{r.val_loss:.6f}"] for r in curve)
    unfinished.replace(file)


def ablate(settings: Settings) -> None:
    """Run what `settings.file` lacks, seed by seed, and save after every run."""
    if unknown := [seed for seed in settings.seeds if not 1 <= seed <= synthetic.TRAIN_SHARDS]:
        raise UsageError(f"--seeds {unknown[0]}: choose from 1 to {synthetic.TRAIN_SHARDS}")
    curves = read(settings.file)
    runs = [(rung, seed) for seed in settings.seeds for rung in (BEFORE, *LADDER, *BESIDE)]
    missing = [run for run in runs if run not in curves]
    for rung, seed in tqdm(missing, unit="run", disable=not sys.stderr.isatty()):
        curves[rung, seed] = run_rung(rung, seed)
        write(curves, settings.file)
        tqdm.write(f"seed {seed}, {rung}: val_loss {curves[rung, seed][-1].val_loss:.3f}")


def main() -> None:
    settings = tyro.cli(
        Settings, prog="python -m milestones.milestone04_unet_skips.ablation", description=__doc__
    )
    try:
        ablate(settings)
    except UsageError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
