"""Named mistakes and equivalents of milestone 01."""

from grader.mistakes import Equivalent, Mistake

IMPORT_MATH = ("import torch\n", "import math\n\nimport torch\n")
RETURN_MIN = "    return min(lines)"
LEFT = "    left = args.num_iterations - step\n"
DOWN = "(args.num_iterations - step) / args.warmdown_iters"

RECURSION = "return zeropower_via_newtonschulz(U.mT, steps, eps, dtype).mT"
FROBENIUS = "U.square().sum().sqrt()"
POLYNOMIAL = "(3.4445 * identity - 4.7750 * gram + 2.0315 * (gram @ gram)) @ X"

NOT_FUSED = "if U.shape[0] != 3 * width:"
THIRDS = "U[:width], U[width : 2 * width], U[2 * width :]"

NEW_BUFFER = 'new = group["momentum"] * old + gradient'
KEEP_BUFFER = 'self.state[weight]["momentum_buffer"] = new\n'
LOOK_AHEAD = 'gradient + group["momentum"] * new if group["nesterov"] else new'
SCALE = "max(rows, cols) ** 0.5"

FOR_MUON = 'name.startswith("h.")'

GET_LR = [
    Mistake(
        "get_lr",
        "the warm-up starts at 0: step / warmup_iters, not (step + 1) / warmup_iters",
        (("(step + 1) / args.warmup_iters", "step / args.warmup_iters"),),
    ),
    Mistake(
        "get_lr",
        "the warm-up lasts a step too long, at more than the peak: <= instead of <",
        (
            (
                RETURN_MIN,
                "    if step == args.warmup_iters:\n"
                "        return (step + 1) / args.warmup_iters\n    return min(lines)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "no warm-up: the factor starts at 1",
        (("if args.warmup_iters:", "if False:"),),
    ),
    Mistake(
        "get_lr",
        "the warm-down a step early: num_iterations - 1 - step, so the last update is wasted",
        (("(args.num_iterations - step)", "(args.num_iterations - step - 1)"),),
    ),
    Mistake(
        "get_lr",
        "no warm-down: the factor stays 1",
        (("if args.warmdown_iters:", "if False:"),),
    ),
    Mistake(
        "get_lr",
        "the warm-down turned round: it drops to 0 and rises",
        (
            (
                RETURN_MIN,
                f"{LEFT}    gone = args.warmdown_iters - left\n"
                "    return min(lines) if gone < 0 else gone / max(1, args.warmdown_iters)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "the warm-down divided by num_iterations instead of warmdown_iters: it starts with a drop",
        (
            (
                RETURN_MIN,
                f"{LEFT}    late = left <= args.warmdown_iters\n"
                "    return left / args.num_iterations if late else min(lines)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "no flat part: the straight line down begins where the warm-up ends",
        (
            ("if args.warmdown_iters:", "if True:"),
            (DOWN, "(args.num_iterations - step) / (args.num_iterations - args.warmup_iters)"),
        ),
    ),
    Mistake(
        "get_lr",
        "half a cosine for the warm-down instead of a straight line",
        (
            IMPORT_MATH,
            (DOWN, f"0.5 - 0.5 * math.cos(math.pi * min(1, {DOWN}))"),
        ),
    ),
    Mistake(
        "get_lr",
        "milestone 00's cosine kept: it falls from the end of the warm-up on",
        (
            IMPORT_MATH,
            (
                RETURN_MIN,
                f"{LEFT}    part = left / (args.num_iterations - args.warmup_iters)\n"
                "    return lines[1] if part > 1 else 0.5 - 0.5 * math.cos(math.pi * part)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "the warm-down ends near a tenth of the peak instead of at 1 / warmdown_iters",
        ((DOWN, f"0.1 + 0.9 * {DOWN}"),),
    ),
    Mistake(
        "get_lr",
        "a learning rate returned instead of a factor on it: it counts twice",
        ((RETURN_MIN, "    return args.learning_rate * min(lines)"),),
    ),
    Mistake(
        "get_lr",
        "the warm-up a step too long: (step + 1) / (warmup_iters + 1), so 1 is not reached in it",
        (
            (
                "(step + 1) / args.warmup_iters",
                "(step + 1) / (args.warmup_iters + 1) if step < args.warmup_iters else 1.0",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "the warm-down divided by warmdown_iters + 1: it starts below 1",
        (
            (
                RETURN_MIN,
                f"{LEFT}    down = left / (args.warmdown_iters + 1)\n"
                "    return down if left <= args.warmdown_iters else min(lines)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "the warm-down divided by warmdown_iters - 1: it reaches 0 at the last update",
        (
            (
                RETURN_MIN,
                f"{LEFT}    down = (left - 1) / max(1, args.warmdown_iters - 1)\n"
                "    return down if left <= args.warmdown_iters else min(lines)",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "// instead of / in the warm-up: 0 until its last step",
        (("(step + 1) / args.warmup_iters", "(step + 1) // args.warmup_iters"),),
    ),
]

NEWTON_SCHULZ = [
    Mistake(
        "zeropower_via_newtonschulz",
        "a coefficient short of a digit: 2.031 instead of 2.0315",
        (("2.0315 * (gram", "2.031 * (gram"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "two digits of c swapped: 2.0351 instead of 2.0315",
        (("2.0315 * (gram", "2.0351 * (gram"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "the sign of b lost: + 4.7750 instead of - 4.7750",
        (("- 4.7750 * gram", "+ 4.7750 * gram"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "c applied to A X instead of A A X",
        (("(gram @ gram)", "gram"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "b and c swapped: b belongs to A X, c to A A X",
        (("- 4.7750 * gram + 2.0315 * (gram", "+ 2.0315 * gram - 4.7750 * (gram"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "the cubic iteration 1.5 X - 0.5 A X instead of the quintic",
        ((POLYNOMIAL, "1.5 * X - 0.5 * gram @ X"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "the textbook's coefficients 15/8, -10/8, 3/8: they converge to 1, but slowly",
        ((POLYNOMIAL, "(1.875 * identity - 1.25 * gram + 0.375 * (gram @ gram)) @ X"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "one iteration too many",
        (("range(steps)", "range(1 + steps)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "one iteration too few",
        (("range(steps)", "range(1, steps)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "always 10 iterations, whatever steps says",
        (("range(steps)", "range(10)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "always 5 iterations, whatever steps says",
        (("range(steps)", "range(5)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "the matrix A computed once, before the loop",
        (
            (
                "    for _ in range(steps):\n        gram = X @ X.mT\n",
                "    gram = X @ X.mT\n    for _ in range(steps):\n",
            ),
        ),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "every row normalised, after transposing, instead of the matrix",
        ((FROBENIUS, "U.square().sum(dim=1, keepdim=True).sqrt().to(dtype)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "every row normalised, before transposing, instead of the matrix",
        (
            ("dtype: torch.dtype) -> Tensor", "dtype: torch.dtype, dim: int = 1) -> Tensor"),
            (RECURSION, RECURSION.replace("dtype)", "dtype, dim=0)")),
            (FROBENIUS, "U.square().sum(dim=dim, keepdim=True).sqrt()"),
        ),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "no division by the norm: the iteration runs off",
        ((" / (frobenius + eps)", ""),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "divided by the square of the norm: the root is missing",
        ((FROBENIUS, "U.square().sum()"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "divided by the root of the mean square: singular values above 1 are left",
        ((FROBENIUS, "U.square().mean().sqrt()"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "divided by the largest singular value instead of the Frobenius norm",
        ((FROBENIUS, "torch.linalg.svdvals(U)[0]"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "divided by the largest entry instead of the Frobenius norm",
        ((FROBENIUS, "U.abs().max()"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "normalised again in every iteration",
        (("gram = X @ X.mT", "X = X / (X.square().sum().sqrt() + eps)\n        gram = X @ X.mT"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "eps left out: a matrix of zeros becomes 0 / 0",
        (("(frobenius + eps)", "frobenius"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "tall matrices not transposed back",
        ((RECURSION, RECURSION.removesuffix(".mT")),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "no iteration at all: the matrix is only divided by its norm",
        (("range(steps)", "range(0)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "A * A, entry by entry, instead of the product A @ A",
        (("(gram @ gram)", "(gram * gram)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "eps added to U / norm, not to the norm: parentheses",
        ((" / (frobenius + eps)", " / frobenius + eps"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "X^T X for the matrix A, which is X X^T",
        (("gram = X @ X.mT", "gram = X.mT @ X"),),
    ),
]

SPLIT_QKV = [
    Mistake(
        "split_qkv",
        "q, k and v not split: orthogonalised jointly",
        ((THIRDS, "(U,)"),),
    ),
    Mistake(
        "split_qkv",
        "q, k and v returned in reverse",
        ((THIRDS, "U[2 * width :], U[width : 2 * width], U[:width]"),),
    ),
    Mistake(
        "split_qkv",
        "returned in the order k, q, v",
        ((THIRDS, "U[width : 2 * width], U[:width], U[2 * width :]"),),
    ),
    Mistake(
        "split_qkv",
        "every third row taken instead of thirds of the rows",
        ((THIRDS, "U[::3], U[1::3], U[2::3]"),),
    ),
    Mistake(
        "split_qkv",
        "split along the columns instead of the rows",
        ((THIRDS, "torch.tensor_split(U, 3, dim=1)"),),
    ),
    Mistake(
        "split_qkv",
        "split into heads, here two for each of q, k and v",
        ((THIRDS, "tuple(U.view(6, width // 2, width))"),),
    ),
    Mistake(
        "split_qkv",
        "the pieces returned transposed",
        ((THIRDS, "U[:width].T, U[width : 2 * width].T, U[2 * width :].T"),),
    ),
    Mistake(
        "split_qkv",
        "every matrix cut in three, whatever its shape",
        (
            ("width = U.shape[1]", "width = -(-U.shape[0] // 3)"),
            (NOT_FUSED, "if False:"),
        ),
    ),
    Mistake(
        "split_qkv",
        "every tall matrix cut into squares, the MLPs' too",
        ((NOT_FUSED, "if U.shape[0] <= width:"), (THIRDS, "tuple(U.split(width))")),
    ),
    Mistake(
        "split_qkv",
        "the condition turned round: the fused matrix stays whole, a tall one is cut",
        ((NOT_FUSED, "if U.shape[0] == 3 * width:"), (THIRDS, "tuple(U.split(width))")),
    ),
    Mistake(
        "split_qkv",
        "U.split(3): split takes the length of a piece, not their number",
        ((THIRDS, "tuple(U.split(3))"),),
    ),
]

MUON = [
    Mistake(
        "Muon",
        "momentum 0.9 written down instead of the one given",
        (
            (NEW_BUFFER, NEW_BUFFER.replace('group["momentum"]', "0.9")),
            (LOOK_AHEAD, LOOK_AHEAD.replace('group["momentum"]', "0.9")),
        ),
    ),
    Mistake(
        "Muon",
        "no look-ahead: none, or with the old buffer, or with a gradient already cleared",
        ((LOOK_AHEAD, "new"),),
    ),
    Mistake(
        "Muon",
        "Nesterov always, whatever the argument says",
        ((LOOK_AHEAD, 'gradient + group["momentum"] * new'),),
    ),
    Mistake(
        "Muon",
        "the look-ahead without its factor: gradient + buffer",
        ((LOOK_AHEAD, 'gradient + new if group["nesterov"] else new'),),
    ),
    Mistake(
        "Muon",
        "an averaging buffer, (1 - mu) G, in a look-ahead made for a summing one",
        ((NEW_BUFFER, NEW_BUFFER.replace("gradient", '(1 - group["momentum"]) * gradient')),),
    ),
    Mistake(
        "Muon",
        "the buffer overwritten by the look-ahead",
        ((KEEP_BUFFER, KEEP_BUFFER.replace("= new", f"= {LOOK_AHEAD}")),),
    ),
    Mistake(
        "Muon",
        "the buffer begins as the first gradient, which is then added once more",
        (('"momentum_buffer", torch.zeros_like(gradient)', '"momentum_buffer", gradient'),),
    ),
    Mistake(
        "Muon",
        "the buffer is not kept: every step begins with an empty one",
        (("        " + KEEP_BUFFER, ""),),
    ),
    Mistake(
        "Muon",
        "no momentum in the sum: gradients are added up undamped",
        ((NEW_BUFFER, "new = old + gradient"),),
    ),
    Mistake(
        "Muon",
        "momentum after orthogonalising: the gradient is orthogonalised, not the look-ahead",
        (
            ("update = self.look_ahead(weight, group)", "update = weight.grad"),
            (
                "weight -= group",
                "step = self.look_ahead(weight, group, step)\n                weight -= group",
            ),
            ("weight: nn.Parameter, group: dict)", "weight, group, gradient)"),
            ("        gradient = weight.grad\n", ""),
        ),
    ),
    Mistake(
        "Muon",
        "nothing is orthogonalised: plain momentum",
        (
            (
                'zeropower_via_newtonschulz(part, group["steps"], group["eps"], self.dtype)',
                "part",
            ),
        ),
    ),
    Mistake(
        "Muon",
        "q, k and v not split before orthogonalising: split_qkv is not called",
        (("parts = split_qkv(update)", "parts = (update,)"),),
    ),
    Mistake(
        "Muon",
        "q, k and v not split before orthogonalising, though the scale is that of a part",
        (("part in parts", "part in [update]"),),
    ),
    Mistake(
        "Muon",
        "no scale: sqrt(max(rows, cols)) is missing",
        ((f" * {SCALE}", ""),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(min(rows, cols)) instead of sqrt(max(rows, cols))",
        ((SCALE, "min(rows, cols) ** 0.5"),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(rows * cols) instead of sqrt(max(rows, cols))",
        ((SCALE, "(rows * cols) ** 0.5"),),
    ),
    Mistake(
        "Muon",
        "scale max(rows, cols): the root is missing",
        ((SCALE, "max(rows, cols)"),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(rows) instead of sqrt(max(rows, cols))",
        ((SCALE, "rows**0.5"),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(cols) instead of sqrt(max(rows, cols))",
        ((SCALE, "cols**0.5"),),
    ),
    Mistake(
        "Muon",
        "a later Muon's scale: sqrt(max(1, rows / cols))",
        ((SCALE, "max(1, rows / cols) ** 0.5"),),
    ),
    Mistake(
        "Muon",
        "another Muon's scale: 0.2 * sqrt(max(rows, cols))",
        ((SCALE, f"0.2 * {SCALE}"),),
    ),
    Mistake(
        "Muon",
        "scale taken from the fused matrix, three times as tall",
        (("rows, cols = parts[0].shape", "rows, cols = update.shape"),),
    ),
    Mistake(
        "Muon",
        "the update added instead of subtracted",
        (("weight -= ", "weight += "),),
    ),
    Mistake(
        "Muon",
        "the learning rate read once, at construction: the schedule has no effect",
        (
            ("self.dtype = newton_schulz_dtype", "self.dtype, self.lr = newton_schulz_dtype, lr"),
            ('group["lr"] * step', "self.lr * step"),
        ),
    ),
    Mistake(
        "Muon",
        "weights decay by 0.1 times the learning rate, as under AdamW",
        (("weight -= ", 'weight *= 1 - 0.1 * group["lr"]\n                weight -= '),),
    ),
    Mistake(
        "Muon",
        "the factor 0.1 taken here as well: muon_learning_rate has it already",
        (("weight -= ", "weight -= 0.1 * "),),
    ),
    Mistake(
        "Muon",
        "only the last matrix is updated: the update stands after the loop over them",
        (('in group["params"]:', 'in group["params"][-1:]:'),),
    ),
    Mistake(
        "Muon",
        "newton_schulz_eps not passed on: 1e-7 written down",
        (('group["eps"], self.dtype', "1e-7, self.dtype"),),
    ),
    Mistake(
        "Muon",
        "newton_schulz_steps not passed on: 5 written down",
        (('part, group["steps"]', "part, 5"),),
    ),
    Mistake(
        "Muon",
        "the weights never change: W = W - ... makes a new tensor",
        (('weight -= group["lr"] * step', 'weight = weight - group["lr"] * step'),),
    ),
    Mistake(
        "Muon",
        "the momentum multiplied in after the gradient is added: (M + G) * mu",
        ((NEW_BUFFER, 'new = group["momentum"] * (old + gradient)'),),
    ),
    Mistake(
        "Muon",
        "the first gradient itself kept as the buffer, no copy of it: the next one overwrites it",
        (
            (
                NEW_BUFFER,
                'kept = "momentum_buffer" in self.state[weight]\n'
                '        new = old.mul_(group["momentum"]).add_(gradient) if kept else gradient',
            ),
        ),
    ),
    Mistake(
        "Muon",
        "the update not cast back: rounded once more in Newton-Schulz's dtype",
        ((".to(weight.dtype) * max(rows, cols) ** 0.5", " * max(rows, cols) ** 0.5"),),
    ),
    Mistake(
        "Muon",
        "the momentum on the wrong term: mu * G + M",
        ((NEW_BUFFER, 'new = old + group["momentum"] * gradient'),),
    ),
    Mistake(
        "Muon",
        "the pieces of q, k and v put together again in reverse",
        (("torch.cat(orthogonal)", "torch.cat(orthogonal[::-1])"),),
    ),
]

SPLIT_PARAMETERS = [
    Mistake(
        "split_parameters",
        "the projections of the MLPs, mlp.c_proj, left to AdamW",
        ((FOR_MUON, f'{FOR_MUON} and "mlp.c_proj" not in name'),),
    ),
    Mistake(
        "split_parameters",
        "the matrices of attention left to AdamW",
        ((FOR_MUON, f'{FOR_MUON} and ".attn." not in name'),),
    ),
    Mistake(
        "split_parameters",
        "the fused matrix of q, k and v, attn.c_attn, left to AdamW",
        ((FOR_MUON, f'{FOR_MUON} and "c_attn" not in name'),),
    ),
    Mistake(
        "split_parameters",
        "the two lists swapped: the table to Muon, the matrices to AdamW",
        (("return table, matrices", "return matrices, table"),),
    ),
    Mistake(
        "split_parameters",
        "every matrix to Muon, the tied table too; AdamW gets nothing",
        ((FOR_MUON, "parameter.dim() == 2"),),
    ),
    Mistake(
        "split_parameters",
        "the tied table in both lists",
        (("return table, matrices", "return table, matrices + table"),),
    ),
    Mistake(
        "split_parameters",
        "the tied table listed twice: once as embedding, once as head",
        (("return table, matrices", "return table * 2, matrices"),),
    ),
    Mistake(
        "split_parameters",
        "everything to AdamW; Muon gets nothing",
        (("(matrices if", "(table if"),),
    ),
    Mistake(
        "split_parameters",
        "the matrices to both optimizers",
        (("return table, matrices", "return table + matrices, matrices"),),
    ),
    Mistake(
        "split_parameters",
        "the first block in neither list",
        (
            (
                "model.named_parameters():",
                'model.named_parameters():\n        if "h.0." in name:\n            continue',
            ),
        ),
    ),
    Mistake(
        "split_parameters",
        "the list of matrices begun anew for every block: only the last block's are left",
        (("return table, matrices", "return table, matrices[-4:]"),),
    ),
]

MISTAKES = [*GET_LR, *NEWTON_SCHULZ, *SPLIT_QKV, *MUON, *SPLIT_PARAMETERS]

EQUIVALENTS = [
    Equivalent(
        "get_lr",
        "the trapezoid by interpolation between its corners",
        (
            ("import torch\n", "import numpy as np\nimport torch\n"),
            (
                RETURN_MIN,
                "    N, C, U = args.num_iterations, args.warmdown_iters, args.warmup_iters\n"
                "    # corners one step before the first update and one after the last\n"
                "    corners = {-1: 0.0, U - 1: 1.0, N - C: 1.0, N: 0.0}\n"
                "    corners |= {N: 1.0} if C == 0 else {}\n"
                "    return float(np.interp(step, list(corners), list(corners.values())))",
            ),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "powers of the Gram matrix applied to X one after another",
        ((POLYNOMIAL, "3.4445 * X + gram @ (2.0315 * (gram @ X) - 4.7750 * X)"),),
    ),
    Equivalent(
        "split_qkv",
        "a view of (3, D, D)",
        ((THIRDS, "tuple(U.view(3, width, width).unbind(0))"),),
    ),
    Equivalent(
        "split_qkv",
        "a list of copies",
        ((THIRDS, "[piece.clone() for piece in U.chunk(3)]"),),
    ),
    Equivalent(
        "Muon",
        "momentum as an average, with the look-ahead that belongs to it",
        (
            (NEW_BUFFER, NEW_BUFFER.replace("gradient", '(1 - group["momentum"]) * gradient')),
            (LOOK_AHEAD, "(1 - group['momentum']) * " + LOOK_AHEAD),
        ),
    ),
    Equivalent(
        "Muon",
        "the buffer kept multiplied by the momentum already",
        (
            (NEW_BUFFER, "new = old + gradient"),
            (KEEP_BUFFER, 'self.state[weight]["momentum_buffer"] = group["momentum"] * new\n'),
        ),
    ),
    Equivalent(
        "Muon",
        "weights updated piece by piece, the last matrix first",
        (
            ('for weight in group["params"]:', 'for weight in reversed(group["params"]):'),
            (
                'weight -= group["lr"] * step',
                "for old, new in zip(weight.chunk(4), step.chunk(4), strict=True):\n"
                '                    old.sub_(new, alpha=group["lr"])',
            ),
        ),
    ),
    Equivalent(
        "split_parameters",
        "by identity: whatever is not the head's table, in reverse",
        (
            (FOR_MUON, "parameter is not model.lm_head.weight"),
            ("return table, matrices", "return table, matrices[::-1]"),
        ),
    ),
]

SLOW = [
    Equivalent(
        "zeropower_via_newtonschulz",
        "the five iterations gathered in one factor, which is applied to X at the end",
        (
            ("device=X.device)", "device=X.device)\n    factor = identity"),
            ("gram = X @ X.mT", "gram = (factor @ X) @ (factor @ X).mT"),
            (f"X = {POLYNOMIAL}", f"factor = {POLYNOMIAL}".replace("@ X", "@ factor")),
            ("    return X\n", "    return factor @ X\n"),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "tall matrices not transposed",
        (("if U.shape[0] > U.shape[1]:", "if False:"),),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "the Gram matrix of the other side, from the right",
        (
            ("torch.eye(X.shape[0]", "torch.eye(X.shape[1]"),
            ("gram = X @ X.mT", "gram = X.mT @ X"),
            (POLYNOMIAL, "X @ (3.4445 * identity + gram @ (2.0315 * gram - 4.7750 * identity))"),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "the polynomial on the singular values of a decomposition",
        (
            (
                "identity = torch.eye(X.shape[0], dtype=dtype, device=X.device)",
                "wide = X.to(torch.promote_types(dtype, torch.float32))\n"
                "    left, s, right = torch.linalg.svd(wide, full_matrices=False)",
            ),
            ("        gram = X @ X.mT\n", ""),
            (f"X = {POLYNOMIAL}", "s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5"),
            ("    return X\n", "    return ((left * s) @ right).to(dtype)\n"),
        ),
    ),
]
