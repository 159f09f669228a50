"""Judge one task: load it, call it, run the curve with it, compare, and say what was found.

The order is that of the statuses in `verdict.py`.  A task runs in a child process of its own, so
that nothing a learner's code does can end the grader.
"""

import importlib
import inspect
import json
import multiprocessing
import os
import re
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from grader.marks import Mark, curve_distance, mark_of, numbers, stored
from grader.verdict import PASSED, Failed, Verdict
from milestones.harness import UsageError, replay
from milestones.harness.injection import ROOT, injected, load_implementation
from milestones.table import find_milestone

TOLERANCE = 1e-5  # nats, on every loss of the curve; tests/grader/resolution.md says why
UNIT_TOLERANCE = 1e-6  # on every number of a unit output, relative to max(1, |expected|)
SECONDS = 30  # after which a task hangs
SHOWN = (0, 1, 2, 3, 5, 10, 20, 39)  # steps of a curve in a message


def script_of(stem: str) -> ModuleType:
    return importlib.import_module(f"milestones.{stem}.train_gpt")


def graded_file(stem: str, target: str) -> Path:
    folder = Path(target) if Path(target).is_dir() else ROOT / target
    return folder.resolve() / f"{stem}.py"


# ------------------------------------------------------------------------------------- the layers


def load(stem: str, target: str, name: str) -> ModuleType:
    """The learner's module, if it holds a `name` of its own with the right signature."""
    script, path = script_of(stem), graded_file(stem, target)
    try:
        text = path.read_text()
        compile(text, str(path), "exec")
        learner = load_implementation(target, script)
    except OSError:
        raise Failed("CANNOT LOAD", f"{shown(path)}: there is no such file") from None
    except SyntaxError as error:
        line = (error.text or "").rstrip("\n")
        caret = " " * max((error.offset or 1) - 1, 0) + f"^ {error.msg}"
        raise Failed("CANNOT LOAD", f"{shown(path)}:{error.lineno}", line, caret) from None
    except UsageError as error:
        raise Failed("CANNOT LOAD", str(error).replace(f"{ROOT}/", "")) from None
    ours, theirs = getattr(script, name), getattr(learner, name)
    if not callable(theirs):
        raise Failed("CANNOT LOAD", f"{name} is {type(theirs).__name__}, not callable")
    for item in getattr(theirs, "__mro__", (theirs,)):  # a class, and what it inherits from
        where = getattr(item, "__module__", None) or ""
        if re.match(r"milestones\.milestone|solutions(\.|$)", where):
            raise Failed("BORROWED", f"{name} is taken from {where}: write it in {shown(path)}")
    check_signature(name, ours, theirs)
    return learner


def check_signature(name: str, ours, theirs) -> None:
    wanted, found = inspect.signature(ours), inspect.signature(theirs)
    if list(wanted.parameters) != list(found.parameters):
        raise Failed(
            "SIGNATURE", f"expected {name}{plain(wanted)}", f"got      {name}{plain(found)}"
        )


