"""Record what the grader compares with: `python -m grader.record`, when scripts or mistakes change.

    python -m grader.record          all milestones
    python -m grader.record 04       one

Writes grader/curves/<milestone>.json: the script's exact curve, its traffic on two ranks and, from
edits of the solution, curve and mark (of the unit outputs) of every known mistake.
"""

import importlib
import json
import sys
from contextlib import suppress

import tyro
from tqdm import tqdm

from grader.judge import curve_of, script_of, unit_outputs
from grader.marks import FOLDER, mark_of
from grader.mistakes import edited
from grader.ranks import run_rank, run_ranks
from milestones.harness import UsageError
from milestones.table import find_milestone, milestones


def record(stem: str) -> dict:
    """The content of a milestone's file; nan becomes null."""
    solution = importlib.import_module(f"solutions.{stem}")
    mistakes = importlib.import_module(f"grader.mistakes.{stem}").MISTAKES
    content = {"curve": curve_of(stem, None, None), "curves": {}, "marks": {}}
    ranks = run_ranks(run_rank, script_of(stem), None, None, seconds=120)
    content["traffic"] = ranks[0]["traffic"]
    for name in script_of(stem).EXERCISES:
        content["marks"][name] = {}
    for mistake in tqdm(mistakes, desc=stem):
        learner = edited(solution, mistake.edits)
        mark = mark_of(unit_outputs(stem, mistake.task, learner))
        content["marks"][mistake.task][mistake.says] = [mark.structure, mark.size, mark.values]
        with suppress(Exception):  # what crashes in training has no curve
            curve = curve_of(stem, learner, [mistake.task])
            content["curves"][mistake.says] = [x if x == x else None for x in curve]
    return content


def main(which: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Record milestones.

    Args:
        which: their numbers; all if there are none.
    """
    try:
        chosen = [find_milestone(name) for name in which] or milestones()
    except UsageError as error:
        sys.exit(f"error: {error}")
    FOLDER.mkdir(exist_ok=True)
    for milestone in chosen:
        text = json.dumps(record(milestone.stem))
        (FOLDER / f"{milestone.stem}.json").write_text(text + "\n")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m grader.record")
