"""Named mistakes and equivalents of milestone 04."""

from grader.mistakes import Equivalent, Mistake, milestone01_muon

HEAD_ZERO = "nn.init.zeros_(model.lm_head.weight)"
TABLE = "nn.init.normal_(model.wte.weight)"
SKIPS = "nn.init.ones_(model.skip_weights)"
DRAWN = "(attn.c_q, attn.c_k, attn.c_v, mlp.c_fc)"
BOUND = "1 / math.sqrt(linear.weight.shape[1])"
UNIFORM = "nn.init.uniform_(linear.weight, -bound, bound)"
PROJECTIONS = "(attn.c_proj, mlp.c_proj)"
LAMB = "nn.init.constant_(attn.lamb, 0.5)"
LAMBDAS = "block.lambdas[0], block.lambdas[1] = 1.0, 0.0"

POLYNOMIAL = milestone01_muon.POLYNOMIAL

TALL = "if rows > cols:"
ROOT = "math.sqrt(rows / cols)"

IS_SCALAR = "elif parameter.dim() == 2:"
FOUR = "return embedding, head, scalars, matrices"

ALREADY = "if step >= warmup:"
PART = "part = step / warmup"
LINE = "(1 - part) * args.momentum_start + part * args.momentum"


def skipping(condition: str) -> tuple[tuple[str, str], ...]:
    """split_parameters with the parameters of some names in no list."""
    loop = "model.named_parameters():\n"
    return ((loop, f"{loop}        if {condition}:\n            continue\n"),)


