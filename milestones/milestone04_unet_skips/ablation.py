"""Record 9's ablation ladder at `tiny`: from record 8's model to this milestone's, an idea a rung.

    python -m milestones.milestone04_unet_skips.ablation                every rung, seeds 3, 4 and 5
    python -m milestones.milestone04_unet_skips.ablation --seeds 6 7    two more; what is there stays

All rungs are this milestone's script, with its text, steps and learning rates.  What a rung has not
got yet is kept out: a weight is frozen where it has no effect, or a field set so that it has none.
The matrices thus start from the same draws.  Milestone 03 stands beside them with its own rates.

Interrupted, it goes on with the first run that is missing.  Half an hour; data/measured/ablation.csv
is a whole one, and the notebook shows it.
"""

import csv
import sys
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
from milestones.milestone03_distributed_muon import train_gpt as m03
from milestones.milestone04_unet_skips import train_gpt as m04

Frozen = dict[str, float | tuple[float, float]]  # end of a parameter's name: the value it keeps

NO_SKIPS = {"skip_weights": 0.0}
NO_SHORTCUT = NO_SKIPS | {"lambdas": (1.0, 0.0)}
NO_CAP = {"logit_cap": 1e6}  # tanh is then the identity, to nine digits at logits of 30
NO_WARMUP = {"momentum_warmup_iters": 0}

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
BEFORE = "milestone 03"
OURS = m04.init_weights  # held here: while a variant runs, the script's name means the variant's
COLUMNS = ("rung", "seed", "step", "val_loss")


@dataclass(frozen=True)
class Settings:
    seeds: tuple[int, ...] = (3, 4, 5)  # 1 and 2 tuned the learning rates; 3 to 10 are fresh
    file: Path = Path("runs/ablation.csv")  # what is in it already is not run again


def init_weights(frozen: Frozen, model: nn.Module) -> None:
    """The script's own weights; then what is to be `frozen` gets its value and no gradient."""
    OURS(model)
    for name, p in model.named_parameters():
        for end, value in frozen.items():
            if name.endswith(end):
                with torch.no_grad():
                    p.copy_(torch.tensor(value))
                p.requires_grad_(False)  # Adam passes over what has no gradient


def train(rung: str, seed: int, **overrides) -> list[tuple[int, float]]:
    """(step, validation loss) of one run of a rung; `overrides` replace fields of `tiny`.

    As in the race, a seed chooses the initial weights and the shard of training text.
    """
    how = {"seed": seed, "train_files": str(synthetic.CORPUS / f"corpus_train_{seed:06d}.bin")}
    if rung == BEFORE:
        rows = replay(m03, "tiny", **how | overrides)
    else:
        frozen, fields = (LADDER | BESIDE)[rung]
        variant = SimpleNamespace(init_weights=partial(init_weights, frozen))
        rows = replay(m04, "tiny", variant, ["init_weights"], **how | fields | overrides)
    return [(row.step, row.val_loss) for row in rows if row.val_loss == row.val_loss]


def read(file: Path) -> dict[tuple[str, int], list[tuple[int, float]]]:
    """The curves in `file`, by rung and seed; none if there is no such file yet."""
    curves = {}
    if file.exists():
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                curve = curves.setdefault((row["rung"], int(row["seed"])), [])
                curve.append((int(row["step"]), float(row["val_loss"])))
    return curves


def write(curves: dict, file: Path) -> None:
    """The inverse of `read`; an interruption leaves the old file whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_suffix(".partial")
    with partial_file.open("w", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (rung, seed), curve in curves.items():
            writer.writerows([rung, seed, step, f"{loss:.6f}"] for step, loss in curve)
    partial_file.replace(file)


def ablate(settings: Settings) -> None:
    """Run what `settings.file` lacks, seed by seed, and save after every run."""
    if unknown := [seed for seed in settings.seeds if not 1 <= seed <= synthetic.TRAIN_SHARDS]:
        raise UsageError(f"--seeds {unknown[0]}: 1 to {synthetic.TRAIN_SHARDS} have a shard")
    synthetic.generate()
    curves = read(settings.file)
    rungs = [BEFORE, *LADDER, *BESIDE]
    wanted = [(rung, seed) for seed in settings.seeds for rung in rungs]
    missing = [run for run in wanted if run not in curves]
    for rung, seed in (bar := tqdm(missing, unit="run", disable=not sys.stderr.isatty())):
        bar.set_description(f"seed {seed}, {rung}")
        curves[rung, seed] = train(rung, seed)
        write(curves, settings.file)
        tqdm.write(f"seed {seed}  {curves[rung, seed][-1][1]:.3f}  {rung}")


def main() -> None:
    settings = tyro.cli(Settings, description=__doc__)
    try:
        ablate(settings)
    except UsageError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