def plain(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"


def unit_calls(stem: str, name: str, learner: ModuleType | None) -> Iterator[tuple[str, object]]:
    """(call, output) pairs of one exercise; of the script's own if there is no learner."""
    script, units = script_of(stem), importlib.import_module(f"grader.units.{stem}")
    with injected(script, learner, [name]):
        yield from getattr(units, name)(getattr(script, name), script)


def unit_outputs(stem: str, name: str, learner: ModuleType | None) -> list[tuple[str, object]]:
    return list(unit_calls(stem, name, learner))


def check_units(stem: str, name: str, learner: ModuleType) -> None:
    """T1: every unit call returns what the script's own implementation returns."""
    expected, got, wrong = unit_outputs(stem, name, None), [], []
    try:
        for output in unit_calls(stem, name, learner):
            got.append(output)
    except Exception as error:
        error.add_note(f"called     {expected[min(len(got), len(expected) - 1)][0]}")
        raise
    for (call, ours), (found, theirs) in zip(expected, got, strict=False):
        if call != found:  # another number of outputs, which a call before this one counted
            break
        check_shape(call, ours, theirs)
        if not agree(ours, theirs):
            wrong.append((call, ours, theirs))
    if not wrong:
        assert len(got) == len(expected), f"{name}: the unit calls ended early"
        return
    changed = [each for each in wrong if each[0].startswith("the argument")]
    call, ours, theirs = (changed or wrong)[0]
    lines = difference(call, ours, theirs)
    if not changed:
        lines += [
            f"also       {c}: expected {printed(a)}, got {printed(b)}" for c, a, b in others(wrong)
        ]
        lines.append(f"{len(wrong)} of {len(expected)} values differ")
        endless = [call for call, _, theirs in wrong[1:] if not np.isfinite(flat(theirs)).all()]
        lines += [f"not a finite number any more in: {call}" for call in endless[:1]]
        lines += recognised(stem, name, mark_of(got))
    raise Failed("CHANGED INPUT" if changed else "WRONG VALUES", *lines)


def others(wrong: list[tuple]) -> list[tuple]:
    """The middle and the last of several wrong numbers: one alone seldom tells the mistake."""
    scalars = [
        each for each in wrong[1:] if flat(each[1]).size == 1 and not isinstance(each[1], str)
    ]
    return [scalars[len(scalars) // 2], scalars[-1]] if len(scalars) > 2 else scalars


def agree(ours, theirs) -> bool:
    a, b = flat(ours), flat(theirs)
    if a.shape != b.shape:
        return False
    return bool((np.abs(a - b) <= UNIT_TOLERANCE * np.maximum(1, np.abs(a))).all())  # nan: False


def check_shape(call: str, ours, theirs) -> None:
    wanted, found = describe(ours), describe(theirs)
    if wanted != found:
        lines = [f"called     {call}", f"expected   {wanted}", f"got        {found}"]
        tensors = isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor)
        if tensors and ours.shape == theirs.shape:
            lines.append("The shape is right, the dtype is not.")
        elif tensors and ours.dim() == 2 and ours.T.shape == theirs.shape:
            lines.append("That is the transpose: turn it back before returning.")
        raise Failed("SHAPE", *lines)


def curve_of(stem: str, learner: ModuleType | None, names: list[str] | None) -> list[float]:
    """Validation losses at 0, 20, 40, then the 40 training losses; ends at the first nan."""
    rows = replay(script_of(stem), learner=learner, names=names)
    return [row.val_loss for row in rows if row.step % 20 == 0] + [r.train_loss for r in rows[:40]]


def check_curve(stem: str, learner: ModuleType, names: list[str] | None) -> str:
    """T2: the milestone's own training with this code gives the stored curve."""
    expected = stored(stem)["curve"]
    got = curve_of(stem, learner, names)
    gap = curve_distance(got, expected)
    if gap <= TOLERANCE:
        return f"curve within {gap:.0e} of ours"
    ours, theirs = expected[3:], got[-40:] if len(got) == 43 else got[1:]
    leaves = next(
        (
            i
            for i, (a, b) in enumerate(zip(ours, theirs, strict=False))
            if not abs(a - b) <= TOLERANCE
        ),
        len(theirs) - 1,
    )
    steps = sorted({*(s for s in SHOWN if s < len(theirs)), leaves})
    lines = [
        f"The loss follows ours up to step {leaves}, where it leaves.",
        "step      " + "".join(f"{step:>10}" for step in steps),
        "expected  " + "".join(f"{ours[step]:>10.5f}" for step in steps),
        "yours     " + "".join(f"{theirs[step]:>10.5f}" for step in steps),
    ]
    if leaves:
        lines.append(f"An update is wrong at step {leaves - 1}: it shows in the next loss.")
    if not np.isfinite(theirs[-1]):
        lines.append("It then stops being a number.")
    known = [says for says, curve in stored(stem)["curves"].items() if near(got, curve)]
    lines += [f"Your curve is ours with this mistake: {says}." for says in known[:1]]
    raise Failed("CURVE", *lines)


def near(a: list[float], b: list[float]) -> bool:
    return curve_distance(a, [float("nan") if x is None else x for x in b]) <= 1e-6


# -------------------------------------------------------------------------------------- the words


def recognised(stem: str, name: str, seen: Mark) -> list[str]:
    """The sentence of the one mistake with this mark, if there is one."""
    marks = stored(stem)["marks"].get(name, {})
    known = [
        says
        for says, (structure, size, values) in marks.items()
        if seen.is_near(Mark(structure, size, tuple(values)))
    ]
    return [f"Your output equals ours with this mistake: {known[0]}."] if len(known) == 1 else []


def difference(call: str, ours, theirs) -> list[str]:
    """Where two outputs differ, and in which simple way, if in one."""
    lines = [f"called     {call}"]
    a, b = flat(ours), flat(theirs)
    if isinstance(ours, int | float | str | list) or a.size == 1:
        lines += [f"expected   {printed(ours)}", f"got        {printed(theirs)}"]
        ratio = b[0] / a[0] if a.size == b.size == 1 and a[0] else 1.0
        if any(
            abs(r - round(r)) < 1e-6 and round(r) not in (0, 1) for r in (ratio, 1 / (ratio or 1))
        ):
            lines.append(f"Yours is {ratio:.6g} times the expected value.")
        return lines
    at = int(np.nanargmax(np.where(np.isnan(b), np.inf, np.abs(a - b))))
    index = (
        np.unravel_index(at, first_array(ours).shape) if first_array(ours).size == a.size else at
    )
    where = f"[{', '.join(map(str, np.atleast_1d(index)))}]"
    lines.append(f"expected   {a[at]:.6g} at {where}")
    lines.append(f"got        {b[at]:.6g}: the largest difference of {a.size} numbers")
    if not np.isfinite(b).all():
        return [*lines, f"{(~np.isfinite(b)).sum()} of them are not finite"]
    large = np.abs(a) > 1e-3 * np.abs(a).max()
    ratios = b[large] / a[large]
    if ratios.size and np.ptp(ratios) < 1e-6 * max(1, abs(ratios[0])):
        lines.append(f"Yours is {ratios[0]:.6g} times the expected value, everywhere.")
    square = isinstance(ours, torch.Tensor) and ours.dim() == 2 and ours.size(0) == ours.size(1)
    if square and np.allclose(flat(ours.T), b):
        lines.append("Yours is the transpose of what is expected.")
    return lines


def flat(value) -> np.ndarray:
    arrays = [array.ravel() for array in numbers(value)]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def first_array(value) -> np.ndarray:
    return next(numbers(value))


def describe(value) -> str:
    """Kind, shape and dtype, as far as they must agree."""
    if isinstance(value, torch.Tensor):
        return f"tensor {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple):
        return f"({'; '.join(map(describe, value))})"
    if isinstance(value, bool | int | float | np.number):
        return "a number"
    return type(value).__name__


def printed(value) -> str:
    if isinstance(value, torch.Tensor):
        value = value.item()
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def shown(path: Path) -> str:
    """A path as the learner would type it."""
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return str(path)


def crash(error: BaseException, path: Path) -> Verdict:
    """The learner's own frames of a traceback, and the error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = [f"{shown(path)}:{frame.lineno}   {frame.line}" for frame in frames]
    if not frames:
        where = ["What came back could not be used: is it what the docstring says?"]
    return Verdict(
        "CRASH", (*getattr(error, "__notes__", ()), *where, f"{type(error).__name__}: {error}")
    )


# --------------------------------------------------------------------------------------- the task


def judge_here(stem: str, name: str, target: str) -> Verdict:
    """Judge one task in this process; `name` "" stands for all of them together."""
    path = graded_file(stem, target)
    names = [name] if name else list(script_of(stem).EXERCISES)
    try:
        for each in names:
            learner = load(stem, target, each)
        if name:
            check_units(stem, name, learner)
        return Verdict(PASSED, (check_curve(stem, learner, [name] if name else None),))
    except Failed as failed:
        return failed.verdict
    except NotImplementedError as todo:
        return Verdict("TODO", (str(todo) or f"{name}: not started",))
    except Exception as error:
        return crash(error, path)


def child(stem: str, name: str, target: str, pipe) -> None:
    torch.set_num_threads(1)
    try:
        verdict = judge_here(stem, name, target)
    except SystemExit:
        verdict = Verdict("ENDED", (f"{name} called sys.exit: return a value instead",))
    pipe.send(json.dumps([verdict.status, verdict.lines]))
    pipe.close()


@cache
def warm_up() -> None:
    """What torch imports at its first optimizer step, once for all children: a second each."""
    p = torch.nn.Parameter(torch.zeros(1))
    p.grad = torch.zeros(1)
    torch.optim.AdamW([p]).step()


def judge(stem: str, name: str, target: str = "exercises", seconds: float = SECONDS) -> Verdict:
    """Judge one task in a child process.

    stem: the milestone's; name: one of its EXERCISES, or "" for all together; target: the folder.
    """
    find_milestone(stem)
    warm_up()
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(stem, name, target, send), daemon=True)
    process.start()
    send.close()
    try:
        if not receive.poll(seconds):
            return Verdict("HANG", (f"no answer after {seconds:.0f} s: is there an endless loop?",))
        status, lines = json.loads(receive.recv())
        return Verdict(status, tuple(lines))
    except EOFError:
        process.join()
        return Verdict(
            "ENDED", (f"the process ended (exit code {process.exitcode}) before a result",)
        )
    finally:
        process.kill()
        process.join()
        receive.close()


assert os.name == "posix", "the grader forks: run it on Linux, macOS or WSL"
