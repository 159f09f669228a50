"""Can the curve be the judge?  How far noise, other right code and mistakes move the exact curve.

    make resolution        writes tests/grader/resolution.md, about half an hour

Noise: the same mathematics on other CPU kernels (ATEN_CPU_CAPABILITY), with a random last digit
added to every matrix product, softmax and norm (a foreign BLAS), under another torch, and in code
written by another hand.  Distances are max |difference| over the 40 training losses and the three
validation losses of preset `exact`, in nats.  A curve that is not finite is infinitely far.

Mistakes: those of grader/mistakes, whose edits of the solution gave the stored marks, made again in
the script (twins.py) and recognised there by unit outputs and by curve, as the grader does it.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import tyro
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import tqdm

from grader.cost import with_flops
from grader.judge import (
    TOLERANCE,
    UNIT_TOLERANCE,
    known_curve,
    recognised,
    script_of,
    unit_calls,
    unit_outputs,
)
from grader.marks import curve_distance, stored
from grader.mistakes import edited
from grader.words import flat
from milestones.harness import replay
from milestones.harness.injection import ROOT
from milestones.table import milestones
from tests.grader.twins import TWINS

PAGE = Path(__file__).with_suffix(".md")
CHAOTIC = ("c applied to A X", "the matrix A computed once")  # run off: a last digit is a nat
STEMS = [milestone.stem for milestone in milestones()]
EVERY = 16  # one mistake in so many is measured in other places too
Outputs = list[tuple[str, object]]  # what unit calls return


def solution_of(stem: str) -> ModuleType:
    return importlib.import_module(f"solutions.{stem}")


def catalogue_of(stem: str) -> ModuleType:
    return importlib.import_module(f"grader.mistakes.{stem}")


def curve(
    script: ModuleType, learner: ModuleType | None = None, names: list[str] | None = None
) -> list[float]:
    """The 3 validation and 40 training losses of the exact run, in nats; nan where there is none.

    There is none after a loss that is not finite, and none at all if the run raised.
    """
    try:
        rows = replay(script, learner=learner, names=names)
    except Exception:
        rows = []
    found = {("val", r.step): r.val_loss for r in rows if r.step % 20 == 0}
    found |= {("train", r.step): r.train_loss for r in rows[:40]}
    wanted = [("val", step) for step in (0, 20, 40)] + [("train", step) for step in range(40)]
    return [found.get(which, float("nan")) for which in wanted]


def tells(mark: list[float], right: list[float]) -> bool:
    """Whether a curve departs from the right one before it ends: otherwise it marks nothing."""
    both = np.array(mark) - np.array(right)
    return bool((np.abs(both[np.isfinite(both)]) > UNIT_TOLERANCE).any())


def unit_distance(a: Outputs, b: Outputs) -> float:
    """Largest difference of two sets of unit outputs, each number in units of max(1, |a|).

    Another call, shape, name or exception is infinitely far.
    """
    worst = 0.0 if len(a) == len(b) else float("inf")
    for (call, ours), (found, theirs) in zip(a, b, strict=False):
        x, y = flat(ours), flat(theirs)
        words = isinstance(ours, str | list)
        if call != found or x.shape != y.shape or (words and ours != theirs):
            return float("inf")
        scale = np.where(np.isfinite(x), np.maximum(1, np.abs(x)), 1)
        worst = max(worst, curve_distance(x / scale, y / scale))
    return worst


class LastDigit(TorchDispatchMode):
    """Stand-in for a foreign BLAS: a random error of one unit in the last place, forward and back.

    It falls on the results of matrix products, attention, softmax and norms.
    """

    TOUCHED = ("mm", "softmax", "norm", "scaled_dot_product", "dot", "rsqrt", "mean")

    def __init__(self, seed: int):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def nudge(self, x):
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            return x
        digits = torch.randint(-1, 2, x.shape, generator=self.random).to(x.dtype)
        return x * (1 + digits * torch.finfo(x.dtype).eps)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.name().split("::")[-1].split(".")[0]
        if name.endswith("_") or not any(part in name for part in self.TOUCHED):
            return result
        return tuple(map(self.nudge, result)) if isinstance(result, tuple) else self.nudge(result)


def measure_mistakes(stem: str) -> list[dict]:
    """A row a mistake made in the script: how far it moves things, and what the grader calls it."""
    script, right = script_of(stem), stored(stem)["curve"]
    right_units = {task: unit_outputs(stem, task, None) for task in script.EXERCISES}
    rows = []
    for m in tqdm(catalogue_of(stem).MISTAKES, desc=f"mistakes in the script, {stem}"):
        wrong = edited(script, TWINS[stem][m.says])
        seen, units = curve(wrong), unit_outputs(stem, m.task, wrong)
        mark = [
            x if x is not None else float("nan") for x in stored(stem)["curves"].get(m.says, [])
        ]
        rows.append(
            {
                "says": m.says,
                "task": m.task,
                "curve": curve_distance(seen, right),
                "twin": curve_distance(seen, mark) if len(mark) == 43 else float("nan"),
                "units": unit_distance(right_units[m.task], units),
                "by_units": recognised(stem, m.task, units),
                "by_curve": known_curve(stem, seen) if tells(seen, right) else [],
            }
        )
    return rows


def flops(stem: str, task: str, learner: ModuleType | None) -> int:
    """Of all unit calls of one exercise."""
    return sum(count for _, _, count in with_flops(unit_calls(stem, task, learner)))


def measure_slow(stem: str) -> list[dict]:
    """A row for each right answer that is too slow: how far off, how many times our FLOPs."""
    return [
        {
            "says": e.says,
            "task": e.task,
            "curve": curve_distance(
                curve(script_of(stem), learner, [e.task]), stored(stem)["curve"]
            ),
            "flops": flops(stem, e.task, learner) / flops(stem, e.task, None),
        }
        for e in catalogue_of(stem).SLOW
        for learner in [edited(solution_of(stem), e.edits)]
    ]


def measure_curves() -> dict[tuple[str, str, str], list[float]]:
    """Curves by "<milestone>|<kind>|<who>": what ought to be equal, and some mistakes' own."""
    curves = {}
    for stem in STEMS:
        script, solution, catalogue = script_of(stem), solution_of(stem), catalogue_of(stem)
        curves[f"{stem}|script|the script"] = curve(script)
        curves[f"{stem}|solution|the solution"] = curve(script, solution)
        for e in tqdm(catalogue.EQUIVALENTS, desc=f"equivalents, {stem}"):
            learner = edited(solution, e.edits)
            curves[f"{stem}|equivalent|{e.says}"] = curve(script, learner, [e.task])
        tame = [m.says for m in catalogue.MISTAKES if not m.says.startswith(CHAOTIC)]
        for says in tqdm(tame[::EVERY], desc=f"mistakes, in the script, {stem}"):
            curves[f"{stem}|mistake|{says}"] = curve(edited(script, TWINS[stem][says]))
    return curves


