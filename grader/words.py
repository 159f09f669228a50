"""Outputs in words: what was expected, what came back, and in which simple way the two differ."""

import re
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch

from grader.marks import numbers
from milestones.harness.injection import ROOT

SHORT = 6  # items of a list that is shown in full
Wrong = tuple[str, object, object]  # the call, what ours returns, what theirs returns


def shown(path: Path) -> str:
    """A path as the learner would type it."""
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return str(path)


def flat(value) -> np.ndarray:
    """All numbers of an output, float64, in a row; names count as numbers."""
    arrays = [array.ravel() for array in numbers(value)]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def describe(value) -> str:
    """Kind, shape and dtype, as far as they must agree."""
    if isinstance(value, torch.Tensor):
        return f"tensor {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple):
        return f"({'; '.join(map(describe, value))})"
    if isinstance(value, int | np.integer):  # bool is one too
        return "an integer"
    if isinstance(value, float | np.floating):
        return "a number"
    return "nothing: is there a `return`?" if value is None else type(value).__name__


def printed(value) -> str:
    """A short output in full; a large one by its shape."""
    if isinstance(value, torch.Tensor) and value.numel() > 1:
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, torch.Tensor):
        value = value.item()
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def heading(call: str) -> str:
    """The first line about an output: what was called, or what was looked at."""
    return f"{'called ' if re.match(r'[A-Za-z_]+[(]', call) else 'checked'}    {call}"


def difference(call: str, ours, theirs, related: bool = True) -> list[str]:
    """The call, both outputs, and, if asked, how the two are related if in a simple way."""
    lines = [heading(call)]
    if isinstance(ours, list) and isinstance(theirs, list):
        return lines + list_difference(ours, theirs)
    if isinstance(ours, str):
        return [*lines, f"expected   {ours}", f"got        {theirs}"]
    a, b = flat(ours), flat(theirs)
    if a.size <= 8 and a.shape == b.shape and isinstance(ours, torch.Tensor) and ours.dim() == 1:
        expected, got = rows(a, b)
        lines += [f"expected   {expected}", f"got        {got}"]
    elif a.size == 1 or a.shape != b.shape:
        lines += [f"expected   {printed(ours)}", f"got        {printed(theirs)}"]
    else:
        lines += largest(ours, a, b)
    return lines + (relation(ours, a, b) if related else [])


