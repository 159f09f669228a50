"""What the book takes from the repository, made before Sphinx reads it.

    chapters/   each notebook, followed by the figures of its milestone and the published curve;
                pictures, and what the grader says to a mistake that many make
    scripts/    each training script, after what it changes in the one before

None of it is in git.  Words and figures come from where README has them (milestones/pages.py):
milestones.toml, the chain, data/published and the committed race.
"""

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np

from data.published import published_curve, read_table
from grader import cost, judge, marks, verdict
from milestones import chain, pages
from milestones.harness.injection import ROOT
from milestones.table import Milestone, milestones

BOOK = ROOT / "book"
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build" / "book"
CHAPTERS, SCRIPTS = BOOK / "chapters", BOOK / "scripts"
RESOLUTION = ROOT / "tests" / "grader" / "resolution.md"
MISTAKE = "num_tokens // (batch_size * sequence_length)"  # of task 00.1; start.md shows it
FINISH = 3.28  # nats, the race's finish line
CUT = 5.0  # nats: a picture does not show what is above
FINAL = 2  # among the losses of a stored curve: the last validation
LATE = 0.7  # of the steps: from here on a picture shows the band
PICTURES = {
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "svg.hashsalt": "book",  # the same picture is the same file
}
READ = (  # by notebooks, beside their own cells
    "requirements.lock",
    "data/**/*.py",
    "data/*/*.csv",
    "grader/**/*.py",
    "grader/curves/*.json",
    "milestones/**/*.py",
    "milestones/*.toml",
)
LINKS = {  # from a page of the repository to its place in the book
    r"(?:\.\./)*milestones/(\w+)/README\.md": r"/chapters/\1.ipynb",
    r"(?:\.\./)*notebooks/(\w+)\.ipynb": r"/chapters/\1.ipynb",
    r"(?:\.\./)*milestones/(\w+)/train_gpt\.py": r"/scripts/\1.md",
    r"(?:\.\./)*exercises/(\w+)\.py": r"/scripts/\1.md#the-exercises",
    r"\.\./launch/README\.md": "/renting.md",
    r"\.\./history/README\.md": "/history.md",
    r"\.\./published/README\.md": "/published.md",
}
INCLUDED = "milestones/launch", "data/published", "data/history"  # their READMEs


def cache_folder() -> Path:
    """Where the notebooks' outputs are kept: a folder for each state of all that they read."""
    together = hashlib.sha256()
    for path in sorted(path for pattern in READ for path in ROOT.glob(pattern)):
        together.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return BUILD / "cache" / together.hexdigest()[:16]


def write() -> None:
    """Write all that Sphinx reads; what has not changed keeps its date, the rest goes."""
    here = {m.stem: m for m in milestones()}
    made = {
        CHAPTERS / "first_red.txt": first_red(),
        CHAPTERS / "resolution.svg": resolution_picture(),
    }
    for folder in INCLUDED:
        made[CHAPTERS / f"{Path(folder).name}.txt"] = included(folder)
    for path in NOTEBOOKS.glob("*.ipynb"):
        made[CHAPTERS / path.name] = chapter(path, here.get(path.stem))
    for milestone in here.values():
        made[SCRIPTS / f"{milestone.stem}.md"] = script(milestone)
        made[CHAPTERS / f"{milestone.stem}.svg"] = curve_picture(milestone.stem)
    for folder in CHAPTERS, SCRIPTS:
        folder.mkdir(exist_ok=True)
        for path in set(folder.iterdir()) - set(made):
            path.unlink()
    for path, text in made.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def linked(text: str) -> str:
    """With links to files of the repository leading to pages of the book."""
    for link, place in LINKS.items():
        text = re.sub(rf"\]\({link}\)", rf"]({place})", text)
    text = re.sub(r"(?<=\d) ±", "\N{NO-BREAK SPACE}±", text)
    return text.replace("± ", "±\N{NO-BREAK SPACE}")


def substitutions() -> dict:
    """What `{{ name }}` stands for on a page: blocks of README, and the figures in prose."""
    blocks = {name: linked(make()) for name, make in pages.README.items()}
    return blocks | {
        "record": {row["record"]: row for row in read_table("records")},
        "people": people(),
        "statuses": statuses(),
        "lower": ends_lower(),
        "finish": FINISH,
        "tolerance": judge.TOLERANCE,
        "seconds": judge.SECONDS,
        "flops": cost.ALLOWED,
        "compile_minutes": pages.COMPILE_SECONDS // 60,
    }


# ---------------------------------------------------------------------------------------- chapters


def chapter(path: Path, milestone: Milestone | None) -> str:
    """A notebook, with its milestone's figures as a last cell."""
    notebook = nbformat.read(path, 4)
    if milestone:
        cell = nbformat.v4.new_markdown_cell(figures(milestone), id="figures")
        notebook.cells.append(cell)
    return nbformat.writes(notebook) + "\n"


def figures(milestone: Milestone) -> str:
    made = {name: linked(make(milestone)) for name, make in pages.blocks_of(milestone).items()}
    shares = f"### What travels\n\n{made['shares']}\n\n" if "shares" in made else ""
    return f"""## The record, and yours

### What it changes

{made["delta"]}
The change itself, and the whole script, are [on a page of their own](/scripts/{milestone.stem}.md).

{shares}### What was published

{made["published"]}

![The published curve of milestone {milestone.number}]({milestone.stem}.svg)

{made["curve"]}

### Run it

{made["commands"]}

{made["cost"]}

### On a laptop

{made["measured"]}

### The exercises

{made["tasks"]}"""


