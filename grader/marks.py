"""Marks: how unit outputs and curves are kept in a few numbers, to recognise them again.

A mark of unit outputs is their structure and sixteen projections on fixed random signs.  Outputs
that agree to 1e-9 have marks that do; others, with certainty for all that matters, do not.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from grader.units import Elsewhere

FOLDER = Path(__file__).parent / "curves"
RADIUS = 1e-6  # marks nearer than this, in units of their size, are the same mistake
PROJECTIONS = 16


def numbers(value) -> Iterator[np.ndarray]:
    """The arrays in one unit output; names become numbers, tuples are taken apart."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, torch.Tensor):
        yield value.detach().double().numpy()
    elif isinstance(value, str):
        yield np.array(zlib.crc32(value.encode()) / 2**32)
    elif value is not None:
        yield np.array(value, dtype=np.float64)


def skeleton(value) -> object:
    """The nesting and the shapes of one unit output, without its numbers."""
    if isinstance(value, tuple | list):
        return [skeleton(part) for part in value]
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value) is type(None)


@dataclass(frozen=True)
class Mark:
    """Of one exercise's unit outputs."""

    structure: int  # a checksum of shapes and of where the numbers are not finite
    size: float  # root of the sum of squares
    values: tuple[float, ...]

    def is_near(self, other: "Mark") -> bool:
        if self.structure != other.structure:
            return False
        gap = np.abs(np.array(self.values) - np.array(other.values)).max()
        return bool(gap <= RADIUS * max(1.0, self.size))


def mark_of(outputs: Iterable[tuple[str, object]]) -> Mark:
    """The mark of the (call, output) pairs of one exercise, those of another device aside.

    A mask made on the CPU may come with any mistake, and should not hide its name.
    """
    outputs = [output for output in outputs if not isinstance(output[0], Elsewhere)]
    arrays = [array for _, value in outputs for array in numbers(value)]
    flat = np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)])
    finite = np.isfinite(flat)
    structure = repr([skeleton(value) for _, value in outputs]).encode() + finite.tobytes()
    flat = np.where(finite, flat, 0.0)
    with np.errstate(over="ignore"):
        size = float(np.linalg.norm(flat))
    signs = np.random.RandomState(0).randint(0, 2, (PROJECTIONS, flat.size)) * 2.0 - 1.0
    return Mark(zlib.crc32(structure), size, tuple((signs @ flat).tolist()))


@cache
def stored(stem: str) -> dict:
    """grader/curves/<stem>.json: the reference curve, and curve and mark of every mistake."""
    return json.loads((FOLDER / f"{stem}.json").read_text())


def curve_distance(a: list[float], b: list[float]) -> float:
    """max |a - b| over two loss curves, nats; infinite if one stops being finite alone."""
    a, b = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    if a.shape != b.shape or (np.isfinite(a) != np.isfinite(b)).any():
        return float("inf")
    return float(np.abs(a[np.isfinite(a)] - b[np.isfinite(a)]).max(initial=0))
