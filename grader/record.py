"""Record what the grader compares with: `python -m grader.record`, when scripts or mistakes change.

Writes grader/curves/<milestone>.json: the script's exact curve and, from edits of the solution,
curve and mark (of the unit outputs) of every known mistake.
"""

import importlib
import json

from tqdm import tqdm

from grader.judge import curve_of, script_of, unit_outputs
from grader.marks import FOLDER, mark_of
from grader.mistakes import edited
from milestones.table import milestones


def record(stem: str) -> dict:
    """The content of a milestone's file; nan becomes null."""
    solution = importlib.import_module(f"solutions.{stem}")
    mistakes = importlib.import_module(f"grader.mistakes.{stem}").MISTAKES
    content = {"curve": curve_of(stem, None, None), "curves": {}, "marks": {}}
    for name in script_of(stem).EXERCISES:
        content["marks"][name] = {}
    for mistake in tqdm(mistakes, desc=stem):
        learner = edited(solution, mistake.edits)
        try:
            mark = mark_of(unit_outputs(stem, mistake.task, learner))
            content["marks"][mistake.task][mistake.says] = [mark.structure, mark.size, mark.values]
            curve = curve_of(stem, learner, [mistake.task])
            content["curves"][mistake.says] = [x if x == x else None for x in curve]
        except Exception as error:  # what crashes is known by its crash, here or in training
            tqdm.write(f"{mistake.says}: {type(error).__name__}")
    return content


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for milestone in milestones():
        text = json.dumps(record(milestone.stem))
        (FOLDER / f"{milestone.stem}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
