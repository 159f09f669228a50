"""Can the curve be the judge?  How far noise, other right code and mistakes move the exact curve.

    make resolution        writes tests/grader/resolution.md, about five minutes

Noise: the same mathematics on other CPU kernels (ATEN_CPU_CAPABILITY), with a random last digit
added to every matrix product, softmax and norm (a foreign BLAS), under another torch, and in code
written by another hand.  Distances are max |difference| over the 40 training losses and the three
validation losses of preset `exact`, in nats.  A curve that is not finite is infinitely far.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
import tyro
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import tqdm

from milestones.harness import replay
from milestones.harness.injection import ROOT, injected
from tests.grader.mistakes import MILESTONE01, MILESTONE01_EQUIVALENTS, edited

TOLERANCE = 1e-5  # nats; the grader's
RADIUS = 1e-6  # two curves or unit outputs nearer than this are the same mistake
PAGE = Path(__file__).with_suffix(".md")
CHAOTIC = "c applied to A X"  # its weights run off to 1e19, where a last digit is a nat
SCRIPTS = ["milestone00_baseline", "milestone01_muon"]


def script_of(stem: str) -> ModuleType:
    return importlib.import_module(f"milestones.{stem}.train_gpt")


def solution_of(stem: str) -> ModuleType:
    return importlib.import_module(f"solutions.{stem}")


def curve(
    script: ModuleType, learner: ModuleType | None = None, names: list[str] | None = None
) -> list[float]:
    """All losses of the exact run in order, in nats; ends at the first that is not finite."""
    rows = replay(script, learner=learner, names=names)
    losses = [row.val_loss for row in rows if row.step % 20 == 0]
    return losses + [row.train_loss for row in rows[:40]]


def distance(a: list[float], b: list[float]) -> float:
    """max |a - b|, nats; infinite if one stops being finite, or ends, before the other."""
    a, b = np.array(a), np.array(b)
    if a.shape != b.shape or (np.isfinite(a) != np.isfinite(b)).any():
        return float("inf")
    return float(np.abs(a - b)[np.isfinite(a)].max())


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


def unit_outputs(script: ModuleType, learner: ModuleType, task: str) -> np.ndarray:
    """What one exercise of milestone 01 returns for fixed float64 inputs, as one vector.

    Inputs can tell things apart: square, wide, tall and three times as tall; several steps.
    """
    random = np.random.RandomState(0)
    shapes = [(8, 8), (6, 10), (24, 8), (32, 8)]
    matrices = [torch.from_numpy(random.standard_normal(shape)) for shape in shapes]
    args = SimpleNamespace(num_iterations=20, warmup_iters=4, warmdown_iters=6)
    with injected(script, learner, [task]):
        function = getattr(script, task)
        if task == "get_lr":
            found = [torch.tensor([function(t, args) for t in range(20)])]
        elif task == "zeropower_via_newtonschulz":
            # one step as well: after five, some mistakes have left the finite numbers
            found = [function(m, steps, 1e-7, torch.float64) for steps in (1, 5) for m in matrices]
        elif task == "split_qkv":
            found = [piece for m in matrices for piece in function(m)]
        elif task == "Muon":
            found = [torch.nn.Parameter(m.clone()) for m in matrices]
            muon = function(found, 0.1, 0.95, True, 5, 1e-7, torch.float64)
            for _ in range(3):
                for p in found:
                    p.grad = torch.from_numpy(random.standard_normal(p.shape))
                muon.step()
        else:
            model = script.GPT(script.PRESETS["exact"])
            names = {id(p): i for i, p in enumerate(model.parameters())}
            groups = function(model)
            found = [torch.tensor([names[id(p)] for p in g]).sort().values for g in groups]
    return np.concatenate([x.detach().double().ravel().numpy() for x in found])


def unit_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The same for unit outputs, which may be huge: each in units of max(1, |a|)."""
    if a.shape != b.shape:
        return float("inf")
    scale = np.maximum(1, np.abs(a))
    return distance(a / scale, b / scale)


def recognise(seen, marks: dict, measure) -> list[str]:
    """The mistakes whose mark is within RADIUS of what was seen."""
    return [name for name, mark in marks.items() if measure(seen, mark) <= RADIUS]


def measure_mistakes() -> list[dict]:
    """A row a mistake: how far it moves curve and unit outputs, and who it is taken for."""
    script, solution = script_of("milestone01_muon"), solution_of("milestone01_muon")
    right = curve(script)
    right_units = {task: unit_outputs(script, solution, task) for task in script.EXERCISES}
    rows, curve_marks, unit_marks = [], {}, {}
    for m in tqdm(MILESTONE01, desc="marks, from the solution"):
        learner = edited(solution, m.solution)
        curve_marks[m.name] = curve(script, learner, [m.task])
        unit_marks.setdefault(m.task, {})[m.name] = unit_outputs(script, learner, m.task)
    for m in tqdm(MILESTONE01, desc="the same mistakes in the script"):
        wrong = edited(script, m.script)
        seen = curve(wrong)
        units = unit_outputs(script, wrong, m.task)
        rows.append(
            {
                "name": m.name,
                "task": m.task,
                "curve": distance(seen, right),
                "twin": distance(seen, curve_marks[m.name]),
                "units": unit_distance(units, right_units[m.task]),
                "by_units": recognise(units, unit_marks[m.task], unit_distance),
                "by_curve": recognise(seen, curve_marks, distance),
            }
        )
    return rows


