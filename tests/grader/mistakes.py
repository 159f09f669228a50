"""Mistakes a learner can make in milestone 01, each made twice: in the script, in the solution.

The two implementations are written differently, so recognising a mistake in one by its mark in the
other is a proof that can fail.  Sources: the published mistakes of the field; every one lies inside
a name of EXERCISES.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

Edit = tuple[str, str]  # (old, new) text; the old must occur exactly once


@dataclass(frozen=True)
class Mistake:
    name: str  # what was done, as one would say it to the learner
    task: str  # the name of EXERCISES it lies in
    script: tuple[Edit, ...]  # edits of milestones/milestone01_muon/train_gpt.py
    solution: tuple[Edit, ...]  # edits of solutions/milestone01_muon.py


def edited(module: ModuleType, edits: tuple[Edit, ...]) -> ModuleType:
    """A copy of a module with its text edited, under the same name, beside the original."""
    text = Path(module.__file__).read_text()
    for old, new in edits:
        assert text.count(old) == 1, f"{text.count(old)} times in {module.__file__}: {old}"
        text = text.replace(old, new)
    copy = ModuleType(module.__name__)
    copy.__file__ = module.__file__
    original = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = copy  # dataclass looks its module up there
    try:
        exec(compile(text, module.__file__, "exec"), vars(copy))
    finally:
        if original is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = original
    return copy


MILESTONE01 = [
    Mistake(
        "a coefficient short of a digit: 2.031 for 2.0315",
        "zeropower_via_newtonschulz",
        (("-4.7750, 2.0315", "-4.7750, 2.031"),),
        (("2.0315 * (gram", "2.031 * (gram"),),
    ),
    Mistake(
        "the sign of b lost: + 4.7750",
        "zeropower_via_newtonschulz",
        (("-4.7750", "4.7750"),),
        (("- 4.7750 * gram", "+ 4.7750 * gram"),),
    ),
    Mistake(
        "c applied to A X instead of A A X",
        "zeropower_via_newtonschulz",
        (("c * (A @ B)", "c * B"),),
        (("(gram @ gram)", "gram"),),
    ),
    Mistake(
        "one iteration too many",
        "zeropower_via_newtonschulz",
        (("range(steps)", "range(steps + 1)"),),
        (("range(steps)", "range(1 + steps)"),),
    ),
    Mistake(
        "every row normalised, not the matrix",
        "zeropower_via_newtonschulz",
        (("U.norm()", "U.norm(dim=1, keepdim=True)"),),
        (("U.square().sum().sqrt()", "U.square().sum(dim=1, keepdim=True).sqrt()"),),
    ),
    Mistake(
        "momentum 0.9 instead of the one given",
        "Muon",
        (('mu = group["momentum"]', "mu = 0.9"),),
        (
            ('new = group["momentum"] * old', "new = 0.9 * old"),
            ('gradient + group["momentum"] * new', "gradient + 0.9 * new"),
        ),
    ),
    Mistake(
        "no Nesterov (or a look-ahead with the old buffer, which is the same)",
        "Muon",
        (('p.grad + mu * M if group["nesterov"] else M', "M"),),
        (('gradient + group["momentum"] * new if group["nesterov"] else new', "new"),),
    ),
    Mistake(
        "an averaging buffer (1 - mu) G in a look-ahead made for a summing one",
        "Muon",
        ((".mul_(mu).add_(p.grad)", ".mul_(mu).add_(p.grad, alpha=1 - mu)"),),
        (("* old + gradient", '* old + (1 - group["momentum"]) * gradient'),),
    ),
    Mistake(
        "the buffer overwritten by the look-ahead",
        "Muon",
        (("U = p.grad + mu * M if", "U = M.mul_(mu).add_(p.grad) if"),),
        (
            (
                'self.state[weight]["momentum_buffer"] = new\n',
                'self.state[weight]["momentum_buffer"] = gradient + group["momentum"] * new\n',
            ),
        ),
    ),
    Mistake(
        "scale sqrt(min(rows, cols))",
        "Muon",
        (("math.sqrt(max(pieces[0].shape))", "math.sqrt(min(pieces[0].shape))"),),
        (("max(rows, cols) ** 0.5", "min(rows, cols) ** 0.5"),),
    ),
    Mistake(
        "scale taken from the fused matrix, three times as tall",
        "Muon",
        (("max(pieces[0].shape)", "max(p.shape)"),),
        (("rows, cols = parts[0].shape", "rows, cols = update.shape"),),
    ),
    Mistake(
        "the update added",
        "Muon",
        (('alpha=-group["lr"] * scale', 'alpha=group["lr"] * scale'),),
        (("weight -= ", "weight += "),),
    ),
    Mistake(
        "q, k and v orthogonalised jointly",
        "split_qkv",
        (("return U.split(cols) if rows == 3 * cols else (U,)", "return (U,)"),),
        (("U[:width], U[width : 2 * width], U[2 * width :]", "(U,)"),),
    ),
    Mistake(
        "q, k and v returned in reverse",
        "split_qkv",
        (("U.split(cols) if", "U.split(cols)[::-1] if"),),
        (
            (
                "U[:width], U[width : 2 * width], U[2 * width :]",
                "U[2 * width :], U[width : 2 * width], U[:width]",
            ),
        ),
    ),
    Mistake(
        "warm-down a step early: (N - 1 - t) / C",
        "get_lr",
        (("(args.num_iterations - step)", "(args.num_iterations - 1 - step)"),),
        (("(args.num_iterations - step)", "(args.num_iterations - step - 1)"),),
    ),
    Mistake(
        "warm-up t / U: the first step is wasted",
        "get_lr",
        (("(step + 1) / args.warmup_iters", "step / args.warmup_iters"),),
        (("(step + 1) / args.warmup_iters", "step / args.warmup_iters"),),
    ),
    Mistake(
        "the projections of the MLPs left to AdamW",
        "split_parameters",
        (
            (
                "[model.wte.weight], list(model.h.parameters())",
                "[model.wte.weight, *(b.mlp.c_proj.weight for b in model.h)], "
                "[p for n, p in model.h.named_parameters() if not n.endswith('mlp.c_proj.weight')]",
            ),
        ),
        (('name.startswith("h.")', 'name.startswith("h.") and "mlp.c_proj" not in name'),),
    ),
]

# Right answers that compute in another way or order: (name, task, edits of the solution).
MILESTONE01_EQUIVALENTS = [
    (
        "tall matrices not transposed",
        "zeropower_via_newtonschulz",
        (("if U.shape[0] > U.shape[1]:", "if False:"),),
    ),
    (
        "all powers of the Gram matrix applied to X one after another",
        "zeropower_via_newtonschulz",
        (
            (
                "(3.4445 * identity - 4.7750 * gram + 2.0315 * (gram @ gram)) @ X",
                "3.4445 * X + gram @ (2.0315 * (gram @ X) - 4.7750 * X)",
            ),
        ),
    ),
    (
        "momentum as an average, with the look-ahead that belongs to it",
        "Muon",
        (
            ("* old + gradient", '* old + (1 - group["momentum"]) * gradient'),
            (
                'gradient + group["momentum"] * new',
                '(1 - group["momentum"]) * gradient + group["momentum"] * new',
            ),
        ),
    ),
    (
        "q, k and v by a view of (3, D, D)",
        "split_qkv",
        (
            (
                "U[:width], U[width : 2 * width], U[2 * width :]",
                "tuple(U.view(3, width, width).unbind(0))",
            ),
        ),
    ),
]
