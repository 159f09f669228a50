"""Judge one task: load it, call it, run the curve with it, compare, and say what was found.

    T0  properties      T1  unit values       what a unit call returns, float64
    T2  the loss curve  T3  invariants        what the numbers do not show
    T4  cost, counted   T5  two ranks         T6  a GPU in bfloat16

A task runs in a child process of its own, so that nothing a learner's code does can end the grader.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from grader.cost import too_much, with_flops
from grader.crash import IN_PLACE, crash, error_text, frames, is_todo
from grader.gpu import check_low_precision
from grader.marks import RADIUS, Mark, curve_distance, mark_of, stored
from grader.observe import observed
from grader.processes import in_child
from grader.ranks import Seat, compare, run_rank, run_ranks
from grader.units import Beside
from grader.verdict import PASSED, Failed, Verdict
from grader.words import Wrong, also, describe, difference, flat, heading, in_common, shown
from milestones.harness import UsageError, replay
from milestones.harness.injection import ROOT, injected, load_implementation, stubs_among
from milestones.table import find_milestone

TOLERANCE = 1e-5  # nats, on every loss of the curve; tests/grader/resolution.md says why
UNIT_TOLERANCE = 1e-6  # on every number of a unit output, relative to max(1, |expected|)
RAISED = "raised"  # the call of an output that is the name of an exception
SECONDS = 30  # after which a task hangs
SHOWN = (0, 1, 2, 3, 5, 10, 20, 39)  # steps of a curve in a message
GPU = "gpu"  # stands for all tasks of a milestone in low precision, "" for all of them in float64


def script_of(stem: str) -> ModuleType:
    return importlib.import_module(f"milestones.{stem}.train_gpt")


def units_of(stem: str) -> ModuleType:
    return importlib.import_module(f"grader.units.{stem}")


def graded_file(stem: str, target: str) -> Path:
    folder = Path(target) if Path(target).is_dir() else ROOT / target
    return folder.resolve() / f"{stem}.py"


# ------------------------------------------------------------------------------------------- load


def source(path: Path) -> str:
    """A Python file's text, decoded as Python does it.  Raises OSError or UnicodeDecodeError."""
    data = path.read_bytes()
    try:
        return decode_source(data)
    except SyntaxError:  # it names no encoding that there is
        return data.decode()