def rows(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Two rows of numbers, with so many digits that they can be told apart."""
    for digits in (6, 9, 12, 17):
        both = [", ".join(f"{value:.{digits}g}" for value in x) for x in (a, b)]
        if both[0] != both[1]:
            break
    return both


def largest(ours, a: np.ndarray, b: np.ndarray) -> list[str]:
    """The entry that differs most, and where it stands."""
    at = int(np.nanargmax(np.where(np.isnan(b), np.inf, np.abs(a - b))))
    first = next(numbers(ours))
    index = np.unravel_index(at, first.shape) if first.size == a.size else at
    where = f"[{', '.join(map(str, np.atleast_1d(index)))}]"
    expected, got = rows(a[[at]], b[[at]])
    return [
        f"expected   {expected} at {where}",
        f"got        {got}, of {a.size} numbers the one that differs most",
    ]


def list_difference(ours: list, theirs: list) -> list[str]:
    """Where a list of tuples differs first; what is missing from sorted names, or too much.

    Other lists are shown in full if they are short.
    """
    if ours and isinstance(ours[0], tuple):
        pairs = enumerate(zip_longest(ours, theirs, fillvalue="nothing"))
        at, (a, b) = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
        return [f"expected   {a} at [{at}]", f"got        {b}, in {shortened(theirs)}"]
    names = ours == sorted(set(ours))
    if not names and max(len(ours), len(theirs)) <= SHORT:
        both = [", ".join(map(printed, items)) or "nothing" for items in (ours, theirs)]
        return [f"expected   {both[0]}", f"got        {both[1]}"]
    ours, theirs = ([str(x) for x in items] for items in (ours, theirs))
    missing = list((Counter(ours) - Counter(theirs)).elements())
    extra = list((Counter(theirs) - Counter(ours)).elements())
    lines = [f"missing    {shortened(missing)}"] if missing else []
    twice = [x for x in extra if x in ours]
    extra = [x for x in extra if x not in ours]
    lines += [f"too much   {shortened(extra)}"] if extra else []
    lines += [f"twice      {shortened(twice)}"] if twice else []
    return lines or [f"expected   {shortened(ours)}", f"got        {shortened(theirs)}"]


def shortened(items: list, most: int = 4) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + rest


def relation(ours, a: np.ndarray, b: np.ndarray) -> list[str]:
    """One line if numbers are not finite, transposed, or rounded to fewer digits."""
    if a.shape != b.shape or a.size == 1:
        return []
    if not np.isfinite(b).all():
        return [f"{(~np.isfinite(b)).sum()} of {b.size} numbers are not finite."]
    square = isinstance(ours, torch.Tensor) and ours.dim() == 2 and ours.size(0) == ours.size(1)
    if square and np.allclose(flat(ours.T), b):
        return ["Yours is the transpose of what is expected."]
    return rounded(a, b)


def rounded(a: np.ndarray, b: np.ndarray) -> list[str]:
    """One line if b is a in fewer digits; of many numbers, bfloat16 has an error that grows."""
    gap = np.abs(a - b).max() / max(1e-30, np.abs(a).max())
    for dtype, rounding in [("float32", 2e-6), ("bfloat16", 2e-2 if a.size < 50 else 0.2)]:
        fits = np.array_equal(torch.from_numpy(b).to(getattr(torch, dtype)).double().numpy(), b)
        if gap < rounding and (fits or dtype == "float32"):
            return [f"As if rounded to {dtype}: which line does not keep the dtype of its inputs?"]
    return []


def in_common(wrong: list[Wrong]) -> list[str]:
    """One line if wrong outputs are all rounded, or the same multiple of the expected ones."""
    pairs = [(flat(ours), flat(theirs)) for _, ours, theirs in wrong if not words(ours)]
    if not pairs or any(a.shape != b.shape for a, b in pairs):
        return []
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if a.size > SHORT and (says := rounded(a, b)):
        return says
    large = np.abs(a) > 1e-3 * np.abs(a).max()
    if large.sum() < 3 or not np.isfinite(b).all():
        return []
    ratios = b[large] / a[large]
    same = np.ptp(ratios) < 1e-6 * max(1, abs(ratios[0])) and abs(ratios[0]) > 1e-6
    return [f"In all that differ, yours is {ratios[0]:.6g} times as large."] if same else []


def words(value) -> bool:
    """Whether an output is text, whose numbers mean nothing; an empty list names what is wrong."""
    if isinstance(value, list):
        return not value or isinstance(value[0], str)
    return isinstance(value, str)


def brief(call: str) -> str:
    """A call without the setting that follows a semicolon: the first line has said it."""
    return call.split("; ")[0]


def also(wrong: list[Wrong], right: list[str]) -> list[str]:
    """Which other calls differ, and the one before that agrees: one alone seldom tells."""
    lines = [
        f"also       {brief(call)}: expected {printed(ours)}, got {printed(theirs)}"
        for call, ours, theirs in spread([w for w in wrong[1:] if short(w)])
    ]
    if not lines:
        lines = [f"also wrong {brief(call)}" for call, _, _ in spread(wrong[1:])]
    return lines + [f"right      {brief(call)}" for call in right[-1:]]


def short(wrong: Wrong) -> bool:
    """Whether both outputs are a single number or word."""
    number = all(isinstance(x, str) or flat(x).size == 1 for x in wrong[1:])
    return number and not wrong[0].startswith("gradient")  # of one number: nobody expects it


def spread(items: list) -> list:
    """The first and the last of many, or all of two."""
    return items if len(items) <= 2 else [items[0], items[-1]]