def measure_elsewhere(python: str, capability: str | None = None) -> tuple[str, dict]:
    """measure_curves() by another interpreter or with other CPU kernels: its torch, the curves."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    if capability:
        environment["ATEN_CPU_CAPABILITY"] = capability
    command = [python, "-m", "tests.grader.resolution", "--curves-only"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout)
    assert not capability or found["capability"].lower() == capability, found["capability"]
    return found["torch"], found["curves"]


def measure_last_digits(stem: str, seeds: int = 5) -> list[list[float]]:
    curves = []
    for seed in tqdm(range(seeds), desc=f"last digits, {stem}"):
        with LastDigit(seed):
            curves.append(curve(script_of(stem)))
    return curves


OWN = "a mistake's own curve"


def worst_at(place: str, there: dict, here: dict, right: dict) -> list[tuple[str, str, float]]:
    """Noise rows of another place: the worst of each kind of curve."""
    kinds = {
        "script": "the script",
        "solution": "the solution",
        "equivalent": "an equivalent",
        "mistake": OWN,
    }
    rows = []
    for stem in STEMS:
        for kind, words in kinds.items():
            keys = [key for key in here if key.startswith(f"{stem}|{kind}|")]
            expected = here if kind == "mistake" else dict.fromkeys(keys, right[stem])
            worst = max(curve_distance(there[key], expected[key]) for key in keys)
            of = f", worst of {len(keys)}" if len(keys) > 1 else ""
            rows.append((stem, f"{words}, {place}{of}", worst))
    return rows


def measure_noise(other_pythons: tuple[str, ...]) -> list[tuple[str, str, float]]:
    """(milestone, source, distance) of everything that ought not to move a curve."""
    here = measure_curves()
    right = {stem: here[f"{stem}|script|the script"] for stem in STEMS}
    rows = []
    for key, seen in here.items():
        stem, kind, who = key.split("|", 2)
        if kind in ("solution", "equivalent"):
            rows.append((stem, who, curve_distance(seen, right[stem])))
    for capability in ("default", "avx2"):
        _, there = measure_elsewhere(sys.executable, capability)
        rows += worst_at(f"kernels `{capability}`", there, here, right)
    for python in other_pythons:
        version, there = measure_elsewhere(python)
        rows += worst_at(f"torch {version}", there, here, right)
    for stem in STEMS:
        worst = max(curve_distance(seen, right[stem]) for seen in measure_last_digits(stem))
        rows.append((stem, "last digits at random, worst of 5", worst))
    return rows


def number(x: float) -> str:
    return "infinite" if np.isinf(x) else "" if np.isnan(x) else f"{x:.1e}"


def verdict(row: dict, found: list[str]) -> str:
    if found == [row["says"]]:
        return "yes"
    return "no" if not found else "as " + " / ".join(found)


def summary(noise: list[tuple[str, str, float]], mistakes: list[dict]) -> str:
    """The first lines of the page."""
    worst = max(d for _, source, d in noise if not source.startswith(OWN))
    own, count = max(d for _, source, d in noise if source.startswith(OWN)), len(mistakes)
    by_curve = [r["curve"] for r in mistakes if r["curve"] > TOLERANCE]
    by_units = [
        r["units"] for r in mistakes if r["curve"] <= TOLERANCE and r["units"] > UNIT_TOLERANCE
    ]
    rejected, weakest = len(by_curve) + len(by_units), min(by_curve)
    margin = f"{TOLERANCE / worst:.0f} times smaller"
    named = [r for r in mistakes if [r["says"]] in (r["by_units"], r["by_curve"])]
    by_units_alone = [r for r in mistakes if [r["says"]] == r["by_units"]]
    wrong = [r for r in mistakes if misnamed(r)]
    return f"""- tolerance {TOLERANCE:.0e}; worst noise **{worst:.1e}**, {margin}