def curve_picture(stem: str) -> str:
    """The published curve with the band of one run: all of it, and its end."""
    held = published_curve(stem)
    band = np.array([held.band(int(step)) for step in held.steps])
    low, high = held.val_loss - band, held.val_loss + band
    with plt.rc_context(PICTURES):
        figure, panels = plt.subplots(1, 2, figsize=(8, 3.2))
        for axes, start in zip(panels, (0, LATE * held.total_steps), strict=True):
            shown = held.steps >= start
            steps = held.steps[shown]
            axes.fill_between(steps, low[shown], high[shown], color="C0", alpha=0.25, lw=0)
            axes.plot(steps, held.val_loss[shown], color="C0")
            axes.axhline(FINISH, color="gray", lw=0.8, ls=":")
            axes.set_xlabel("step")
        panels[0].set_ylim(top=min(held.val_loss[0], CUT))
        panels[0].set_ylabel("validation loss (nats per token)")
        panels[0].set_title(f"Record {held.record}, and the finish line")
        panels[1].set_title("Its end, with the band of one run")
        return svg(figure)


def svg(figure: plt.Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()


def script(milestone: Milestone) -> str:
    """The page of a script: what changed, the exercises, then all of it."""
    stem = milestone.stem
    order = [m.stem for m in milestones()]
    lesson = ""
    if before := order[: order.index(stem)][-1:]:
        text = chain.diff(before[0][9:11], milestone.number)
        lesson = f"## What it changes\n\n`````diff\n{text}\n`````\n\n"
    return f"""# The script of milestone {milestone.number}

The chapter is [{milestone.title}](/chapters/{stem}.ipynb).

{lesson}## The exercises

`exercises/{stem}.py`, before you begin:

```{{literalinclude}} ../../grader/stubs/{stem}.py
:language: python
```

## The whole script

`milestones/{stem}/train_gpt.py`: the answers are in it.

```{{literalinclude}} ../../milestones/{stem}/train_gpt.py
:language: python
:linenos:
```
"""


# ------------------------------------------------------------------------------------ other pages


def first_red() -> str:
    """What the grader says to MISTAKE."""
    name = "milestone00_baseline.py"
    stub = (ROOT / "grader" / "stubs" / name).read_text()
    written = re.sub(r"raise NotImplementedError\(.*", f"return {MISTAKE}", stub, count=1)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(written)
        command = [sys.executable, "-m", "pytest", "grader/", "-k", "00.1", "--target", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 1:
        raise RuntimeError(f"the grader should be red, and is not:\n{done.stdout}{done.stderr}")
    start = done.stdout.index("WRONG VALUES")
    return done.stdout[start : done.stdout.index("\n=", start)] + "\n"


def included(folder: str) -> str:
    """The README of a folder, its links seen from book/: to a page of the book, or to the file."""

    def seen(found: re.Match) -> str:
        return f"]({os.path.relpath(ROOT / folder / found[1], BOOK)})"

    text = linked((ROOT / folder / "README.md").read_text())
    return re.sub(r"\]\((?!http|/|#)([^)]+)\)", seen, text)


def statuses() -> str:
    lines = [f"| `{word}` | {meaning} |" for word, meaning in verdict.STATUSES.items()]
    return "\n".join(["| word | meaning |", "| --- | --- |", *lines])


def people() -> str:
    """Who set the records of the course."""
    lines = ["| record | date | by | what |", "| --- | --- | --- | --- |"]
    for row in read_table("records"):
        lines.append(f"| {row['record']} | {row['date']} | {row['who']} | {row['what']} |")
    return "\n".join(lines)


def ends_lower() -> str:
    """How many mistakes end at a lower loss than right code, of those that train to the end."""
    lower = ended = 0
    for milestone in milestones():
        kept = marks.stored(milestone.stem)
        right = kept["curve"]
        for curve in kept["curves"].values():
            if len(curve) == len(right) and None not in curve:  # all losses are finite
                ended += 1
                lower += curve[FINAL] < right[FINAL] - judge.TOLERANCE
    return f"{lower} of {ended}"


def distances() -> tuple[list[float], list[float]]:
    """How far noise and mistakes move the exact curve, nats, from tests/grader/resolution.md."""
    noise, mistakes = RESOLUTION.read_text().split("\n## Mistakes")
    right = r"^\| \d\d [\w ]+ \| (?!a mistake's own).* \| (\S+) \|$"
    noise = re.findall(right, noise, re.MULTILINE)
    mistakes = re.findall(r"^\| .* \| `\w+` \| (\S+) \|", mistakes, re.MULTILINE)
    mistakes = [cell.replace("infinite", "inf") for cell in mistakes]
    return list(map(float, noise)), list(map(float, mistakes))


def resolution_picture() -> str:
    """The gap between noise and mistakes, with the tolerance in it."""
    noise, mistakes = distances()
    seen = [d for d in mistakes if judge.TOLERANCE < d < np.inf]
    bins = np.logspace(-17, 2, 77)
    with plt.rc_context(PICTURES):
        figure, axes = plt.subplots(figsize=(8, 2.8))
        axes.hist(np.clip(noise, bins[0], None), bins, color="C0")
        axes.hist(seen, bins, color="C1")
        axes.axvline(judge.TOLERANCE, color="gray", ls=":")
        top = axes.get_ylim()[1]
        for x, text, color in (1e-15, "right code", "C0"), (1e-1, "mistakes", "C1"):
            axes.text(x, 0.9 * top, f"  {text}", color=color)
        axes.text(judge.TOLERANCE, 0.9 * top, "tolerance ", color="gray", ha="right")
        axes.set_xscale("log")
        axes.set_xlabel("greatest difference to our curve (nats)")
        axes.set_ylabel("how many")
        axes.set_title(f"{len(noise)} times right code, {len(seen)} mistakes that show")
        return svg(figure)