INIT_WEIGHTS = [
    Mistake(
        "init_weights",
        "the head drawn as a linear is by default, instead of 0",
        ((DRAWN, DRAWN.replace("(", "(model.lm_head, ")),),
    ),
    Mistake(
        "init_weights",
        "the head normal with standard deviation 0.02, instead of 0",
        ((HEAD_ZERO, "nn.init.normal_(model.lm_head.weight, 0.0, 0.02)"),),
    ),
    Mistake(
        "init_weights",
        "the head from a standard normal distribution, like the embedding, instead of 0",
        ((HEAD_ZERO, "nn.init.normal_(model.lm_head.weight)"),),
    ),
    Mistake(
        "init_weights",
        "the embedding with standard deviation 0.02: what Adam adds to it is then far too much",
        ((TABLE, "nn.init.normal_(model.wte.weight, 0.0, 0.02)"),),
    ),
    Mistake(
        "init_weights",
        "the embedding uniform within 1 / sqrt(D), as the tied table of milestone 02 was",
        (
            (
                TABLE,
                "nn.init.uniform_(model.wte.weight, -(model.wte.weight.shape[1] ** -0.5),"
                " model.wte.weight.shape[1] ** -0.5)",
            ),
        ),
    ),
    Mistake(
        "init_weights",
        "the embedding with standard deviation 1 / sqrt(D) instead of 1",
        ((TABLE, "nn.init.normal_(model.wte.weight, 0.0, model.wte.weight.shape[1] ** -0.5)"),),
    ),
    Mistake(
        "init_weights",
        "the embedding starts at 0 as well: no gradient gets through, nothing is ever learned",
        ((TABLE, "nn.init.zeros_(model.wte.weight)"),),
    ),
    Mistake(
        "init_weights",
        "no projection starts at 0: only the head does",
        ((DRAWN, DRAWN.replace(")", ", attn.c_proj, mlp.c_proj)")), (PROJECTIONS, "()")),
    ),
    Mistake(
        "init_weights",
        "attn.c_proj does not start at 0, only mlp.c_proj does",
        ((DRAWN, DRAWN.replace(")", ", attn.c_proj)")), (PROJECTIONS, "(mlp.c_proj,)")),
    ),
    Mistake(
        "init_weights",
        "mlp.c_proj does not start at 0, only attn.c_proj does",
        ((DRAWN, DRAWN.replace(")", ", mlp.c_proj)")), (PROJECTIONS, "(attn.c_proj,)")),
    ),
    Mistake(
        "init_weights",
        "c_fc starts at 0 too: the MLP is 0, and its gradients are, for ever",
        ((PROJECTIONS, "(attn.c_proj, mlp.c_proj, mlp.c_fc)"),),
    ),
    Mistake(
        "init_weights",
        "c_v starts at 0 too: attention is 0, and its gradients are, for ever",
        ((PROJECTIONS, "(attn.c_proj, mlp.c_proj, attn.c_v)"),),
    ),
    Mistake(
        "init_weights",
        "lambdas swapped, (0, 1): every block begins with the embedding, and forgets the stream",
        ((LAMBDAS, LAMBDAS.replace("1.0, 0.0", "0.0, 1.0")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (0.5, 0.5) instead of (1, 0)",
        ((LAMBDAS, LAMBDAS.replace("1.0, 0.0", "0.5, 0.5")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (1, 1) instead of (1, 0)",
        ((LAMBDAS, LAMBDAS.replace("1.0, 0.0", "1.0, 1.0")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (0, 0) instead of (1, 0): every block throws the stream away",
        ((LAMBDAS, LAMBDAS.replace("1.0, 0.0", "0.0, 0.0")),),
    ),
    Mistake(
        "init_weights",
        "lamb 0 instead of 0.5: no first values to begin with",
        ((LAMB, "nn.init.zeros_(attn.lamb)"),),
    ),
    Mistake(
        "init_weights",
        "lamb 1 instead of 0.5: the first values alone, and none of a block's own",
        ((LAMB, "nn.init.ones_(attn.lamb)"),),
    ),
    Mistake(
        "init_weights",
        "skip_weights 0 instead of 1: no skips to begin with",
        ((SKIPS, "nn.init.zeros_(model.skip_weights)"),),
    ),
    Mistake(
        "init_weights",
        "skip_weights 0.5 instead of 1",
        ((SKIPS, "nn.init.constant_(model.skip_weights, 0.5)"),),
    ),
    Mistake(
        "init_weights",
        "bound 1 / sqrt(out) instead of 1 / sqrt(in): weights are stored (out, in)",
        ((BOUND, BOUND.replace("[1]", "[0]")),),
    ),
    Mistake(
        "init_weights",
        "bound 1 / in: the root is missing",
        ((BOUND, "1 / linear.weight.shape[1]"),),
    ),
    Mistake(
        "init_weights",
        "bound sqrt(3 / in): then the standard deviation, not the bound, is 1 / sqrt(in)",
        ((BOUND, "math.sqrt(3 / linear.weight.shape[1])"),),
    ),
    Mistake(
        "init_weights",
        "from 0 to 1 / sqrt(in): no negative weights",
        ((UNIFORM, "nn.init.uniform_(linear.weight, 0, bound)"),),
    ),
    Mistake(
        "init_weights",
        "normal with standard deviation 1 / sqrt(in) instead of uniform",
        ((UNIFORM, "nn.init.normal_(linear.weight, 0.0, bound)"),),
    ),
    Mistake(
        "init_weights",
        "linears normal with standard deviation 0.02, as in milestone 00",
        ((UNIFORM, "nn.init.normal_(linear.weight, 0.0, 0.02)"),),
    ),
]

NEWTON_SCHULZ = [
    *(m for m in milestone01_muon.NEWTON_SCHULZ if not m.says.startswith("X^T X")),
    Mistake(
        "zeropower_via_newtonschulz",
        "a added to every entry of B, not to its diagonal: (a + B) X is not a X + B X",
        ((POLYNOMIAL, POLYNOMIAL.replace(" * identity", "")),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "a X left out: B X alone",
        ((POLYNOMIAL, POLYNOMIAL.replace("3.4445 * identity ", "")),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "X B instead of B X: X X^T stands on the left, and fits there alone",
        ((POLYNOMIAL, "3.4445 * X + X @ (2.0315 * (gram @ gram) - 4.7750 * gram)"),),
    ),
    Mistake(
        "zeropower_via_newtonschulz",
        "X^T X for the matrix A, which is X X^T",
        (
            ("gram = X @ X.mT", "gram = X.mT @ X"),
            (POLYNOMIAL, "3.4445 * X + (2.0315 * (gram @ gram) - 4.7750 * gram) @ X"),
        ),
    ),
]

UPDATE_SCALE = [
    Mistake(
        "update_scale",
        "rows and cols swapped: c_proj gets 2 and c_fc 1",
        ((TALL, "if rows < cols:"), (ROOT, "math.sqrt(cols / rows)")),
    ),
    Mistake(
        "update_scale",
        "milestone 01's scale kept, sqrt(max(rows, cols)): 28 to 55 times too large",
        ((TALL, "if True:"), (ROOT, "math.sqrt(max(rows, cols))")),
    ),
    Mistake(
        "update_scale",
        "rows / cols: the root is missing",
        ((ROOT, "rows / cols"),),
    ),
    Mistake(
        "update_scale",
        "sqrt(rows / cols) for wide matrices too: c_proj gets 0.5 instead of 1",
        ((TALL, "if True:"),),
    ),
    Mistake(
        "update_scale",
        "the longer side by the shorter: wide matrices get more than 1 as well",
        ((TALL, "if True:"), (ROOT, "math.sqrt(max(rows, cols) / min(rows, cols))")),
    ),
    Mistake(
        "update_scale",
        "min instead of max: tall matrices get 1, wide ones less",
        ((TALL, "if rows < cols:"),),
    ),
    Mistake(
        "update_scale",
        "no scale: 1 for every matrix",
        ((TALL, "if False:"),),
    ),
    Mistake(
        "update_scale",
        "// instead of /: the quotient is rounded down",
        ((ROOT, "math.sqrt(rows // cols)"),),
    ),
    Mistake(
        "update_scale",
        "sqrt(rows) for tall matrices: not divided by cols",
        ((ROOT, "math.sqrt(rows)"),),
    ),
    Mistake(
        "update_scale",
        "another Muon's scale: 0.2 * sqrt(max(rows, cols))",
        ((TALL, "if True:"), (ROOT, "0.2 * math.sqrt(max(rows, cols))")),
    ),
    Mistake(
        "update_scale",
        "2 for every tall matrix, whatever its sides",
        ((ROOT, "2.0"),),
    ),
]

SPLIT_PARAMETERS = [
    Mistake(
        "split_parameters",
        "skip_weights in no list: they do not belong to a block, and would stay 1 for ever",
        skipping('name == "skip_weights"'),
    ),
    Mistake(
        "split_parameters",
        "only skip_weights among the scalars: lambdas and lamb are in no list",
        skipping('parameter.dim() < 2 and name != "skip_weights"'),
    ),
    Mistake(
        "split_parameters",
        "no scalars at all: lambdas, lamb and skip_weights would never change",
        skipping("parameter.dim() < 2"),
    ),
    Mistake(
        "split_parameters",
        "lamb in no list: it has no dimension, and dim() == 1 leaves it out",
        skipping("parameter.dim() == 0"),
    ),
    Mistake(
        "split_parameters",
        "lambdas among the matrices: whatever has a dimension goes to Muon",
        ((IS_SCALAR, 'elif parameter.dim() and name != "skip_weights":'),),
    ),
    Mistake(
        "split_parameters",
        "lamb and lambdas among the matrices: all of the blocks goes to Muon",
        ((IS_SCALAR, 'elif name.startswith("h."):'),),
    ),
    Mistake(
        "split_parameters",
        "skip_weights among the matrices",
        ((IS_SCALAR, 'elif parameter.dim() == 2 or name == "skip_weights":'),),
    ),
    Mistake(
        "split_parameters",
        "the embedding left in the head's list, as while they were one table",
        ((FOUR, "return [], embedding + head, scalars, matrices"),),
    ),
    Mistake(
        "split_parameters",
        "the head left in the embedding's list: it would learn far too fast",
        ((FOUR, "return embedding + head, [], scalars, matrices"),),
    ),
    Mistake(
        "split_parameters",
        "embedding and head swapped",
        ((FOUR, "return head, embedding, scalars, matrices"),),
    ),
    Mistake(
        "split_parameters",
        "the head among the matrices too",
        ((FOUR, "return embedding, head, scalars, head + matrices"),),
    ),
    Mistake(
        "split_parameters",
        "every matrix to Muon, both tables too: they are in two lists",
        ((FOUR, "return embedding, head, scalars, embedding + matrices + head"),),
    ),
    Mistake(
        "split_parameters",
        "scalars and matrices swapped",
        ((FOUR, "return embedding, head, matrices, scalars"),),
    ),
    Mistake(
        "split_parameters",
        "matrices first: the order is embedding, head, scalars, matrices",
        ((FOUR, "return matrices, embedding, head, scalars"),),
    ),
    Mistake(
        "split_parameters",
        "the first block in no list",
        skipping('name.startswith("h.0.")'),
    ),
    Mistake(
        "split_parameters",
        "the blocks' weights that start at 0, c_proj, in no list",
        skipping('name.endswith("c_proj.weight")'),
    ),
    Mistake(
        "split_parameters",
        "matrices gathered in a set: every process gets another order, and ranks then disagree",
        ((FOUR, "return embedding, head, scalars, list(set(matrices))"),),
    ),
]

GET_MOMENTUM = [
    Mistake(
        "get_momentum",
        "the ramp reversed: from momentum down to momentum_start",
        (
            ("return args.momentum\n", "return args.momentum_start if warmup else args.momentum\n"),
            (LINE, "part * args.momentum_start + (1 - part) * args.momentum"),
        ),
    ),
    Mistake(
        "get_momentum",
        "the ramp reversed: down to momentum_start, then a jump up to momentum",
        ((LINE, "part * args.momentum_start + (1 - part) * args.momentum"),),
    ),
    Mistake(
        "get_momentum",
        "a step early: computed from step + 1",
        ((ALREADY, "step += 1\n    if step >= warmup:"),),
    ),
    Mistake(
        "get_momentum",
        "no warm-up: momentum from the first step on",
        ((ALREADY, "if True:"),),
    ),
    Mistake(
        "get_momentum",
        "momentum_start for ever: it never rises",
        (
            ("return args.momentum\n", "return args.momentum_start if warmup else args.momentum\n"),
            (LINE, "args.momentum_start"),
        ),
    ),
    Mistake(
        "get_momentum",
        "momentum_start, then a jump to momentum: // instead of /, or no line at all",
        ((LINE, "args.momentum_start"),),
    ),
    Mistake(
        "get_momentum",
        "not stopped at 1: momentum goes on rising after the warm-up",
        ((ALREADY, "if warmup == 0:"),),
    ),
    Mistake(
        "get_momentum",
        "over num_iterations instead of momentum_warmup_iters: too slowly",
        (
            ("warmup = args.momentum_warmup_iters", "warmup = args.num_iterations"),
            (ALREADY, "if not args.momentum_warmup_iters:"),
        ),
    ),
    Mistake(
        "get_momentum",
        "0.85 and 0.95 written down instead of momentum_start and momentum",
        (
            ("return args.momentum\n", "return 0.95\n"),
            (LINE, "(1 - part) * 0.85 + part * 0.95"),
        ),
    ),
    Mistake(
        "get_momentum",
        "500 steps written down instead of momentum_warmup_iters",
        (
            ("warmup = args.momentum_warmup_iters", "warmup = 500"),
            (ALREADY, "if not args.momentum_warmup_iters:"),
        ),
    ),
    Mistake(
        "get_momentum",
        "from 0 instead of from momentum_start",
        ((LINE, "part * args.momentum"),),
    ),
    Mistake(
        "get_momentum",
        "momentum_start + part * momentum: their difference is what must be added",
        (
            ("return args.momentum\n", "return args.momentum_start + args.momentum\n"),
            (LINE, "args.momentum_start + part * args.momentum"),
        ),
    ),
    Mistake(
        "get_momentum",
        "max instead of min: momentum at once, and more than that later",
        (
            (ALREADY, "if warmup == 0:"),
            (PART, "part = max(1.0, step / warmup)"),
        ),
    ),
    Mistake(
        "get_momentum",
        "a step too short: divided by momentum_warmup_iters - 1",
        ((PART, "part = step / (warmup - 1)"),),
    ),
    Mistake(
        "get_momentum",
        "a warm-up of 0 steps not asked for: 0 / 0",
        ((ALREADY, "if step > warmup:"),),
    ),
]

MISTAKES = [
    *INIT_WEIGHTS, *NEWTON_SCHULZ, *UPDATE_SCALE, *SPLIT_PARAMETERS, *GET_MOMENTUM,
]  # fmt: skip

EQUIVALENTS = [
    Equivalent(
        "init_weights",
        "from the last parameter to the first, by name, with other calls for 0, 1 and 0.5",
        (
            (
                f"    {HEAD_ZERO}  # no token preferred: the first loss is ln V\n",
                "    for name, p in reversed(list(model.named_parameters())):\n"
                "        if name.endswith(('lamb', 'lambdas', 'skip_weights')):\n"
                "            p.data = torch.full_like(p, 0.5 if name.endswith('lamb') else 1.0)\n"
                "        else:\n"
                "            still = 'proj' in name or 'head' in name\n"
                "            bound = 0.0 if still else p.size(-1) ** -0.5\n"
                "            nn.init.uniform_(p, -bound, bound)\n"
                "        if name.endswith('lambdas'):\n"
                "            p.data[1] -= 1\n",
            ),
            (f"    {SKIPS}\n", ""),
            ("for block in model.h:", "for block in model.h[:0]:"),
        ),
    ),
    Equivalent(
        "init_weights",
        "everything as a linear is by default, then what differs is put right",
        (
            (
                f"    {HEAD_ZERO}",
                "    for p in model.parameters():\n"
                "        size = p.shape[-1] ** -0.5 if p.dim() else 0.0\n"
                "        nn.init.uniform_(p, -size, size)\n"
                f"    {HEAD_ZERO}",
            ),
            (f"            {UNIFORM}\n", ""),
            (LAMBDAS, "block.lambdas.copy_(torch.eye(2)[0])"),
            (LAMB, "attn.lamb.data.fill_(1 / 2)"),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "a X kept apart, and one product with A for b A + c A A: A (b + c A)",
        (
            (
                POLYNOMIAL,
                "3.4445 * X + (gram @ (2.0315 * gram - 4.7750 * identity)) @ X",
            ),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "sum and product in one call, torch.addmm",
        (
            (
                POLYNOMIAL,
                "torch.addmm(X, gram.addmm(gram, gram, beta=-4.7750, alpha=2.0315), X, "
                "beta=3.4445)",
            ),
        ),
    ),
    Equivalent(
        "zeropower_via_newtonschulz",
        "a tall matrix left standing: its small Gram matrix works from the right",
        (
            (
                "        # X^T has the same singular values; its Gram matrix has the smaller side's"
                " size.\n        return zeropower_via_newtonschulz(U.mT, steps, eps, dtype).mT\n",
                "        X = U.to(dtype) / (U.square().sum(dtype=dtype).sqrt() + eps)\n"
                "        for _ in range(steps):\n"
                "            small = X.mT @ X\n"
                "            X = 3.4445 * X + X @ (2.0315 * (small @ small) - 4.7750 * small)\n"
                "        return X\n",
            ),
        ),
    ),
    Equivalent(
        "update_scale",
        "the longer side over cols",
        ((f"{TALL}\n        return {ROOT}", "return (max(rows, cols) / cols) ** 0.5"),),
    ),
    Equivalent(
        "split_parameters",
        "what is left when the tables and the matrices of the blocks are taken out, by identity",
        (
            (
                FOUR,
                "matrices = [p for p in model.h.parameters() if len(p.shape) > 1][::-1]\n"
                "    tables = [model.wte.weight, model.lm_head.weight]\n"
                "    taken = {id(p) for p in matrices + tables}\n"
                "    scalars = tuple(p for p in model.parameters() if id(p) not in taken)\n"
                "    return tables[:1], tables[1:], scalars, matrices",
            ),
        ),
    ),
    Equivalent(
        "get_momentum",
        "the line cut off at its end: min with momentum",
        (
            (ALREADY, "if warmup == 0:"),
            (
                f"return {LINE}",
                "slope = (args.momentum - args.momentum_start) / warmup\n"
                "    return min(args.momentum, args.momentum_start + step * slope)",
            ),
        ),
    ),
    Equivalent(
        "get_momentum",
        "interpolated by numpy",
        (
            ("import torch\n", "import numpy as np\nimport torch\n"),
            (
                f"return {LINE}",
                "ends = [args.momentum_start, args.momentum]\n"
                "    return np.interp(step, [0, warmup], ends)",
            ),
        ),
    ),
]

SLOW = [
    *milestone01_muon.SLOW,
    Equivalent(
        "zeropower_via_newtonschulz",
        "milestone 01's three products with the long side of X",
        ((POLYNOMIAL, "3.4445 * X + gram @ (2.0315 * (gram @ X) - 4.7750 * X)"),),
    ),
]