- mistakes rejected: **{rejected} of {count}**
- by the curve: {len(by_curve)}, the weakest moves it by **{weakest:.1e}**
- by unit outputs alone: {len(by_units)}, the weakest moves them by {min(by_units, default=0):.1e}
- recognised in the script by its mark in the solution: **{len(named)} of {count}**, of them \
{len(by_units_alone)} by their unit outputs, which are asked first
- taken for another mistake: **{len(wrong)}**
- a mistake's curve, elsewhere: off its mark by {own:.1e} at worst; a mistake that makes training \
unstable is another run on other kernels, and its unit outputs must name it"""


def misnamed(row: dict) -> bool:
    """Whether unit outputs or curve name one mistake, and that is another."""
    found = [row["by_units"], row["by_curve"]]
    return any(len(names) == 1 and names != [row["says"]] for names in found)


def titled(stem: str) -> str:
    return stem.removeprefix("milestone").replace("_", " ")  # 00 baseline


def table(stem: str, mistakes: list[dict]) -> str:
    """The mistakes of one milestone."""
    rows = [
        f"| {r['says']} | `{r['task']}` | {number(r['curve'])} | {number(r['twin'])} "
        f"| {number(r['units'])} | {verdict(r, r['by_units'])} | {verdict(r, r['by_curve'])} |"
        for r in mistakes
    ]
    return f"""### {titled(stem)}

| mistake | in | curve | twin | unit outputs | named by units | named by curve |
| --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}
"""


def page(noise: list[tuple], mistakes: dict[str, list[dict]], slow: list[dict]) -> str:
    """resolution.md."""
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    capability = torch.backends.cpu.get_cpu_capability()
    slow_rows = [
        f"| {r['says']} | `{r['task']}` | {number(r['curve'])} | {r['flops']:.1f} |" for r in slow
    ]
    noise_rows = [f"| {titled(stem)} | {source} | {number(d)} |" for stem, source, d in noise]
    return f"""# What moves the exact curve, and how far

Written by `make resolution`; `resolution.py` says what is measured, and how.
{machine}, torch {torch.__version__}, native kernels {capability}; distances in nats.

{summary(noise, [row for rows in mistakes.values() for row in rows])}

## Noise: what must be accepted

| milestone | what differs from the script on native kernels | distance |
| --- | --- | --- |
{chr(10).join(noise_rows)}

## Right, but too slow

Neither mistakes nor equivalents: over 1.5 times our FLOPs in some unit call, over 1.5 times our
collective calls or their bytes, or matrix products in another precision than was asked for.

| what | in | curve | FLOPs of all unit calls, times ours |
| --- | --- | --- | --- |
{chr(10).join(slow_rows)}

## Mistakes: what must be rejected, and named

Made in the script; recognised by the mark that the same mistake leaves in the solution: by unit
outputs, by curve, or by both. `twin` is the distance between those two curves. A curve that ends
before it departs from the right one is no mark.

{chr(10).join(table(stem, rows) for stem, rows in mistakes.items())}"""


def main(curves_only: bool = False, other_pythons: tuple[str, ...] = ()) -> None:
    """Measure, and write resolution.md.

    Args:
        curves_only: print this process's curves as JSON and stop.
        other_pythons: interpreters with another torch, to measure with as well.
    """
    if curves_only:
        capability = torch.backends.cpu.get_cpu_capability()
        found = {"torch": torch.__version__, "capability": capability, "curves": measure_curves()}
        print(json.dumps(found))
        return
    mistakes = {stem: measure_mistakes(stem) for stem in STEMS}
    slow = [row for stem in STEMS for row in measure_slow(stem)]
    PAGE.write_text(page(measure_noise(other_pythons), mistakes, slow))
    print(PAGE.read_text())


if __name__ == "__main__":
    tyro.cli(main)