def measure_curves() -> dict[str, list[float]]:
    """Curves by "<milestone>: <who>": what ought to be equal, and each mistake in the script."""
    curves = {}
    for stem in SCRIPTS:
        script, solution = script_of(stem), solution_of(stem)
        curves[f"{stem}: the script"] = curve(script)
        curves[f"{stem}: the solution"] = curve(script, solution)
    for m in tqdm(MILESTONE01, desc="mistakes, in the script"):
        curves[f"mistake: {m.name}"] = curve(edited(script_of("milestone01_muon"), m.script))
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


def measure_equivalents() -> dict[str, list[float]]:
    script, solution = script_of("milestone01_muon"), solution_of("milestone01_muon")
    curves = {}
    for name, task, edits in tqdm(MILESTONE01_EQUIVALENTS, desc="equivalents"):
        curves[name] = curve(script, edited(solution, edits), [task])
    return curves


def measure_last_digits(stem: str, seeds: int = 5) -> list[list[float]]:
    curves = []
    for seed in tqdm(range(seeds), desc=f"last digits, {stem}"):
        with LastDigit(seed):
            curves.append(curve(script_of(stem)))
    return curves


def measure_noise(other_pythons: tuple[str, ...]) -> list[tuple[str, str, float]]:
    """(milestone, source, distance) of everything that ought not to move a curve."""
    here = measure_curves()
    right = {stem: here[f"{stem}: the script"] for stem in SCRIPTS}
    rows = [(s, "the solution", distance(here[f"{s}: the solution"], right[s])) for s in SCRIPTS]
    for name, seen in measure_equivalents().items():
        rows.append(("milestone01_muon", name, distance(seen, right["milestone01_muon"])))
    places = [(f"kernels `{c}`", measure_elsewhere(sys.executable, c)) for c in ("default", "avx2")]
    for python in other_pythons:
        version, curves = measure_elsewhere(python)
        places.append((f"torch {version}", (version, curves)))
    for place, (_, there) in places:
        for stem in SCRIPTS:
            for who in ("the script", "the solution"):
                rows.append(
                    (stem, f"{who}, {place}", distance(there[f"{stem}: {who}"], right[stem]))
                )
        tame = [k for k in here if k.startswith("mistake") and CHAOTIC not in k]
        worst = max(distance(there[k], here[k]) for k in tame)
        rows.append(
            ("milestone01_muon", f"a mistake's own curve, {place}, worst of {len(tame)}", worst)
        )
    for stem in SCRIPTS:
        worst = max(distance(seen, right[stem]) for seen in measure_last_digits(stem))
        rows.append((stem, "last digits at random, worst of 5", worst))
    return rows


def number(x: float) -> str:
    return "not finite" if np.isinf(x) else f"{x:.1e}"


def verdict(row: dict, found: list[str]) -> str:
    if found == [row["name"]]:
        return "yes"
    return "no" if not found else "as " + "; ".join(found)


def page(noise: list[tuple[str, str, float]], mistakes: list[dict]) -> str:
    """resolution.md."""
    worst = max(d for _, _, d in noise)
    weakest = min(mistakes, key=lambda row: row["curve"])
    known = [r for r in mistakes if "yes" in (verdict(r, r["by_units"]), verdict(r, r["by_curve"]))]
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    capability = torch.backends.cpu.get_cpu_capability()
    noise_rows = [f"| {stem} | {source} | {number(d)} |" for stem, source, d in noise]
    mistake_rows = [
        f"| {r['name']} | `{r['task']}` | {number(r['curve'])} | {number(r['twin'])} "
        f"| {number(r['units'])} | {verdict(r, r['by_units'])} | {verdict(r, r['by_curve'])} |"
        for r in mistakes
    ]
    return f"""# What moves the exact curve, and how far

Written by `make resolution`; `resolution.py` says what is measured, and how.
{machine}, torch {torch.__version__}, native kernels {capability}; distances in nats.

- tolerance {TOLERANCE:.0e}; worst noise **{worst:.1e}**, {TOLERANCE / worst:.0f} times smaller
- weakest mistake **{weakest["curve"]:.1e}**, {weakest["curve"] / TOLERANCE:.0f} times the tolerance
- recognised in the script by its mark in the solution: **{len(known)} of {len(mistakes)}**

## Noise: what must be accepted

| milestone | what differs from the script on native kernels | distance |
| --- | --- | --- |
{chr(10).join(noise_rows)}

## Mistakes of milestone 01: what must be rejected, and named

Made in the script; recognised by the mark that the same mistake leaves in the solution. `twin` is
the distance between those two curves.

| mistake | in | curve | twin | unit outputs | named by units | named by curve |
| --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(mistake_rows)}
"""


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
    PAGE.write_text(page(measure_noise(other_pythons), measure_mistakes()))
    print(PAGE.read_text())


if __name__ == "__main__":
    tyro.cli(main)