def load(stem: str, target: str, name: str) -> ModuleType:
    """The learner's module, if it holds a `name` of its own with the right signature."""
    script, path = script_of(stem), graded_file(stem, target)
    try:
        compile(source(path), str(path), "exec")
        learner = load_implementation(target, script)
    except OSError:
        raise Failed("CANNOT LOAD", f"{shown(path)}: there is no such file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        advice = "this is not UTF-8: save the file in that encoding"
        raise Failed("CANNOT LOAD", f"{shown(path)}:{line}", advice) from None
    except SyntaxError as error:
        line = (error.text or "").rstrip("\n")
        caret = " " * max((error.offset or 1) - 1, 0) + f"^ {error.msg}"
        raise Failed("CANNOT LOAD", f"{shown(path)}:{error.lineno or 1}", line, caret) from None
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
    names = [n for n, p in found.parameters.items() if n in wanted.parameters or must_be_given(p)]
    if list(wanted.parameters) != names:
        raise Failed(
            "SIGNATURE", f"expected   {name}{plain(wanted)}", f"got        {name}{plain(found)}"
        )


def must_be_given(parameter: inspect.Parameter) -> bool:
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variable


def plain(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"


# ------------------------------------------------------------------------------------- unit calls


def unit_calls(stem: str, name: str, learner: ModuleType | None) -> Iterator[tuple[str, object]]:
    """(call, output) pairs of one exercise; of the script's own if there is no learner."""
    script = script_of(stem)
    with injected(script, learner, [name]):
        yield from getattr(units_of(stem), name)(getattr(script, name), script)


def unit_outputs(stem: str, name: str, learner: ModuleType | None) -> list[tuple[str, object]]:
    """The same as a list, up to an exception: that is the last output then, by its name."""
    outputs = []
    try:
        for output in unit_calls(stem, name, learner):
            outputs.append(output)
    except Exception as error:
        outputs.append((RAISED, error_text(error)))
    return outputs


def check_units(stem: str, name: str, learner: ModuleType) -> list[Failed]:
    """Raise Failed at a wrong output; return what is wrong beside the numbers, for later."""
    expected = list(with_flops(unit_calls(stem, name, None)))
    got, error = [], None
    try:
        for output in with_flops(unit_calls(stem, name, learner)):
            got.append(output)
    except Exception as raised:
        on_a_rank = raised.verdict.status if isinstance(raised, Failed) else ""
        if on_a_rank == "TODO" or is_todo(raised, Path(learner.__file__)):
            raise
        error = raised
        error.add_note(heading(expected[min(len(got), len(expected) - 1)][0]))
    outputs = [output[:2] for output in got] + ([(RAISED, error_text(error))] if error else [])
    known = [f"mistake    {says}" for says in recognised(stem, name, outputs)[:1]]
    wrong, right, before, slow, misshapen = [], [], [], [], None
    for (call, ours, flops), (found, theirs, more) in zip(expected, got, strict=False):
        misshapen = other_kind(call, ours, theirs)
        if call != found or misshapen:  # the calls that follow depend on this output
            break
        same = agree(ours, theirs)
        (right if same else wrong).append((call, ours, theirs))
        if same and not wrong and type(call) is str:
            before = [call]
        slow += [Failed("TOO SLOW", *lines)] if (lines := too_much(call, more, flops)) else []
    numbers = [each for each in wrong if not isinstance(each[0], Beside)]
    if numbers:
        path = Path(learner.__file__)
        told = error and (frames(error, path) or IN_PLACE.search(str(error)))
        then = crash(error, path).verdict.lines if told else ()
        then = [f"then       {line}" for line in then]
        count = f"{len(numbers)} of {len(wrong) + len(right)} checks differ"
        count += "." if len(wrong) + len(right) == len(expected) else "; the rest was not reached."
        raise wrong_values(numbers, before, known, (count, *then))
    if misshapen:
        status, *lines = misshapen
        raise Failed(status, *known, *lines)
    if isinstance(error, Failed):  # on one of several ranks
        raise Failed(error.verdict.status, *known, *error.__notes__, *error.verdict.lines)
    if error:
        raise crash(error, Path(learner.__file__), known)
    if wrong:
        label = wrong[0][0]
        raise_later = [*known, *difference(*wrong[0]), *also(wrong, []), label.says]
        return [Failed(label.status, *raise_later), *slow]
    assert len(got) == len(expected), f"{name}: the unit calls ended early"
    return slow


def wrong_values(wrong: list[Wrong], before: list[str], known: list[str], end: tuple) -> Failed:
    """The verdict on outputs that differ: a changed argument, a broken property, or just values.

    before: the call before the first of them; known: the mistake by name; end: what to say last.
    """
    changed = [each for each in wrong if each[0].startswith("the argument")]
    if changed:
        return Failed("CHANGED INPUT", *known, *difference(*changed[0]))
    status = getattr(wrong[0][0], "status", "WRONG VALUES")
    lines = difference(*wrong[0], related=not known)
    lines += [line for line in in_common(wrong) if line not in lines] + also(wrong, before)
    return Failed(status, *known, *lines, *end)


def agree(ours, theirs) -> bool:
    a, b = flat(ours), flat(theirs)
    if a.shape != b.shape:
        return False
    return bool((np.abs(a - b) <= UNIT_TOLERANCE * np.maximum(1, np.abs(a))).all())  # nan: False


def other_kind(call: str, ours, theirs) -> list[str] | None:
    """Status and lines if another shape, dtype or kind of thing came back."""
    wanted, found = describe(ours), describe(theirs)
    if wanted == found or (wanted, found) == ("a number", "an integer"):
        return None
    if found == "a number":
        found = f"{theirs!r}, a float"
    if isinstance(theirs, torch.Tensor) and not isinstance(ours, torch.Tensor):
        found += ": .item() makes it a number" if theirs.dim() == 0 else ""
    lines = [heading(call), f"expected   {wanted}", f"got        {found}"]
    if not isinstance(ours, torch.Tensor) or not isinstance(theirs, torch.Tensor):
        return ["TYPE", *lines]
    if ours.shape == theirs.shape:
        return ["TYPE", *lines, "The shape is right, the dtype is not."]
    if ours.dim() == 2 and ours.T.shape == theirs.shape:
        lines.append("That is the transpose: turn it back before returning.")
    return ["SHAPE", *lines]


def recognised(stem: str, name: str, outputs: list[tuple[str, object]]) -> list[str]:
    """The mistakes that leave these unit outputs; usually one, or none."""
    seen, marks = mark_of(outputs), stored(stem)["marks"].get(name, {})
    return [
        says
        for says, (structure, size, values) in marks.items()
        if seen.is_near(Mark(structure, size, tuple(values)))
    ]


# -------------------------------------------------------------------------------------- the curve


def curve_of(stem: str, learner: ModuleType | None, names: list[str] | None) -> list[float]:
    """Validation losses at 0, 20, 40, then the 40 training losses; ends at the first nan."""
    rows = replay(script_of(stem), learner=learner, names=names)
    return [row.val_loss for row in rows if row.step % 20 == 0] + [r.train_loss for r in rows[:40]]


def check_curve(stem: str, learner: ModuleType, names: list[str] | None) -> list[str]:
    """T2: the milestone's own training with this code gives the stored curve."""
    expected = stored(stem)["curve"]
    got = curve_of(stem, learner, names)
    gap = curve_distance(got, expected)
    if gap <= TOLERANCE:
        return [f"curve within {gap:.0e} of ours"]
    ours, theirs = expected[3:], got[-40:] if len(got) == 43 else got[1:]
    pairs = enumerate(zip(ours, theirs, strict=False))
    leaves = next((i for i, (a, b) in pairs if not abs(a - b) <= TOLERANCE), len(theirs) - 1)
    steps = sorted({*(s for s in SHOWN if s < len(theirs)), leaves})
    start = f"The loss follows ours up to step {leaves - 1}, and leaves it at step {leaves}."
    lines = [f"mistake    {says}" for says in known_curve(stem, got)[:1]]
    lines += [
        "All small calls were right; in training there are other sizes, and many steps.",
        start if leaves else "The loss differs from ours before the first update.",
        "step      " + "".join(f"{step:>10}" for step in steps),
        "expected  " + "".join(f"{ours[step]:>10.5f}" for step in steps),
        "yours     " + "".join(f"{theirs[step]:>10.5f}" for step in steps),
    ]
    lines += weights_that_differ(stem, learner, names, leaves)
    if not np.isfinite(theirs[-1]):
        lines.append("It then stops being a number.")
    raise Failed("CURVE", *lines)


def weights_that_differ(stem: str, learner: ModuleType, names, leaves: int) -> list[str]:
    """Where the weights part first, before the loss shows it."""
    runs = []
    for implementation in (None, learner):
        with observed(steps=leaves) as seen:
            replay(script_of(stem), learner=implementation, names=names if implementation else None)
        runs.append(seen)
    ours, theirs = runs
    for step, (a, b) in enumerate(zip(ours.weights, theirs.weights, strict=False)):
        gaps = {name: (a[name] - b[name]).abs().max().item() for name in a}
        apart = [name for name in gaps if not gaps[name] <= 1e-9]
        if apart:
            first = f"{apart[0]}, which {ours.optimizer_of(apart[0])} updates, by "
            first += f"{gaps[apart[0]]:.1e}"
            rest = f"{len(apart)} of {len(gaps)} tensors differ, first {first}"
            return [f"The weights leave ours at update {step}: {rest}."]
    return []


def known_curve(stem: str, got: list[float]) -> list[str]:
    """The mistakes that leave this curve."""
    curves = stored(stem)["curves"].items()
    nans = {says: [float("nan") if x is None else x for x in curve] for says, curve in curves}
    return [says for says, curve in nans.items() if curve_distance(got, curve) <= RADIUS]


# --------------------------------------------------------------------------------------- the task


@contextmanager
def in_words(stem: str, name: str, target: str) -> Iterator[None]:
    """Turn what the learner's code raises inside into a verdict."""
    path = graded_file(stem, target)
    try:
        yield
    except Failed:
        raise
    except Exception as error:
        if is_todo(error, path):
            raise Failed("TODO", str(error) or f"{name}: not started") from None
        raise crash(error, path) from None


def judge_here(stem: str, name: str, target: str) -> list[str]:
    """Judge one task in this process: what to say of a right one.  Raises Failed."""
    script = script_of(stem)
    alone = name in script.EXERCISES
    with in_words(stem, name, target):
        for each in [name] if alone else script.EXERCISES:
            learner = load(stem, target, each)
        if todo := [] if alone else stubs_among(script.EXERCISES, learner):
            raise Failed("TODO", f"not started: {', '.join(todo)}")
        if name == GPU:
            return check_low_precision(units_of(stem), script, learner)
        later = check_units(stem, name, learner) if alone else []
        lines = check_curve(stem, learner, [name] if alone else None)
        if later:
            raise later[0]
        return lines


def rank_here(seat: Seat, stem: str, name: str, target: str) -> dict:
    """The same task as one of two ranks."""
    script = script_of(stem)
    with in_words(stem, name, target):
        learner = load_implementation(target, script)
        return run_rank(seat, script, learner, [name] if name else None)


def judge_two_ranks(stem: str, name: str, target: str, seconds: float) -> list[str]:
    """T5, of a task that is right on one rank.  Raises Failed."""
    ranks, known = run_ranks(rank_here, stem, name, target, seconds=seconds), stored(stem)
    return compare(ranks, known["curve"], known["traffic"], TOLERANCE)


def judge(stem: str, name: str, target: str = "exercises", seconds: float = SECONDS) -> Verdict:
    """Judge one task in child processes.

    stem: the milestone's; name: one of its EXERCISES, "" for all of them together, "gpu" for all in
    low precision on a GPU; target: the folder.
    """
    find_milestone(stem)
    try:
        lines = in_child(seconds, judge_here, stem, name, target) if name else []
        if not name or name in units_of(stem).ON_TWO_RANKS:
            lines += judge_two_ranks(stem, name, target, seconds)
        return Verdict(PASSED, tuple(lines))
    except Failed as failed:
        return failed.verdict if name else plainer(failed.verdict, stem, target, seconds)


def plainer(verdict: Verdict, stem: str, target: str, seconds: float) -> Verdict:
    """Of all tasks together, wrong on two ranks: what one rank says, if it is wrong there too."""
    try:
        in_child(seconds, judge_here, stem, "", target)
    except Failed as failed:
        return failed.verdict
    return verdict
