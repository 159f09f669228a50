"""The catalogue's mistakes made once more, in the scripts: edits of train_gpt.py by sentence.

`grader/mistakes/` makes each in the solution.  The two implementations are written differently, so
recognising a mistake in one by its mark in the other is a proof that can fail.
"""

# ruff: noqa: E501 - a sentence is a key, and a key stays whole

from grader.mistakes import milestone01_muon

COUNT = "return (num_tokens - 1) // (batch_size * sequence_length)"
START = "start = (index * batch_size + rank * rows) * sequence_length"
WINDOW = "shard[start : start + rows * sequence_length + 1].astype(np.int64)"
CUT = "return tokens[:-1].view(rows, sequence_length), tokens[1:].view(rows, sequence_length)"

SDPA = "F.scaled_dot_product_attention(q, k, v, is_causal=True)"
SCORES = "q @ k.mT / q.size(-1) ** 0.5"
QKV = ".view(B, T, 3, self.num_heads, -1).unbind(2)"
TRANSPOSED = "q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)"
PROJECTED = "self.c_proj(y.transpose(1, 2).reshape(B, T, D))"

PROGRESS = "(step - args.warmup_iters) / (args.num_iterations - args.warmup_iters)"
COSINE = "0.5 * (1 + math.cos(math.pi * progress))"

DECAYED = "[p for p in model.parameters() if p.dim() >= 2]"
OTHERS = "[p for p in model.parameters() if p.dim() < 2]"

MEAN = "model(x, y) / len(micro_batches)"
SUM = "torch.stack(losses).sum()"


def attending(to: str) -> tuple[tuple[str, str], ...]:
    """Attention with a mask of its own, a (T, T) boolean expression."""
    new = SDPA.replace("is_causal=True", f"attn_mask={to}")
    return ((SDPA, new.replace("ones(T, T)", "ones(T, T, dtype=torch.bool)")),)


def weighing(by: str) -> tuple[tuple[str, str], ...]:
    """Attention with weights of its own, an expression in scores (B, H, T, T)."""
    new = f"scores = {SCORES}\n        y = {by} @ v"
    return ((f"y = {SDPA}", new),)


def scaled(by: str) -> tuple[tuple[str, str], ...]:
    return ((SDPA, SDPA.replace("True", f"True, scale={by}")),)


def sparing(condition: str) -> tuple[tuple[str, str], ...]:
    """Decay groups by a condition on name n and parameter p that says which do not decay."""
    listed = "[p for n, p in model.named_parameters() if {}]"
    return (
        (DECAYED, listed.format(f"not ({condition})")),
        (OTHERS, listed.format(condition)),
    )


MILESTONE00 = {
    # batches_in_shard
    "num_tokens + 1 instead of num_tokens - 1": ((COUNT, COUNT.replace("-", "+")),),
    "one batch taken off instead of one token: num_tokens // (B * T) - 1": (
        (COUNT, COUNT.replace("(num_tokens - 1)", "(num_tokens - batch_size * sequence_length)")),
    ),
    "num_tokens - 1 // (B * T): // binds more tightly than the minus": (
        (COUNT, "return num_tokens - (1 if batch_size * sequence_length == 1 else 0)"),
    ),
    "the last target is not paid for: num_tokens // (B * T), without the - 1": (
        (COUNT, "return int(num_tokens / (batch_size * sequence_length))"),
    ),
    "one batch too few: the last whole batch is left out": (
        (COUNT, "return (num_tokens - 1 - batch_size * sequence_length) // (batch_size * sequence_length)"),
    ),
    "the count is rounded up, so the last batch is incomplete": (
        (COUNT, "return math.ceil((num_tokens - 1) / (batch_size * sequence_length))"),
    ),
    "the count is not rounded: / instead of //": (
        (COUNT, "return (num_tokens - 1) / batch_size / sequence_length"),
    ),
    "one token more for every sequence, B * (T + 1), instead of one for the whole batch": (
        (COUNT, "return num_tokens // (sequence_length + 1) // batch_size"),
    ),
    "one token more for every batch, B * T + 1: neighbouring batches share that token": (
        (COUNT, "return divmod(num_tokens, batch_size * sequence_length + 1)[0]"),
    ),
    "batch_size counted in tokens: num_tokens is not divided by sequence_length": (
        (COUNT, "return divmod(num_tokens - 1, batch_size)[0]"),
    ),
    "sequences counted, not batches: num_tokens is not divided by batch_size": (
        (COUNT, "return divmod(num_tokens - 1, sequence_length)[0]"),
    ),
    "the header subtracted from num_tokens, which does not count it": (
        (COUNT, "return (num_tokens - 257) // batch_size // sequence_length"),
    ),
    # cut_batch
    "targets not shifted: they equal the inputs": ((CUT, CUT.replace("tokens[1:]", "tokens[:-1]")),),
    "targets shifted twice: two tokens later than the inputs": (
        (WINDOW, WINDOW.replace("+ 1]", "+ 2]")),
        (CUT, CUT.replace("tokens[:-1]", "tokens[:-2]").replace("tokens[1:]", "tokens[2:]")),
    ),
    "inputs and targets swapped: each position is asked for the token before it": (
        (CUT, CUT.replace("[:-1]", "[1 :]").replace("[1:]", "[:-1]")),
    ),
    "targets rolled within a row: its last target is its own first token": (
        (CUT, "x = tokens[:-1].view(rows, sequence_length)\n    return x, x.roll(-1, dims=1)"),
    ),
    "a window of B * T tokens, rolled: its last target is its own first token": (
        (CUT, "x = tokens[:-1].view(rows, sequence_length)\n    return x, x.roll(-1)"),
    ),
    "rows start T + 1 tokens apart: one token in T + 1 is never an input": (
        (START, START.replace("* sequence_length", "* (sequence_length + 1)")),
        (WINDOW, WINDOW.replace("rows * sequence_length + 1", "rows * (sequence_length + 1)")),
        (CUT, "both = tokens.view(rows, -1)\n    return both[:, :-1], both[:, 1:]"),
    ),
    "batches start B * T + 1 tokens apart: one token between them is never an input": (
        (START, "start = index * (batch_size * sequence_length + 1) + rank * rows * sequence_length"),
    ),
    "batches start T tokens apart instead of B * T: they overlap": (
        (START, "start = (index + rank * rows) * sequence_length"),
    ),
    "the first batch skipped: index + 1": ((START, f"index += 1\n    {START}"),),
    "the text runs down the columns: reshaped to (T, B) and transposed": (
        (CUT, "return tokens[:-1].view(-1, rows).T, tokens[1:].view(-1, rows).T"),
    ),
    "all ranks read the same rows: rank is not used": (
        (START, "start = index * batch_size * sequence_length"),
    ),
    "a batch further on is one rank's rows further on, not all ranks': ranks overlap": (
        (START, "start = index * rows * sequence_length + rank * rows * sequence_length"),
    ),
    "every rank takes batch_size rows, not its share of them: world_size is not used": (
        ("rows = batch_size // world_size", "rows = batch_size"),
    ),
    "rows dealt out to ranks in turn (rank::world_size), not in one run of rows a rank": (
        (START, "rank_of_rows, rows = rank, batch_size\n    start = index * rows * sequence_length"),
        (CUT, "x, y = tokens[:-1].view(rows, -1), tokens[1:].view(rows, -1)\n    return x[rank_of_rows::world_size], y[rank_of_rows::world_size]"),
    ),
    "ids read as int16: those above 32,767 become negative": (
        (WINDOW, WINDOW.replace("].astype", "].view(np.int16).astype")),
    ),
    # CausalSelfAttention
    "no causal mask: every position sees the future": ((SDPA, SDPA.replace(", is_causal=True", "")),),
    "the mask begins a position late: each position sees the one after it": attending("torch.ones(T, T).tril(1)"),
    "the mask covers the diagonal too: no position sees itself, and the first becomes nan": (
        (SDPA, f"({SCORES} + torch.full((T, T), -torch.inf).triu()).softmax(-1) @ v"),
    ),
    "the mask covers the diagonal too: no position sees itself, and the first one gets zeros": attending("torch.ones(T, T).tril(-1)"),
    "the mask upside down: each position sees itself and the future": attending("torch.ones(T, T).triu()"),
    "the future's scores set to 0 instead of minus infinity: e^0 = 1 still counts": (
        (SDPA, f"({SCORES}).tril().softmax(-1) @ v"),
    ),
    "the mask applied after the softmax: a row's weights no longer sum to 1": (
        (SDPA, f"({SCORES}).softmax(-1).tril() @ v"),
    ),
    "softmax over the queries, dim=-2, instead of the keys": (
        (SDPA, f"({SCORES} + torch.full((T, T), -torch.inf).triu(1)).softmax(-2) @ v"),
    ),
    "scores not scaled by 1 / sqrt(h)": scaled("1.0"),
    "scores scaled by 1 / sqrt(D), the model's width, instead of the head's": scaled("D**-0.5"),
    "scores divided by h instead of sqrt(h)": scaled("1 / q.size(-1)"),
    "scores multiplied by sqrt(h) instead of divided": scaled("q.size(-1) ** 0.5"),
    "the rows of c_attn read in the order k, q, v instead of q, k, v": (
        (SDPA, SDPA.replace("q, k, v", "k, q, v")),
    ),
    "the rows of c_attn read in the order v, k, q instead of q, k, v": (
        (SDPA, SDPA.replace("q, k, v", "v, k, q")),
    ),
    "the rows of c_attn read head by head, (H, 3, h), instead of (3, H, h)": (
        (QKV, ".view(B, T, self.num_heads, 3, -1).unbind(3)"),
    ),
    "heads cut as (h, H) instead of (H, h): a head gets every H-th feature": (
        (QKV, ".view(B, T, 3, -1, self.num_heads).mT.unbind(2)"),
    ),
    "view(B, H, T, h) without a transposition: a head mixes positions": (
        (TRANSPOSED, "q, k, v = (z.reshape(B, self.num_heads, T, -1) for z in (q, k, v))"),
    ),
    "heads put together without transposing back: reshape of (B, H, T, h)": (
        (PROJECTED, "self.c_proj(y.reshape(B, T, D))"),
    ),
    "attention across the heads of one position: (B, T, H, h) never transposed": (
        (TRANSPOSED, "pass"),
        (PROJECTED, "self.c_proj(y.reshape(B, T, D))"),
    ),
    "one head of width D instead of H of width h": ((QKV, QKV.replace("self.num_heads", "1")),),
    "the output projection c_proj left out": ((PROJECTED, "y.transpose(1, 2).reshape(B, T, D)"),),
    "c_attn and c_proj without their biases": (
        ("self.c_attn = nn.Linear(args.model_dim, 3 * args.model_dim)", "self.c_attn = nn.Linear(args.model_dim, 3 * args.model_dim, bias=False)"),
        ("self.c_proj = nn.Linear(args.model_dim, args.model_dim)", "self.c_proj = nn.Linear(args.model_dim, args.model_dim, bias=False)"),
    ),
    "the residual added here as well: the block adds it already": ((PROJECTED, f"{PROJECTED} + x"),),
    "index is not used: always the first batch": (
        (START, "start = rank * rows * sequence_length"),
    ),
    "a rank further on is one row further on, not rows: the ranks overlap": (
        (START, START.replace("rank * rows", "rank")),
    ),
    "scores divided by 8 = sqrt(64), GPT-2's heads, whatever the width of a head is": scaled("1 / 8"),
    # get_lr
    "the warm-up starts at 0: t / warmup_iters instead of (t + 1) / warmup_iters": (
        ("(step + 1) / args.warmup_iters", "step / args.warmup_iters"),
    ),
    "the warm-up lasts a step too long, at more than the peak: <= instead of <": (
        ("if step < args.warmup_iters", "if step < args.warmup_iters + 1"),
    ),
    "no warm-up: the factor is 1 until warmup_iters": ((PROGRESS, PROGRESS.replace("(step - args.warmup_iters)", "max(0, step - args.warmup_iters)")), ("if step < args.warmup_iters", "if False")),
    "the cosine measured from step 0 instead of from the end of the warm-up": ((PROGRESS, "step / args.num_iterations"),),
    "the cosine over num_iterations steps from the end of the warm-up: it never reaches 0": (
        (PROGRESS, "(step - args.warmup_iters) / args.num_iterations"),
    ),
    "the cosine a step early: it starts below the peak": ((PROGRESS, PROGRESS.replace("(step -", "(step + 1 -")),),
    "the cosine a step too short: it reaches 0 at the last update, which is wasted": (
        (PROGRESS, PROGRESS.replace("(args.num_iterations -", "(args.num_iterations - 1 -")),
    ),
    "a quarter of a cosine, cos(pi / 2 * x), instead of (1 + cos(pi * x)) / 2": ((COSINE, "math.cos(math.pi / 2 * progress)"),),
    "a whole cosine, down and up again: cos(2 pi x) instead of cos(pi x)": (
        (COSINE, COSINE.replace("math.pi", "math.tau")),
    ),
    "cos(x) without pi: the factor hardly falls": ((COSINE, "0.5 * (1 + math.cos(progress))"),),
    "cos(pi x) alone: it falls to -1, uphill": ((COSINE, "math.cos(math.pi * progress)"),),
    "1 + cos(pi x) without the half: twice the peak": ((COSINE, "1 + math.cos(math.pi * progress)"),),
    "a straight line down instead of a cosine": ((COSINE, "1 - progress"),),
    "the cosine ends at a tenth of the peak instead of 0": (
        (COSINE, "0.55 + 0.45 * math.cos(math.pi * progress)"),
    ),
    "no cosine: the factor stays 1 after the warm-up": ((COSINE, "progress**0"),),
    "a learning rate returned instead of a factor on it: learning_rate counts twice": (
        ("(step + 1) / args.warmup_iters", "(step + 1) * args.learning_rate / args.warmup_iters"),
        (COSINE, f"{COSINE} * args.learning_rate"),
    ),
    "the sign of the cosine: 1 - cos(pi x) rises from 0 to 1": ((COSINE, COSINE.replace("1 +", "1 -")),),
    # decay_groups
    "everything decays, biases and gains too": (
        (DECAYED, "list(model.parameters())"),
        (OTHERS, "[]"),
    ),
    "nothing decays": ((DECAYED, "[]"), (OTHERS, "list(model.parameters())")),
    "the groups swapped: biases and gains decay, matrices and tables do not": (
        (DECAYED, OTHERS.replace("< 2", "<= 1")),
        (OTHERS, DECAYED.replace(">= 2", "> 1")),
    ),
    "only biases are spared: the norms' gains decay": sparing("n.split('.')[-1] == 'bias'"),
    "only norms are spared: the biases of the linears decay": sparing("'.ln_' in n or n[:4] == 'ln_f'"),
    "the tables of tokens and positions do not decay": sparing("p.dim() < 2 or n[:2] in ('wt', 'wp')"),
    "the table of tokens, which is the head too, does not decay": sparing("p.dim() < 2 or p is model.lm_head.weight"),
    "the table of positions does not decay": sparing("p.dim() < 2 or p is model.wpe.weight"),
    "the tied table listed twice: once as embedding, once as head": (
        (DECAYED, f"[*{DECAYED}, model.lm_head.weight]"),
    ),
    "biases and gains in no group: they would never be updated": ((OTHERS, "[]"),),
    "0.1 written down instead of weight_decay, the argument": (
        ('{"params": decayed, "weight_decay": weight_decay}', '{"params": decayed, "weight_decay": 1e-1}'),
    ),
    "no weight_decay in the second group: AdamW then takes its default, not 0": (
        ('{"params": others, "weight_decay": 0.0}', '{"params": others}'),
    ),
    "> 2 dimensions instead of >= 2: matrices and tables do not decay": (
        (DECAYED, DECAYED.replace(">= 2", "> 2")),
        (OTHERS, OTHERS.replace("< 2", "<= 2")),
    ),
    "== 2 dimensions instead of >= 2": (
        (DECAYED, DECAYED.replace(">= 2", "== 2")),
        (OTHERS, OTHERS.replace("< 2", "!= 2")),
    ),
    # forward_backward
    "micro-batches added up, not averaged: loss and gradient too large": ((MEAN, "model(x, y)"),),
    "the gradients of the micro-batches added up, not averaged; the loss is right": (
        (MEAN, "model(x, y)"),
        (SUM, "torch.stack(losses).mean()"),
    ),
    "the losses of the micro-batches added up, not averaged; the gradient is right": (
        (SUM, f"{SUM} * len(losses)"),
    ),
    "the loss of the last micro-batch returned, not the mean; the gradient is right": (
        (SUM, "losses[-1] * len(losses)"),
    ),
    "the loss of the last micro-batch returned, divided by the number of micro-batches": ((SUM, "losses[-1]"),),
    "divided by the rows of a micro-batch instead of the number of micro-batches": (
        (MEAN, "model(x, y) / device_batch_size"),
    ),
    "divided by the number of rows instead of the number of micro-batches": (
        (MEAN, "model(x, y) / inputs.size(0)"),
    ),
    "one backward() for the sum, after the loop: all activations are in memory at once": (
        ("        loss.backward()\n", ""),
        ("losses.append(loss.detach())", "losses.append(loss)"),
        (f"return {SUM}", f"loss = {SUM}\n    loss.backward()\n    return loss.detach()"),
    ),
    "device_batch_size not used: all rows go through the model at once": (
        ("zip(inputs.split(device_batch_size), targets.split(device_batch_size), strict=True)", "[(inputs, targets)]"),
    ),
    "the loss returned with its graph: detach() is missing": (
        ("losses.append(loss.detach())", "losses.append(loss)"),
    ),
    "only the last gradient is left: zero_grad() in the loop, or backward() after it": (
        ("        loss.backward()\n", ""),
        (f"    return {SUM}", f"    loss.backward()\n    return {SUM}"),
    ),
    "only the first micro-batch is used": (("for x, y in micro_batches:", "micro_batches = micro_batches[:1]\n    for x, y in micro_batches:"),),
    "every micro-batch of inputs held against the first micro-batch's targets": ((MEAN, MEAN.replace("model(x, y)", "model(x, micro_batches[0][1])")),),
    "micro-batches weighted by their rows, but not divided by all rows": (
        (MEAN, "model(x, y) * device_batch_size"),
    ),
    "the gradients clipped to norm 1 after every micro-batch": (
        ("        losses.append", "        nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=1)\n        losses.append"),
    ),
    "no backward(): there is no gradient": (("        loss.backward()\n", ""),),
    "zero_grad() after the loop: no gradient is left for the optimizer": (
        (f"    return {SUM}", f"    model.zero_grad()\n    return {SUM}"),
    ),
    "micro-batch i begins at row i instead of at row i * device_batch_size": (
        ("inputs.split(device_batch_size)", "inputs.unfold(0, device_batch_size, 1)[: len(inputs) // device_batch_size].mT"),
        ("targets.split(device_batch_size)", "targets.unfold(0, device_batch_size, 1)[: len(inputs) // device_batch_size].mT"),
    ),
    "the last micro-batch left out, if there is more than one": (
        ("for x, y in micro_batches:", "for x, y in micro_batches[:-1] or micro_batches:"),
    ),
    "cut along the sequence instead of along the rows: context is lost": (
        ("inputs.split(device_batch_size)", "inputs.split(device_batch_size, dim=1)"),
        ("targets.split(device_batch_size)", "targets.split(device_batch_size, dim=1)"),
        (MEAN, "model(x, y) * x.numel() / inputs.numel()"),
    ),
}  # fmt: skip

RISE = "(step + 1) / args.warmup_iters"
FLAT = "    if step < args.num_iterations - args.warmdown_iters:\n        return 1.0\n"
FALL = "(args.num_iterations - step) / args.warmdown_iters"

NORM = "(U.norm() + eps)"
LOOP = "    for _ in range(steps):\n"
GRAM = "        A = X @ X.T\n"
TERMS = "a * X + b * B + c * (A @ B)"
COEFFICIENTS = "3.4445, -4.7750, 2.0315"

PIECES = "return U.split(cols) if rows == 3 * cols else (U,)"

MOMENTUM = 'state["momentum_buffer"].mul_(mu).add_(p.grad)'
LOOK_AHEAD = 'p.grad + mu * M if group["nesterov"] else M'
SCALE = "math.sqrt(max(pieces[0].shape))"
RATE = 'alpha=-group["lr"] * scale'
UPDATE = f"p.add_(torch.cat(pieces).to(p.dtype), {RATE})"

LISTS = "return [model.wte.weight], list(model.h.parameters())"


def coefficients(new: str) -> tuple[tuple[str, str], ...]:
    return ((COEFFICIENTS, new),)


def pieces(of_fused: str) -> tuple[tuple[str, str], ...]:
    """split_qkv with another expression for a fused matrix."""
    return ((PIECES, PIECES.replace("U.split(cols)", of_fused)),)


def scale(new: str) -> tuple[tuple[str, str], ...]:
    return ((SCALE, new),)


def lists(new: str) -> tuple[tuple[str, str], ...]:
    return ((LISTS, f"return {new}"),)


def left_to_adamw(kind: str) -> tuple[tuple[str, str], ...]:
    """split_parameters with the matrices whose name has `kind` in it beside the table."""
    found = "[p for n, p in model.h.named_parameters() if {}]"
    left, muon = found.format(f"'{kind}' in n"), found.format(f"'{kind}' not in n")
    return lists(f"[model.wte.weight] + {left}, {muon}")


MILESTONE01 = {
    # get_lr
    "the warm-up starts at 0: step / warmup_iters, not (step + 1) / warmup_iters": (
        (RISE, "step / args.warmup_iters"),
    ),
    "the warm-up lasts a step too long, at more than the peak: <= instead of <": (
        ("if step < args.warmup_iters", "if step <= args.warmup_iters"),
    ),
    "no warm-up: the factor starts at 1": ((RISE, "1.0"),),
    "the warm-down a step early: num_iterations - 1 - step, so the last update is wasted": (
        (FALL, FALL.replace("- step", "- 1 - step")),
    ),
    "no warm-down: the factor stays 1": ((FALL, "1.0"),),
    "the warm-down turned round: it drops to 0 and rises": ((FALL, f"1 - {FALL}"),),
    "the warm-down divided by num_iterations instead of warmdown_iters: it starts with a drop": (
        (FALL, "1 - step / args.num_iterations"),
    ),
    "no flat part: the straight line down begins where the warm-up ends": (
        (FLAT, ""),
        (FALL, "1 - (step - args.warmup_iters) / (args.num_iterations - args.warmup_iters)"),
    ),
    "half a cosine for the warm-down instead of a straight line": (
        (FALL, f"math.sin(0.5 * math.pi * {FALL}) ** 2"),
    ),
    "milestone 00's cosine kept: it falls from the end of the warm-up on": (
        (FLAT, f"    progress = {PROGRESS}\n"),
        (FALL, COSINE),
    ),
    "the warm-down ends near a tenth of the peak instead of at 1 / warmdown_iters": (
        (FALL, f"1 - 0.9 * (1 - {FALL})"),
    ),
    "a learning rate returned instead of a factor on it: it counts twice": (
        (RISE, f"{RISE} * args.learning_rate"),
        ("return 1.0", "return args.learning_rate"),
        (FALL, f"{FALL} * args.learning_rate"),
    ),
    "the warm-up a step too long: (step + 1) / (warmup_iters + 1), so 1 is not reached in it": (
        (RISE, RISE.replace("args.warmup_iters", "(1 + args.warmup_iters)")),
    ),
    "the warm-down divided by warmdown_iters + 1: it starts below 1": (
        (FALL, FALL.replace("args.warmdown_iters", "(1 + args.warmdown_iters)")),
    ),
    "the warm-down divided by warmdown_iters - 1: it reaches 0 at the last update": (
        (FALL, "1 - (step - args.num_iterations + args.warmdown_iters) / (args.warmdown_iters - 1)"),
    ),
    "// instead of / in the warm-up: 0 until its last step": ((RISE, RISE.replace("/", "//")),),
    # zeropower_via_newtonschulz
    "eps added to U / norm, not to the norm: parentheses": ((NORM, "U.norm() + eps"),),
    "X^T X for the matrix A, which is X X^T": ((GRAM, GRAM.replace("X @ X.T", "X.T @ X")),),
    "A * A, entry by entry, instead of the product A @ A": ((TERMS, "a * X + b * B + c * (A.square() @ X)"),),
    "a coefficient short of a digit: 2.031 instead of 2.0315": coefficients("3.4445, -4.7750, 2.031"),
    "two digits of c swapped: 2.0351 instead of 2.0315": coefficients("3.4445, -4.7750, 2.0351"),
    "the sign of b lost: + 4.7750 instead of - 4.7750": coefficients("3.4445, 4.7750, 2.0315"),
    "c applied to A X instead of A A X": ((TERMS, TERMS.replace("(A @ B)", "B")),),
    "b and c swapped: b belongs to A X, c to A A X": coefficients("3.4445, 2.0315, -4.7750"),
    "the cubic iteration 1.5 X - 0.5 A X instead of the quintic": coefficients("1.5, -0.5, 0.0"),
    "the textbook's coefficients 15/8, -10/8, 3/8: they converge to 1, but slowly": coefficients("15 / 8, -10 / 8, 3 / 8"),
    "one iteration too many": ((LOOP, LOOP.replace("steps", "steps + 1")),),
    "one iteration too few": ((LOOP, LOOP.replace("steps", "steps - 1")),),
    "always 10 iterations, whatever steps says": ((LOOP, f"    steps = 10\n{LOOP}"),),
    "always 5 iterations, whatever steps says": ((LOOP, f"    steps = 5\n{LOOP}"),),
    "the matrix A computed once, before the loop": ((LOOP + GRAM, f"    A = X @ X.T\n{LOOP}"),),
    "every row normalised, after transposing, instead of the matrix": (
        (f" / {NORM}", ""),
        (LOOP, f"    X = X / (X.norm(dim=1, keepdim=True) + eps)\n{LOOP}"),
    ),
    "every row normalised, before transposing, instead of the matrix": (
        (NORM, "(U.norm(dim=1, keepdim=True) + eps)"),
    ),
    "no division by the norm: the iteration runs off": ((f" / {NORM}", ""),),
    "divided by the square of the norm: the root is missing": ((NORM, "(U.norm() ** 2 + eps)"),),
    "divided by the root of the mean square: singular values above 1 are left": (
        (NORM, "(U.norm() / U.numel() ** 0.5 + eps)"),
    ),
    "divided by the largest singular value instead of the Frobenius norm": (
        (NORM, "(torch.linalg.matrix_norm(U, ord=2) + eps)"),
    ),
    "divided by the largest entry instead of the Frobenius norm": ((NORM, "(U.norm(torch.inf) + eps)"),),
    "normalised again in every iteration": ((GRAM, f"        X = X.div(X.norm() + eps)\n{GRAM}"),),
    "eps left out: a matrix of zeros becomes 0 / 0": ((NORM, "U.norm()"),),
    "tall matrices not transposed back": (("return X.T if tall else X", "return X"),),
    "no iteration at all: the matrix is only divided by its norm": ((LOOP, LOOP.replace("steps", "0")),),
    # split_qkv
    "q, k and v not split: orthogonalised jointly": ((PIECES, "return (U,)"),),
    "q, k and v returned in reverse": pieces("U.split(cols)[::-1]"),
    "returned in the order k, q, v": pieces("[U.split(cols)[i] for i in (1, 0, 2)]"),
    "every third row taken instead of thirds of the rows": pieces("U.view(cols, 3, cols).unbind(1)"),
    "split along the columns instead of the rows": pieces("U.chunk(3, dim=1)"),
    "split into heads, here two for each of q, k and v": pieces("U.split(cols // 2)"),
    "the pieces returned transposed": pieces("[piece.T for piece in U.split(cols)]"),
    "every matrix cut in three, whatever its shape": ((PIECES, "return U.chunk(3)"),),
    "every tall matrix cut into squares, the MLPs' too": ((PIECES, PIECES.replace("== 3 * cols", "> cols")),),
    "the condition turned round: the fused matrix stays whole, a tall one is cut": (
        (PIECES, PIECES.replace("==", "!=")),
    ),
    "U.split(3): split takes the length of a piece, not their number": pieces("U.split(3)"),
    # Muon
    "momentum 0.9 written down instead of the one given": (('mu = group["momentum"]', "mu = 0.9"),),
    "no look-ahead: none, or with the old buffer, or with a gradient already cleared": ((LOOK_AHEAD, "M"),),
    "Nesterov always, whatever the argument says": ((LOOK_AHEAD, "p.grad.add(M, alpha=mu)"),),
    "the look-ahead without its factor: gradient + buffer": ((LOOK_AHEAD, LOOK_AHEAD.replace("mu * ", "")),),
    "an averaging buffer, (1 - mu) G, in a look-ahead made for a summing one": (
        (MOMENTUM, 'state["momentum_buffer"].lerp_(p.grad, 1 - mu)'),
    ),
    "the buffer overwritten by the look-ahead": (
        (LOOK_AHEAD, 'M.mul_(mu).add_(p.grad) if group["nesterov"] else M'),
    ),
    "the buffer begins as the first gradient, which is then added once more": (
        ("torch.zeros_like(p)", "p.grad.clone()"),
    ),
    "the buffer is not kept: every step begins with an empty one": ((MOMENTUM, "p.grad.clone()"),),
    "no momentum in the sum: gradients are added up undamped": ((MOMENTUM, MOMENTUM.replace(".mul_(mu)", "")),),
    "momentum after orthogonalising: the gradient is orthogonalised, not the look-ahead": (
        (MOMENTUM, 'state["momentum_buffer"].mul_(mu)'),
        (LOOK_AHEAD, "p.grad"),
        (UPDATE, f"O = torch.cat(pieces)\n                M.add_(O)\n                p.add_(O + mu * M if group['nesterov'] else M, {RATE})"),
    ),
    "nothing is orthogonalised: plain momentum": (
        ("zeropower_via_newtonschulz(piece, *self.newton_schulz) for", "piece for"),
    ),
    "q, k and v not split before orthogonalising: split_qkv is not called": (("split_qkv(U)\n", "(U,)\n"),),
    "q, k and v not split before orthogonalising, though the scale is that of a part": (
        ("split_qkv(U)\n", "(U,)\n"),
        (SCALE, SCALE.replace("pieces[0]", "split_qkv(p)[0]")),
    ),
    "no scale: sqrt(max(rows, cols)) is missing": scale("1.0"),
    "scale sqrt(min(rows, cols)) instead of sqrt(max(rows, cols))": scale(SCALE.replace("max", "min")),
    "scale sqrt(rows * cols) instead of sqrt(max(rows, cols))": scale("math.sqrt(pieces[0].numel())"),
    "scale max(rows, cols): the root is missing": scale("max(pieces[0].shape)"),
    "scale sqrt(rows) instead of sqrt(max(rows, cols))": scale("math.sqrt(pieces[0].size(0))"),
    "scale sqrt(cols) instead of sqrt(max(rows, cols))": scale("math.sqrt(p.size(1))"),
    "a later Muon's scale: sqrt(max(1, rows / cols))": scale("math.sqrt(max(1, pieces[0].size(0) / p.size(1)))"),
    "another Muon's scale: 0.2 * sqrt(max(rows, cols))": scale(f"{SCALE} / 5"),
    "scale taken from the fused matrix, three times as tall": scale(SCALE.replace("pieces[0]", "p")),
    "the update added instead of subtracted": ((RATE, RATE.replace("-", "")),),
    "the learning rate read once, at construction: the schedule has no effect": (
        ("self.newton_schulz = (", "self.first_lr = lr\n        self.newton_schulz = ("),
        (RATE, "alpha=-self.first_lr * scale"),
    ),
    "weights decay by 0.1 times the learning rate, as under AdamW": (
        (UPDATE, f"p.sub_(0.1 * group['lr'] * p)\n                {UPDATE}"),
    ),
    "the factor 0.1 taken here as well: muon_learning_rate has it already": ((RATE, f"{RATE} / 10"),),
    "only the last matrix is updated: the update stands after the loop over them": (
        (UPDATE, f"if p is group['params'][-1]:\n                    {UPDATE}"),
    ),
    "newton_schulz_eps not passed on: 1e-7 written down": (
        ("piece, *self.newton_schulz)", "piece, self.newton_schulz[0], 1e-7, self.newton_schulz[2])"),
    ),
    "newton_schulz_steps not passed on: 5 written down": (
        ("piece, *self.newton_schulz)", "piece, 5, *self.newton_schulz[1:])"),
    ),
    "the weights never change: W = W - ... makes a new tensor": ((UPDATE, UPDATE.replace("add_(", "add(")),),
    "the momentum multiplied in after the gradient is added: (M + G) * mu": (
        (MOMENTUM, 'state["momentum_buffer"].add_(p.grad).mul_(mu)'),
    ),
    "the first gradient itself kept as the buffer, no copy of it: the next one overwrites it": (
        ('state["momentum_buffer"] = torch.zeros_like(p)', 'state["momentum_buffer"], state["new"] = p.grad, True'),
        (MOMENTUM, f'state["momentum_buffer"] if state.pop("new", False) else {MOMENTUM}'),
    ),
    "the update not cast back: rounded once more in Newton-Schulz's dtype": (
        (UPDATE, "p.sub_(group['lr'] * (torch.cat(pieces) * scale))"),
    ),
    "the momentum on the wrong term: mu * G + M": (
        (MOMENTUM, 'state["momentum_buffer"].add_(p.grad, alpha=mu)'),
    ),
    "the pieces of q, k and v put together again in reverse": (
        (UPDATE, UPDATE.replace("torch.cat(pieces)", "torch.cat(pieces[::-1])")),
    ),
    # split_parameters
    "the projections of the MLPs, mlp.c_proj, left to AdamW": left_to_adamw("mlp.c_proj"),
    "the matrices of attention left to AdamW": left_to_adamw("attn."),
    "the fused matrix of q, k and v, attn.c_attn, left to AdamW": left_to_adamw("c_attn"),
    "the two lists swapped: the table to Muon, the matrices to AdamW": lists("list(model.h.parameters()), [model.wte.weight]"),
    "every matrix to Muon, the tied table too; AdamW gets nothing": lists("[], list(model.parameters())"),
    "the tied table in both lists": lists("[model.wte.weight], list(model.parameters())"),
    "the tied table listed twice: once as embedding, once as head": lists(
        "[model.wte.weight, model.lm_head.weight], list(model.h.parameters())"
    ),
    "everything to AdamW; Muon gets nothing": lists("list(model.parameters()), []"),
    "the matrices to both optimizers": lists("list(model.parameters()), list(model.h.parameters())"),
    "the first block in neither list": lists("[model.wte.weight], list(model.h[1:].parameters())"),
    "the list of matrices begun anew for every block: only the last block's are left": lists(
        "[model.wte.weight], list(model.h[-1].parameters())"
    ),
}  # fmt: skip

MULTIPLE = "return -(-v // n) * n"
SPEEDS = "base ** (-torch.arange(0, h, 2, **like) / h)"
ANGLES = "torch.outer(torch.arange(T, **like), frequencies)"
TABLES = "angles.cos()[:, None], angles.sin()[:, None]"
HALVES = "a, b = x.chunk(2, dim=3)"
ROTATED = "torch.cat([a * cos + b * sin, b * cos - a * sin], dim=3)"
QK_NORM = "q, k = rms_norm(q, self.norm_eps), rms_norm(k, self.norm_eps)"
ROTATE = "q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)"
EACH = "(c(x).view(B, T, self.num_heads, -1) for c in (self.c_q, self.c_k, self.c_v))"
Q, K, V, PROJ = (
    f"self.c_{name} = nn.Linear(args.model_dim, args.model_dim, bias=False)"
    for name in ("q", "k", "v", "proj")
)
FC = "self.c_fc = nn.Linear(args.model_dim, 4 * args.model_dim, bias=False)"
DOWN = "self.c_proj = nn.Linear(4 * args.model_dim, args.model_dim, bias=False)"
RELU2 = "self.c_proj(F.relu(self.c_fc(x)).square())"
ZERO = 'name.endswith("c_proj.weight")'
BOUND = "1 / math.sqrt(p.size(1))  # weights"
DRAW = "nn.init.uniform_(p, -bound, bound)"


def normed(new: str) -> tuple[tuple[str, str], ...]:
    """QK-norm in another way, an expression in z, for q and k alike."""
    return ((QK_NORM, f"q, k = ({new} for z in (q, k))"),)


def hidden(new: str) -> tuple[tuple[str, str], ...]:
    """The MLP with other hidden features, an expression in z = c_fc(x)."""
    return ((f"return {RELU2}", f"z = self.c_fc(x)\n        return self.c_proj({new})"),)


def biased(*linears: str) -> tuple[tuple[str, str], ...]:
    return tuple((linear, linear.replace(", bias=False", "")) for linear in linears)


def zeroing(condition: str) -> tuple[tuple[str, str], ...]:
    """init_weights with another condition on the name of what starts at 0."""
    return ((ZERO, condition),)


def drawn(new: str) -> tuple[tuple[str, str], ...]:
    return ((DRAW, new),)


MILESTONE02 = {
    # next_multiple_of_n
    "a bit mask, & ~(n - 1): right for powers of two alone": ((MULTIPLE, "return (v + n - 1) & -n"),),
    "rounded down; ceil(v // n) does so too, it comes too late": ((MULTIPLE, "return v // n * n"),),
    "a multiple of n gets n more: it should stay as it is": ((MULTIPLE, "return (v // n + 1) * n"),),
    "rounded to the nearest multiple: below v, half of the time": ((MULTIPLE, "return (v + n // 2) // n * n"),),
    "the number of multiples: not multiplied by n again": ((MULTIPLE, "return -(-v // n)"),),
    "what is missing to the next multiple, without v itself": ((MULTIPLE, f"{MULTIPLE} - v"),),
    "v + n - 1, not yet divided by n and multiplied again": ((MULTIPLE, "return n + (v - 1)"),),
    "the next power of two": ((MULTIPLE, "return 1 << (v - 1).bit_length()"),),
    "v itself: nothing is padded": ((MULTIPLE, "return v"),),
    # rotary
    "no gradient flows through: @torch.no_grad(), .data or detach()": ((HALVES, HALVES.replace("x.", "x.data.")),),
    "neighbours paired, features 2j and 2j + 1, instead of j and j + h/2": (
        (HALVES, "a, b = x[..., ::2], x[..., 1::2]"),
        (ROTATED, ROTATED.replace("cat", "stack").replace("dim=3)", "dim=4).flatten(3)")),
    ),
    "neighbours paired, 2j and 2j + 1, and put back as halves": (
        (HALVES, "a, b = x.unflatten(3, (-1, 2)).unbind(4)"),
    ),
    "neighbours paired, 2j and 2j + 1, with the angles of pairs j and j + h/2": (
        (HALVES, "cos, sin = torch.cat([cos, cos], dim=2), torch.cat([sin, sin], dim=2)"),
        (ROTATED, "x * cos + torch.stack([x[..., 1::2], -x[..., 0::2]], dim=4).flatten(3) * sin"),
    ),
    "turned the other way: a cos - b sin, b cos + a sin": (
        (ROTATED, "torch.cat([a * cos - b * sin, b * cos + a * sin], dim=3)"),
    ),
    "two plus signs: a cos + b sin, b cos + a sin is no rotation": ((ROTATED, ROTATED.replace("-", "+")),),
    "exponent j/h instead of 2j/h: all but the first pair turn too fast": (
        (SPEEDS, "base ** (-torch.arange(0, h // 2, **like) / h)"),
    ),
    "exponent 4j/h instead of 2j/h: all but the first pair turn too slowly": (
        (SPEEDS, SPEEDS.replace("/ h", "/ (h / 2)")),
    ),
    "exponent without its minus: all but the first pair turn faster, not more slowly": (
        (SPEEDS, SPEEDS.replace("-", "")),
    ),
    "frequencies from 1 to 1 / base inclusive: exponent j / (h/2 - 1) instead of j / (h/2)": (
        (SPEEDS, "base ** -torch.linspace(0, 1, h // 2, **like)"),
    ),
    "one frequency for all pairs: a radian a position": ((SPEEDS, "torch.ones(h // 2, **like)"),),
    "10,000 written down instead of base, the argument": ((SPEEDS, SPEEDS.replace("base", "1e4")),),
    "half of the pairs not turned, as in later records": (
        (SPEEDS, f"{SPEEDS} * (torch.arange(0, h, 2, device=x.device) < h / 2)"),
    ),
    "positions counted from 1: no score would change, but position 0 should stay as it is": (
        (ANGLES, ANGLES.replace("**like)", "**like) + 1")),
    ),
    "positions counted backwards, from the end of the sequence": (
        (ANGLES, ANGLES.replace("**like)", "**like).flip(0)")),
    ),
    "positions counted along the heads instead of T": (
        ("T, h = x.size(1), x.size(3)", "T, h = x.size(2), x.size(3)"),
        (TABLES, "angles.cos(), angles.sin()"),
    ),
    "nothing turned: x comes back as it was": ((ROTATED, "torch.cat([a, b], dim=3)"),),
    "the sines left out: a cos, b cos": ((ROTATED, "torch.cat([a * cos, b * cos], dim=3)"),),
    "sine and cosine swapped: a sin + b cos, b sin - a cos": (
        (TABLES, "angles.sin()[:, None], angles.cos()[:, None]"),
    ),
    "the two halves put together in the wrong order": (
        (ROTATED, "torch.cat([b * cos - a * sin, a * cos + b * sin], dim=3)"),
    ),
    "the new b made from the new a: a is overwritten before b needs it": (
        (HALVES, f"{HALVES}\n    a = a * cos + b * sin"),
        (ROTATED, "torch.cat([a, b * cos - a * sin], dim=3)"),
    ),
    "angles in x's dtype: bfloat16 does not hold every integer above 256": (
        ('like = {"dtype": torch.promote_types(x.dtype, torch.float32), ', 'like = {"dtype": x.dtype, '),
    ),
    "angles times 2 pi: t * base^(-2j/h) are radians already": ((SPEEDS, f"2 * math.pi * {SPEEDS}"),),
    "x changed in place": ((ROTATED, f"x.copy_({ROTATED})"),),
    # CausalSelfAttention
    "no QK-norm": ((QK_NORM, "pass"),),
    "QK-norm of q alone": ((QK_NORM, "q = rms_norm(q, self.norm_eps)"),),
    "QK-norm of k alone": ((QK_NORM, "k = rms_norm(k, self.norm_eps)"),),
    "v normalised too": ((QK_NORM, "q, k, v = (rms_norm(z, self.norm_eps) for z in (q, k, v))"),),
    "QK-norm over all D features instead of each head's": normed(
        "rms_norm(z.flatten(2), self.norm_eps).view_as(z)"
    ),
    "QK-norm over the positions instead of a head's features": normed(
        "rms_norm(z.transpose(1, 3), self.norm_eps).transpose(1, 3)"
    ),
    "QK-norm over the heads instead of a head's features": normed("rms_norm(z.mT, self.norm_eps).mT"),
    "q and k divided by their length, not by their root mean square: sum instead of mean": normed(
        "z * (z.square().sum(3, keepdim=True) + self.norm_eps).rsqrt()"
    ),
    "F.normalize: q and k divided by their length, without args.norm_eps": normed("F.normalize(z, dim=3)"),
    "k normalised from q: what c_k made is lost": (
        (QK_NORM, "q = rms_norm(q, self.norm_eps)\n        k = rms_norm(q, self.norm_eps)"),
    ),
    "QK-norm without the root: divided by the mean square": normed(
        "z / (z.square().mean(3, keepdim=True) + self.norm_eps)"
    ),
    "LayerNorm in place of the RMS norm: the mean is subtracted": normed(
        "F.layer_norm(z, z.shape[3:], eps=self.norm_eps)"
    ),
    "args.norm_eps not used: QK-norm without an epsilon, or with one written down": normed("rms_norm(z, 1e-6)"),
    "QK-norm with learned gains: nn.RMSNorm has one for each feature": (
        (PROJ, f"{PROJ}\n        for name in ('q_norm', 'k_norm'):\n            self.add_module(name, nn.RMSNorm(args.model_dim // args.num_heads, eps=args.norm_eps))"),
        (QK_NORM, "q, k = self.q_norm(q), self.k_norm(k)"),
    ),
    "scores not scaled by 1 / sqrt(h); a scale before the norm is normalised away": scaled("1.0"),
    "scores divided by h instead of sqrt(h)": scaled("1 / q.size(-1)"),
    "scores scaled by 1 / sqrt(D), the model's width, instead of the head's": scaled("D**-0.5"),
    "scores multiplied by sqrt(h) instead of divided": scaled("q.size(-1) ** 0.5"),
    "no rotary positions: not called, or on (B, H, T, h), where it takes heads for positions": (
        (ROTATE, "pass"),
        (SDPA, SDPA.replace("q, k, v", "rotary(q, self.rotary_base), rotary(k, self.rotary_base), v")),
    ),
    "q and k turned twice": ((ROTATE, "q, k = (rotary(rotary(z, self.rotary_base), self.rotary_base) for z in (q, k))"),),
    "only q turned by rotary": ((ROTATE, "q = rotary(q, self.rotary_base)"),),
    "only k turned by rotary": ((ROTATE, "k = rotary(k, self.rotary_base)"),),
    "v turned by rotary too": ((ROTATE, "q, k, v = (rotary(z, self.rotary_base) for z in (q, k, v))"),),
    "rotary over all D features, before they are cut into heads": (
        (ROTATE, "q, k = (rotary(z.reshape(B, T, 1, D), self.rotary_base).view_as(z) for z in (q, k))"),
    ),
    "10,000 written down instead of args.rotary_base": ((ROTATE, "q, k = rotary(q, 1e4), rotary(k, 1e4)"),),
    "no causal mask: every position sees the future": ((SDPA, SDPA.replace(", is_causal=True", "")),),
    "the mask begins a position late: each position sees the one after it": attending("torch.ones(T, T).tril(1)"),
    "future scores set to 0 instead of -inf: exp(0) = 1 is a weight too": weighing("scores.tril().softmax(-1)"),
    "the future set to 0 after softmax: what is left no longer adds up to 1": weighing("scores.softmax(-1).tril()"),
    "QK-norm with epsilon added to the root, not under it": normed(
        "z / (z.square().mean(3, keepdim=True).sqrt() + self.norm_eps)"
    ),
    "softmax over the queries instead of the keys: the axis before the last": weighing(
        "scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf).softmax(-2)"
    ),
    "attention over the heads of one position: on (B, T, H, h) instead of (B, H, T, h)": (
        (TRANSPOSED, "pass"),
        (PROJECTED, "self.c_proj(y.reshape(B, T, D))"),
    ),
    "the mask upside down: each position sees itself and the future": attending("torch.ones(T, T).triu()"),
    "q and k swapped: c_q gives the keys, c_k the queries": ((SDPA, SDPA.replace("q, k, v", "k, q, v")),),
    "k from c_q as well: c_k is never used": ((EACH, EACH.replace("self.c_k", "self.c_q")),),
    "v from c_k: c_v is never used": ((EACH, EACH.replace("self.c_v", "self.c_k")),),
    "heads cut as (h, H) instead of (H, h): a head gets every H-th feature": (
        (EACH, EACH.replace("self.num_heads, -1)", "-1, self.num_heads).mT")),
    ),
    "view(B, H, T, h) of what is (B, T, D): features and positions mixed up": (
        (EACH, EACH.replace("T, self.num_heads, -1)", "self.num_heads, T, -1).transpose(1, 2)")),
    ),
    "one head of width D instead of H of width h": ((EACH, EACH.replace("self.num_heads", "1")),),
    "heads put together in a wrong order: reshape of (B, H, T, h)": ((PROJECTED, "self.c_proj(y.reshape(B, T, D))"),),
    "the output projection c_proj left out": ((PROJECTED, "y.transpose(1, 2).reshape(B, T, D)"),),
    "the residual added here as well: the block adds it already": ((PROJECTED, f"{PROJECTED} + x"),),
    "the factor 1 / sqrt(2 num_layers) of milestone 01 kept": (
        (PROJ, f"{PROJ}\n        self.layers = args.num_layers"),
        (PROJECTED, f"{PROJECTED} / math.sqrt(self.layers * 2)"),
    ),
    "c_q, c_k, c_v and c_proj with biases": biased(Q, K, V, PROJ),
    "q, k and v from one linear, c_attn, as in milestone 01": (
        (Q, "self.c_attn = nn.Linear(args.model_dim, 3 * args.model_dim, bias=False)"),
        (K, "pass"),
        (V, "pass"),
        (EACH, "self.c_attn(x).view(B, T, 3, self.num_heads, -1).unbind(2)"),
    ),
    # MLP
    "ReLU without the square": hidden("F.relu(z)"),
    "the square without ReLU, or before it: z^2 is never negative": hidden("F.relu(z.square())"),
    "GELU, as in milestone 01": hidden("F.gelu(z)"),
    "GELU, squared": hidden("F.gelu(z).square()"),
    "SiLU, z sigmoid(z)": hidden("F.silu(z)"),
    "z |z|: the negative squared too, with its sign": hidden("F.relu(z).square() - F.relu(-z).square()"),
    "the sign of ReLU: the negative is kept, the positive becomes 0": hidden("F.relu(-z).square()"),
    "half of ReLU^2, as if it were an integral of ReLU": hidden("0.5 * F.relu(z).square()"),
    "the square taken after c_proj instead of before it": ((RELU2, "self.c_proj(F.relu(self.c_fc(x))).square()"),),
    "ReLU^2 after c_proj as well": ((RELU2, f"F.relu({RELU2}).square()"),),
    "ReLU^2 after c_proj instead of before it": ((RELU2, "F.relu(self.c_proj(self.c_fc(x))).square()"),),
    "ReLU^2 of x, before c_fc": ((RELU2, "self.c_proj(self.c_fc(F.relu(x).square()))"),),
    "no activation: two matrices in a row are one": hidden("z"),
    "the square cut off from the gradient: z * z.detach() has half the slope": hidden("F.relu(z).detach() * F.relu(z)"),
    "the residual added in the MLP: the block adds it already": ((RELU2, f"{RELU2} + x"),),
    "c_fc and c_proj with biases": biased(FC, DOWN),
    "no wider inside than outside: D instead of 4D": ((FC, FC.replace("4 * ", "")), (DOWN, DOWN.replace("4 * ", ""))),
    # init_weights
    "no projection starts at 0": zeroing("False"),
    "attn.c_proj does not start at 0, only mlp.c_proj does": zeroing('"mlp.c_proj" in name'),
    "mlp.c_proj does not start at 0, only attn.c_proj does": zeroing('"attn.c_proj" in name'),
    "only the first block's projections start at 0": zeroing(f'{ZERO} and name.startswith("h.0.")'),
    "c_fc starts at 0 too: the MLP is 0, and its gradients are, for ever": zeroing(f'{ZERO} or "c_fc" in name'),
    "c_fc starts at 0 in place of mlp.c_proj": zeroing('name.split(".", 2)[-1] in ("attn.c_proj.weight", "mlp.c_fc.weight")'),
    "c_v starts at 0 too: attention is 0, and its gradients are, for ever": zeroing(f'{ZERO} or "c_v" in name'),
    "c_v starts at 0 in place of attn.c_proj": zeroing('name.split(".", 2)[-1] in ("attn.c_v.weight", "mlp.c_proj.weight")'),
    "c_q starts at 0 too: every position weighs its past evenly": zeroing(f'{ZERO} or "c_q" in name'),
    "the head starts at 0 too; it is the table of tokens: nothing would ever be learned": zeroing(f"{ZERO} or p is model.wte.weight"),
    "everything starts at 0": zeroing("True"),
    "bound 1 / sqrt(out) instead of 1 / sqrt(in): weights are stored (out, in)": ((BOUND, BOUND.replace("size(1)", "size(0)")),),
    "the table's bound 1 / sqrt(V) instead of 1 / sqrt(D)": ((BOUND, BOUND.replace("size(1)", 'size(0 if name == "wte.weight" else 1)')),),
    "bound 1 / in: the root is missing": ((BOUND, BOUND.replace("math.sqrt(p.size(1))", "p.size(1)")),),
    "bound sqrt(3 / in): then the standard deviation, not the bound, is 1 / sqrt(in)": drawn("nn.init.uniform_(p, -bound * math.sqrt(3), bound * math.sqrt(3))"),
    "uniform between -0.02 and 0.02, whatever a linear's inputs": drawn("nn.init.uniform_(p, -0.02, 0.02)"),
    "from -1 / sqrt(in) to 1: the upper bound is 1 if it is not given": drawn("nn.init.uniform_(p, -bound)"),
    "from 0 to 1 / sqrt(in): no negative weights": drawn("nn.init.uniform_(p, 0.0, bound)"),
    "normal with standard deviation 1 / sqrt(in) instead of uniform": drawn("nn.init.normal_(p, std=bound)"),
    "normal with standard deviation 0.02, as in milestone 00": drawn("nn.init.normal_(p, std=0.02)"),
    "the table from a standard normal distribution, as nn.Embedding starts by default": drawn(
        'nn.init.normal_(p) if "wte" in name else nn.init.uniform_(p, -bound, bound)'
    ),
    "projections scaled by 1 / sqrt(2 num_layers), as in milestone 00, instead of 0": (
        ("nn.init.zeros_(p)", "bound = (2 * len(model.h) * p.size(1)) ** -0.5\n            nn.init.uniform_(p, -bound, bound)"),
    ),
}  # fmt: skip

NOTED = "layout.append((index % world_size, start, start + p.numel()))"
MOVED_ON = "        start += p.numel()\n    return layout"

EMPTIED = (
    "        self.updates.zero_()  # what others own must be 0 here: the all-reduce below adds\n"
)
RANKS = "self.rank, self.world_size = rank, world_size\n"
WRITTEN = "self.updates[start:end] = self._orthogonalized(p, group).flatten()"
REDUCED = "dist.all_reduce(self.updates)"
SEEN = "update = self.updates[start:end].view_as(p).to(p.dtype)"
FACTOR = "scale = math.sqrt(max(p.shape))"
SUBTRACTED = 'p.add_(update, alpha=-group["lr"] * scale)'
LOOKED_UP = 'state, mu = self.state[p], group["momentum"]'
BEGUN = 'state["momentum_buffer"] = torch.zeros_like(p)'
SUMMED = 'M = state["momentum_buffer"].mul_(mu).add_(p.grad)'
AHEAD = 'U = p.grad + mu * M if group["nesterov"] else M'

FLAT_ZEROS = "flat = matrices[0].new_zeros(sum(p.numel() for p in matrices))"
FLAT_REDUCED = "dist.all_reduce(flat)"
CUT_UP = "[flat[start:end].view_as(p) for p, (_, start, end) in zip(matrices, layout, strict=True)]"
OTHERS_POPPED = "muon.state.pop(p, None)"


def noting(place: str) -> tuple[tuple[str, str], ...]:
    """A layout with other entries: (owner, start, end) as an expression."""
    return ((NOTED, f"layout.append(({place}))"),)


def writing_at(start: str) -> tuple[tuple[str, str], ...]:
    """This rank's updates one behind the other, from an offset of its own."""
    new = WRITTEN.replace("start:end", "at : at + p.numel()")
    return (
        (EMPTIED, f"{EMPTIED}        at = {start}\n"),
        (WRITTEN, f"{new}\n                at += p.numel()"),
    )


MILESTONE03 = {
    # flat_layout
    "runs of neighbouring matrices to each owner; ranks should take turns, matrix by matrix": noting("world_size * index // len(matrices), start, start + p.numel()"),
    "owners in blocks of ceil(n / world_size); ranks should take turns, matrix by matrix": noting("index // math.ceil(len(matrices) / world_size), start, start + p.numel()"),
    "owners shifted by one: the first matrix is rank 0's": noting("(index + 1) % world_size, start, start + p.numel()"),
    "start is the size of the matrix before, not of all before": ((MOVED_ON, MOVED_ON.replace("+=", "=")),),
    "index // world_size instead of index % world_size: owners that are no ranks": noting("index // world_size, start, start + p.numel()"),
    "owners counted from 1: ranks count from 0": noting("index % world_size + 1, start, start + p.numel()"),
    "rank 0 owns everything: nothing is shared out": noting("0, start, start + p.numel()"),
    "owners take turns from the largest matrix to the smallest, not in the order of the list": (
        (NOTED, f"before = sum((q.numel(), -i) > (p.numel(), -index) for i, q in enumerate(matrices))\n        {NOTED.replace('index %', 'before %')}"),
    ),
    "the offset moves on only for matrices of the same owner: places of two owners overlap": (
        (NOTED, f"start = sum(q.numel() for q in matrices[index % world_size : index : world_size])\n        {NOTED}"),
    ),
    "the length of a place instead of its end": noting("index % world_size, start, p.numel()"),
    "end counted as the last entry itself: updates[start:end] would leave it out": noting("index % world_size, start, start + p.numel() - 1"),
    "places counted in rows, not in entries: len(p) or p.shape[0] instead of p.numel()": (
        (NOTED, NOTED.replace("p.numel()", "len(p)")),
        (MOVED_ON, MOVED_ON.replace("p.numel()", "len(p)")),
    ),
    "every place starts at 0: the offset never moves on": ((MOVED_ON, "    return layout"),),
    "the offset moves on before it is noted: a place starts where it should end": (
        (NOTED, f"start += p.numel()\n        {NOTED}"),
        (MOVED_ON, "    return layout"),
    ),
    "the owner last: (start, end, owner) instead of (owner, start, end)": noting("start, start + p.numel(), index % world_size"),
    "places as long as the largest matrix's: gaps behind the others": (
        (MOVED_ON, MOVED_ON.replace("p.numel()", "max(q.numel() for q in matrices)")),
    ),
    "all places of rank 0 first, then rank 1's: they should lie in the order of the list": (
        (NOTED, f"start = sum(q.numel() for i, q in enumerate(matrices) if (i % world_size, i) < (index % world_size, index))\n        {NOTED}"),
    ),
    # Muon
    "the mean over the ranks instead of the sum: all but one hold zeros, updates are too small": (
        (REDUCED, f"{REDUCED}\n            self.updates /= self.world_size"),
    ),
    "places of others left uninitialised (torch.empty): what lies in memory there is added": (
        (EMPTIED, "        self.updates = torch.empty_like(self.updates)\n"),
    ),
    "the buffer kept and not set to 0 again: last step's updates of others are added": ((EMPTIED, ""),),
    "the offset moves on only for what this rank owns: ranks write into each other's places": writing_at("0"),
    "applied twice by the owner: at once, and again when the update comes back": (
        (WRITTEN, f"{WRITTEN}\n                p.sub_(self.updates[start:end].view_as(p).to(p.dtype), alpha=group['lr'] * math.sqrt(max(p.shape)))"),
    ),
    "a rank updates only what it owns: the others' updates do not arrive, or are not applied": (
        (SEEN, f"if _ != self.rank:\n                continue\n            {SEEN}"),
    ),
    "momentum kept on every rank for every matrix: it is the owner's alone": (
        (WRITTEN, f"{WRITTEN}\n            else:\n                M = self.state[p].setdefault('momentum_buffer', torch.zeros_like(p))\n                M.mul_(group['momentum']).add_(p.grad)"),
    ),
    "milestone 02's Muon: every rank computes every update, nothing is shared out": (
        ("if owner == self.rank:", "if owner is not None:"),
        (REDUCED, "self.updates.clone()"),
    ),
    "scaled before Newton-Schulz, which divides by the norm: the scale is lost": (
        ("return zeropower_via_newtonschulz(U, *self", "return zeropower_via_newtonschulz(U * math.sqrt(max(U.shape)), *self"),
        (FACTOR, "scale = 1.0"),
    ),
    "scaled before it travels: rounded once more in newton_schulz_dtype, as upstream did": (
        (WRITTEN, f"{WRITTEN} * math.sqrt(max(p.shape))"),
        (FACTOR, "scale = 1.0"),
    ),
    "lr multiplied in before it travels: rounded once more in newton_schulz_dtype": (
        (WRITTEN, f"{WRITTEN} * group['lr']"),
        (SUBTRACTED, "p.sub_(update, alpha=scale)"),
    ),
    "lr and scale applied in newton_schulz_dtype: before O travels, or to O not cast back": (
        (SEEN, SEEN.removesuffix(".to(p.dtype)")),
        (SUBTRACTED, 'p.sub_(update * (group["lr"] * scale))'),
    ),
    "all_reduce called with world_size 1 too, where there is no process group": (("if self.world_size > 1:", "if self.world_size:"),),
    "a rank that owns nothing skips the collective: all others wait for it": (
        (EMPTIED, f"{EMPTIED}        if self.rank >= len(self.layout):\n            return\n"),
    ),
    'momentum under another key than "momentum_buffer": a checkpoint does not find it': (
        (BEGUN, BEGUN.replace("momentum_buffer", "M")),
        (SUMMED, SUMMED.replace("momentum_buffer", "M")),
    ),
    "momentum in an attribute of its own, not in self.state: a checkpoint does not find it": (
        (RANKS, f"{RANKS}        self.kept = {{}}\n"),
        (LOOKED_UP, LOOKED_UP.replace("self.state[p]", "self.kept.setdefault(p, {})")),
    ),
    "updates put together rank after rank, although their places go matrix by matrix": writing_at("sum(b - a for owner, a, b in self.layout if owner < self.rank)"),
    "the buffer broadcast from rank 0: what others own gets no update": (
        (REDUCED, "dist.broadcast(self.updates, 0)"),
    ),
    "written into the buffer column by column and read row by row": (
        (WRITTEN, WRITTEN.replace(".flatten()", ".T.flatten()")),
    ),
    "no look-ahead: none, or with the old buffer, or with a gradient already cleared": ((AHEAD, "U = M"),),
    "Nesterov always, whatever the argument says": ((AHEAD, "U = p.grad + mu * M"),),
    "an averaging buffer, (1 - mu) G, in a look-ahead made for a summing one": (
        (SUMMED, SUMMED.replace("p.grad", "p.grad, alpha=1 - mu")),
    ),
    "the buffer overwritten by the look-ahead": ((AHEAD, f"{AHEAD}\n        M.copy_(U)"),),
    "the buffer begins as the first gradient, which is then added once more": (
        (BEGUN, 'state["momentum_buffer"] = p.grad.clone()'),
    ),
    "others' updates applied without the scale: ranks no longer hold the same weights": (
        (FACTOR, f"{FACTOR} if _ == self.rank else 1.0"),
    ),
    "the buffer is not kept: every step begins with an empty one": (
        (AHEAD, f"{AHEAD}\n        U = U.clone()\n        M.zero_()"),
    ),
    "no scale: sqrt(max(rows, cols)) is missing": ((FACTOR, "scale = 1"),),
    "scale sqrt(rows) instead of sqrt(max(rows, cols))": ((FACTOR, "scale = math.sqrt(len(p))"),),
    "scale sqrt(min(rows, cols)) instead of sqrt(max(rows, cols))": ((FACTOR, FACTOR.replace("max", "min")),),
    "the first gradient itself kept as the buffer, no copy of it: the next one overwrites it": (
        (BEGUN, 'state["momentum_buffer"], state["new"] = p.grad, True'),
        (SUMMED, 'M = p.grad if state.pop("new", False) else state["momentum_buffer"].mul_(mu).add_(p.grad)'),
    ),
    "momentum in newton_schulz_dtype: it has the dtype of W": (
        (BEGUN, BEGUN.replace("(p)", "(p, dtype=self.newton_schulz[2])")),
    ),
    "a later Muon's scale: sqrt(max(1, rows / cols))": ((FACTOR, "scale = math.sqrt(max(1, p.size(0) / p.size(1)))"),),
    "the update added instead of subtracted": ((SUBTRACTED, SUBTRACTED.replace("=-", "=")),),
    "the learning rate read once, at construction: the schedule has no effect": (
        (RANKS, f"{RANKS}        self.first_lr = lr\n"),
        (SUBTRACTED, SUBTRACTED.replace('group["lr"]', "self.first_lr")),
    ),
    "newton_schulz_eps not passed on: 1e-7 written down": (
        ("(newton_schulz_steps, newton_schulz_eps, newton_schulz_dtype)", "(newton_schulz_steps, 1e-7, newton_schulz_dtype)"),
    ),
    # gather_momentum
    "nothing is gathered: zeros for what others own, which is most of the momentum": ((FLAT_REDUCED, "pass"),),
    "the mean over the ranks instead of the sum: all but one hold zeros": (
        (FLAT_REDUCED, f"{FLAT_REDUCED}\n        flat /= world_size"),
    ),
    "rounded to bfloat16 on the way: momentum keeps the dtype of its matrix": (
        (FLAT_REDUCED, f"flat = flat.bfloat16()\n        {FLAT_REDUCED}\n        flat = flat.to(matrices[0].dtype)"),
    ),
    "left uninitialised (torch.empty) where there is no momentum: what lies in memory there": (
        (FLAT_ZEROS, FLAT_ZEROS.replace("new_zeros", "new_empty")),
    ),
    "the weights instead of their momentum": (
        ('= muon.state[p]["momentum_buffer"].flatten()', "= p.flatten()"),
    ),
    "everything taken from rank 0, which does not own everything": ((FLAT_REDUCED, "dist.broadcast(flat, 0)"),),
    "in the order of owners, all of rank 0's first: the order of the list is asked for": (
        (f"return {CUT_UP}", f"found = {CUT_UP}\n    return [found[i] for i in sorted(range(len(found)), key=lambda i: (i % world_size, i))]"),
    ),
    "put into muon.state as well: every rank then keeps all of it": (
        (f"return {CUT_UP}", f"found = {CUT_UP}\n    for p, M in zip(matrices, found, strict=True):\n        muon.state[p] = {{'momentum_buffer': M}}\n    return found"),
    ),
    "taken out of muon.state: training would go on without momentum": (
        ('muon.state[p]["momentum_buffer"].flatten()', 'muon.state.pop(p)["momentum_buffer"].flatten()'),
    ),
    "momentum asked for before the first step, when there is none yet": ((" and p in muon.state", ""),),
    "a collective called with world_size 1 too, where there is no process group": (
        (f"    if world_size > 1:\n        {FLAT_REDUCED}", f"    {FLAT_REDUCED}"),
    ),
    "a rank that has no momentum skips the collective: all others wait": (
        (FLAT_ZEROS, f"{FLAT_ZEROS}\n    if len(muon.state) == 0:\n        return {CUT_UP}"),
        (f"{FLAT_REDUCED}\n    return {CUT_UP}", f"{FLAT_REDUCED}\n    return list({CUT_UP})"),
    ),
    "returned on rank 0 alone, nothing on the others": ((f"return {CUT_UP}", f"return [] if rank else {CUT_UP}"),),
    # keep_own_momentum
    "nothing dropped: every rank keeps everybody's momentum": ((OTHERS_POPPED, "pass"),),
    "everything dropped, the rank's own too: it would begin again at 0": (("        if owner != rank:\n            muon", "        if owner >= 0:\n            muon"),),
    "turned round: its own dropped, the others' kept": (("        if owner != rank:\n            muon", "        if owner == rank:\n            muon"),),
    "the others' set to 0, not dropped: they take as much memory as before": (
        (OTHERS_POPPED, 'muon.state[p]["momentum_buffer"].zero_()'),
    ),
    "every rank keeps what rank 0 owns: rank is not used": (("        if owner != rank:\n            muon", "        if owner:\n            muon"),),
    "another rank's momentum kept: owners counted from the second matrix": (("        if owner != rank:\n            muon", "        if owner != (rank + 1) % world_size:\n            muon"),),
    "what else there is for a matrix dropped as well: its momentum alone is kept": (
        (OTHERS_POPPED, f"{OTHERS_POPPED}\n    for state in muon.state.values():\n        state.pop('another', None)"),
    ),
    "muon.state made a plain dict: it no longer makes an entry for a new key": (
        (OTHERS_POPPED, f"{OTHERS_POPPED}\n    muon.state = dict(muon.state)"),
    ),
    "owners by the order of muon.state instead of the order of the matrices": (
        ("for p, (owner, _, _) in zip(matrices, flat", "for p, (owner, _, _) in zip(list(muon.state), flat"),
    ),
    "runs of neighbouring matrices kept: owners take turns, as flat_layout says": (
        (
            "for p, (owner, _, _) in zip(matrices, flat_layout(matrices, world_size), strict=True):\n        if owner != rank:",
            "for i, p in enumerate(matrices):\n        if world_size * i // len(matrices) != rank:",
        ),
    ),
    "the matrices dropped from param_groups too: only their owner would update them": (
        (OTHERS_POPPED, f"{OTHERS_POPPED}\n    muon.param_groups[0]['params'] = [p for p in matrices if p in muon.state]"),
    ),
}  # fmt: skip

LINEAR = "super().__init__(in_features, out_features, bias=False)"
LINEAR_OUT = "return F.linear(x, self.weight.to(x.dtype))"
LAMB = "self.lamb = nn.Parameter(torch.empty(()))"
V1 = "v1 = v if v1 is None else v1"
MIX = "v = (1 - self.lamb) * v + self.lamb * v1"
TO_X = "q, k, v = (z.transpose(1, 2).type_as(x) for z in (q, k, v))"
Y_V1 = f"return {PROJECTED}, v1"
LAMBDAS = "self.lambdas = nn.Parameter(torch.empty(2))"
SHORTCUT = "x = self.lambdas[0] * x + self.lambdas[1] * x0"
ATTN = "y, v1 = self.attn(rms_norm(x, self.norm_eps), v1)"
X_Y = "x = x + y\n"
BLOCK_OUT = "return x + self.mlp(rms_norm(x, self.norm_eps)), v1"
TANH = "return cap * torch.tanh(logits / cap)"
SKIP = "x = x + skip_weights[i - half] * skips.pop()"
CALLED = "x, v1 = block(x, x0, v1)"
PUSH = "        if i < half:\n            skips.append(x)\n"


def casted(new: str) -> tuple[tuple[str, str], ...]:
    """CastedLinear.forward with another last line."""
    return ((LINEAR_OUT, new),)


def mixed(new: str) -> tuple[tuple[str, str], ...]:
    """Attention's values mixed by another line."""
    return ((MIX, new),)


def capped(new: str) -> tuple[tuple[str, str], ...]:
    return ((TANH, new),)


def skipping(new: str) -> tuple[tuple[str, str], ...]:
    """unet with another line for the skip."""
    return ((SKIP, new),)


MODEL04 = {
    # CastedLinear
    "CastedLinear with a bias": (
        (LINEAR, "super().__init__(in_features, out_features)"),
        (LINEAR_OUT, "return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))"),
    ),
    "the weight stored (in, out) instead of (out, in)": (
        (LINEAR, "super().__init__(out_features, in_features, bias=False)"),
        (LINEAR_OUT, "return F.linear(x, self.weight.to(x.dtype).T)"),
    ),
    "x W instead of x W^T": casted("return x @ self.weight.to(x.dtype)"),
    "no cast: a float32 weight does not multiply a bfloat16 input": casted("return super().forward(x)"),
    "the gradient does not reach the weight: detach(), .data or a new nn.Parameter at the cast": casted(
        "return F.linear(x, nn.Parameter(self.weight.to(x.dtype)))"
    ),
    "the weight itself cast, in forward: what an update changes is rounded away": casted(
        "self.to(x.dtype)\n        return F.linear(x, self.weight)"
    ),
    "the weight bfloat16 from the start: what an update changes is rounded away": (
        (LINEAR, f"{LINEAR}\n        self.bfloat16()"),
    ),
    "the cast weight kept from the first call: later updates are not seen": casted(
        "if not hasattr(self, 'cast'):\n            self.cast = self.weight.to(x.dtype)\n        return F.linear(x, self.cast)"
    ),
    "the input cast to the weight's dtype instead of the weight to the input's": casted(
        "return F.linear(x.type_as(self.weight), self.weight)"
    ),
    "bfloat16 written down instead of the input's dtype": casted(
        "return F.linear(x.to(torch.bfloat16), self.weight.to(torch.bfloat16))"
    ),
    # CausalSelfAttention
    "lamb and 1 - lamb swapped: lamb is the part of v1; at 0.5, the start, nothing shows": mixed(
        "v = self.lamb * v + (1 - self.lamb) * v1"
    ),
    "its own values handed on: the next block gets the previous block's, not the first one's": (
        (V1, f"own = v\n        {V1}"),
        (Y_V1, f"return {PROJECTED}, own"),
    ),
    "the mixed values handed on instead of the first block's own": mixed(f"{MIX}\n        v1 = v"),
    "v1 cut off from the gradient where it is mixed": mixed(f"{MIX}.detach()"),
    "v1 cut off from the gradient where the first block makes it": ((V1, "v1 = v.detach() if v1 is None else v1"),),
    "v1 cut off from the gradient where it is handed on": ((Y_V1, f"{Y_V1}.detach()"),),
    "lamb cut off from the gradient: it never moves": mixed("v = torch.lerp(v, v1, self.lamb.data.type_as(v))"),
    "the keys mixed with v1 as well": (
        (QK_NORM, f"k = k if v1 is None else (1 - self.lamb) * k + self.lamb * v1\n        {QK_NORM}"),
    ),
    "the keys mixed with v1 in place of the values": (
        (QK_NORM, f"k = k if v1 is None else (1 - self.lamb) * k + self.lamb * v1\n        {QK_NORM}"),
        (MIX, "pass"),
    ),
    "no mix: v1 is handed on, but not used": mixed("pass"),
    "lamb v1 added, but v not made smaller by 1 - lamb": mixed("v = v + self.lamb * v1"),
    "half and half for ever: lamb is not used": mixed("v = 0.5 * v + 0.5 * v1"),
    "the mix after attention: each position gets v1 of its own, not of its past": (
        (MIX, "pass"),
        (Y_V1, f"y = (1 - self.lamb) * y + self.lamb * v1.transpose(1, 2)\n        {Y_V1}"),
    ),
    "a lamb for each head instead of one for the layer": (
        (LAMB, LAMB.replace("(())", "(args.num_heads)")),
        (MIX, "lamb = self.lamb.type_as(v).view(1, 1, -1, 1)\n        v = (1 - lamb) * v + lamb * v1"),
    ),
    "lamb with shape (1,) instead of ()": (
        (LAMB, LAMB.replace("(())", "(1)")),
        (MIX, "lamb = self.lamb.squeeze()\n        v = (1 - lamb) * v + lamb * v1"),
    ),
    "lamb through a sigmoid": mixed("v = self.lamb.neg().sigmoid() * v + self.lamb.sigmoid() * v1"),
    "v1 handed on as (B, H, T, h) instead of (B, T, H, h)": (
        (V1, "v1 = v.transpose(1, 2) if v1 is None else v1"),
        (MIX, "v = self.lamb * v1.transpose(1, 2) + (1 - self.lamb) * v"),
    ),
    "v1 and y returned in the wrong order": ((Y_V1, f"return v1, {PROJECTED}"),),
    "the first block hands on None: its own values are v1": (
        (V1, "first = v if v1 is None else v1"),
        (MIX, "v = (1 - self.lamb) * v + self.lamb * first"),
    ),
    "attention left in float32: what is returned should have the dtype of x": (
        (TO_X, "q, k, v = (z.transpose(1, 2).type_as(q) for z in (q, k, v))"),
    ),
    "k from c_q as well: c_k is never used": ((EACH, EACH.replace("self.c_k", "self.c_q")),),
    "the first block given zeros as v1: it mixes its values with themselves": (
        (V1, "v1, first = (v, torch.zeros_like(v)) if v1 is None else (v1, v1)"),
        (MIX, MIX.replace("* v1", "* first")),
    ),
    "nn.Linear instead of CastedLinear: float32 weights do not multiply a bfloat16 x": tuple(
        (f"self.c_{name} = CastedLinear(args.model_dim, args.model_dim)", f"self.c_{name} = nn.Linear(args.model_dim, args.model_dim, bias=False)")
        for name in ("q", "k", "v", "proj")
    ),
    "v through rms_norm too": ((QK_NORM, "q, k, v = (rms_norm(z, self.norm_eps) for z in (q, k, v))"),),
    "no QK-norm": ((QK_NORM, "pass"),),
    "QK-norm of q alone": ((QK_NORM, "q = rms_norm(q, self.norm_eps)"),),
    "the mask begins a position late: each position sees the one after it": attending("torch.ones(T, T).tril(1)"),
    "view(B, H, T, h) of what is (B, T, D): features and positions mixed up": (
        (EACH, EACH.replace("T, self.num_heads, -1)", "self.num_heads, T, -1).transpose(1, 2)")),
    ),
    "attention over the heads of one position: on (B, T, H, h) instead of (B, H, T, h)": (
        (TO_X, TO_X.replace("z.transpose(1, 2)", "z")),
        (PROJECTED, "self.c_proj(y.reshape(B, T, D))"),
    ),
    "heads put together in a wrong order: reshape of (B, H, T, h)": ((PROJECTED, "self.c_proj(y.reshape(B, T, D))"),),
    "no rotary positions": ((ROTATE, "pass"),),
    "v turned by rotary too": (
        (ROTATE, f"{ROTATE}\n        v = rotary(v, self.rotary_base).to(x.dtype)"),
    ),
    "scores not scaled by 1 / sqrt(h)": scaled("1.0"),
    "scores scaled by 1 / sqrt(D), the model's width, instead of the head's": scaled("D**-0.5"),
    "the future set to 0 after softmax: what is left no longer adds up to 1": weighing("scores.softmax(-1).tril()"),
    "heads cut as (h, H) instead of (H, h): a head gets every H-th feature": (
        (EACH, EACH.replace("self.num_heads, -1)", "-1, self.num_heads).mT")),
    ),
    "k made from q, when q is turned already: turned twice, and what c_k made is lost": (
        (ROTATE, f"{ROTATE}\n        k = rotary(q, self.rotary_base)"),
    ),
    "no causal mask: every position sees the future": ((SDPA, SDPA.replace(", is_causal=True", "")),),
    "args.norm_eps not used, but 1e-6 written down": ((QK_NORM, "q, k = rms_norm(q, 1e-6), rms_norm(k, 1e-6)"),),
    "args.rotary_base not used, but 10,000 written down": ((ROTATE, "q, k = rotary(q, 1e4), rotary(k, 1e4)"),),
    "the output projection c_proj left out": ((PROJECTED, "y.transpose(1, 2).reshape(B, T, D)"),),
    "the residual added here as well: the block adds it already": ((PROJECTED, f"{PROJECTED} + x"),),
    # Block
    "l0 and l1 swapped: l0 is of the stream, l1 of the embedding": ((SHORTCUT, "x = self.lambdas[1] * x + self.lambdas[0] * x0"),),
    "no shortcut: the stream is not mixed with x0": ((SHORTCUT, "pass"),),
    "l1 x0 added to x itself: l0 is not used": ((SHORTCUT, "x = x + self.lambdas[1] * x0"),),
    "x0 added as it is: l1 is not used": ((SHORTCUT, "x = self.lambdas[0] * x + x0"),),
    "1 - l0 in place of l1": ((SHORTCUT, "x = x0 + self.lambdas[0] * (x - x0)"),),
    "only attention sees the mix: the stream goes on without it": (
        (SHORTCUT, f"old = x\n        {SHORTCUT}"),
        (X_Y, "x = old + y\n"),
    ),
    "the mix after attention instead of before it": (
        (SHORTCUT, "pass"),
        (X_Y, "x = self.lambdas[0] * (x + y) + self.lambdas[1] * x0\n"),
    ),
    "the mix at the end of the block instead of its beginning": (
        (SHORTCUT, "pass"),
        (BLOCK_OUT, f"x = x + self.mlp(rms_norm(x, self.norm_eps))\n        {SHORTCUT}\n        return x, v1"),
    ),
    "the mix after the norm: attention gets l0 norm(x) + l1 x0": (
        (SHORTCUT, "l0, l1 = self.lambdas.unbind()"),
        (ATTN, "y, v1 = self.attn(l0 * rms_norm(x, self.norm_eps) + l1 * x0, v1)"),
    ),
    "the mix normalised: the stream itself goes through rms_norm": (
        (SHORTCUT, f"{SHORTCUT}\n        x = rms_norm(x, self.norm_eps)"),
    ),
    "x0 cut off from the gradient": ((SHORTCUT, f"{SHORTCUT}.detach()"),),
    "lambdas cut off from the gradient: they never move": ((SHORTCUT, SHORTCUT.replace("self.lambdas", "self.lambdas.data")),),
    "v1 not passed to attention, which then takes its own values": ((ATTN, ATTN.replace(", v1)", ", None)")),),
    "v1 returned as it came: the first block's values get lost": ((ATTN, ATTN.replace("y, v1 =", "y, made =")),),
    "no norm before attention": ((ATTN, "y, v1 = self.attn(x, v1)"),),
    "no norm before the MLP": ((BLOCK_OUT, "return x + self.mlp(x), v1"),),
    "the MLP beside attention: it does not see what attention added": (
        (X_Y, "z = self.mlp(rms_norm(x, self.norm_eps))\n"),
        (BLOCK_OUT, "return x + y + z, v1"),
    ),
    "what attention makes not added to the stream, but put in its place": ((X_Y, "x = y\n"),),
    "what the MLP makes not added to the stream, but put in its place": ((BLOCK_OUT, BLOCK_OUT.replace("x + ", "")),),
    "args.norm_eps not used in the block, but 1e-6 written down": (
        (ATTN, "y, v1 = self.attn(rms_norm(x, 1e-6), v1)"),
        (BLOCK_OUT, "return x + self.mlp(rms_norm(x, 1e-6)), v1"),
    ),
    "lambdas begin at (1, 0) in the block, as numbers and not as a parameter": (
        (LAMBDAS, "self.lambdas = torch.eye(2)[0].double()"),
    ),
    "the mix left in float32: x cast, or lambdas with a dimension, which do not leave it": (
        (SHORTCUT, "x = (self.lambdas.view(2, 1, 1, 1) * torch.stack([x, x0])).sum(0)"),
    ),
    # softcap
    "logits not divided by cap: cap tanh(logits)": capped("return cap * torch.tanh(logits)"),
    "not multiplied by cap: tanh(logits / cap)": capped("return torch.tanh(logits / cap)"),
    "multiplied by cap before tanh, and divided after it": capped("return torch.tanh(cap * logits) / cap"),
    "nothing capped: logits come back as they were": capped("return 1.0 * logits"),
    "cut off hard at cap: no slope beyond it, and no bend before it": capped("return logits.clamp(-cap, cap)"),
    "30 written down instead of cap": capped("return 30 * torch.tanh(logits / 30)"),
    "a sigmoid: from 0 to cap instead of from -cap to cap": capped("return cap * torch.sigmoid(logits / cap)"),
    "x / (1 + |x|) in place of tanh": capped("return cap * F.softsign(logits / cap)"),
    "an arc tangent in place of tanh": capped("return cap * torch.atan(logits / cap)"),
    "only large positive logits capped: the negative are as they were": capped(
        "return torch.minimum(cap * torch.tanh(logits / cap), logits)"
    ),
    "sign times cap of the absolute value: no slope at 0, where all logits start": capped(
        "return torch.sign(logits) * cap * torch.tanh(logits.abs() / cap)"
    ),
    "tanh from exponentials that overflow: large logits become nan": capped(
        "return cap * torch.sinh(logits / cap) / torch.cosh(logits / cap)"
    ),
    "the cap's slope kept from the gradient: cut off with detach()": capped(
        "y = cap * torch.tanh(logits / cap)\n    return y.detach() + logits - logits.detach()"
    ),
    "logits changed in place": capped("return logits.div_(cap).tanh_().mul_(cap)"),
    "float32 returned for bfloat16: the result should have the dtype of logits": capped(
        "logits = logits.float() if logits.dtype == torch.bfloat16 else logits\n    return cap * torch.tanh(logits / cap)"
    ),
    # unet
    "first in, first out: block L/2 gets the first block's result; mirrored, it is the last's": skipping(SKIP.replace("pop()", "pop(0)")),
    "what blocks were given kept for the skips, instead of what they returned": (
        (PUSH, ""),
        (CALLED, f"skips += [x] if i < half else []\n        {CALLED}"),
    ),
    "the second half keeps its results too: every block there gets the one just before it": (
        (PUSH, "        skips.append(x)\n"),
    ),
    "the skip added to what a block returns, instead of to what it is given": (
        (SKIP, "pass"),
        (PUSH, f"{PUSH}        else:\n            {SKIP}\n"),
    ),
    "the weights in the wrong order: skip_weights[0] is block L/2's, not the last one's": skipping(
        "x = x + skip_weights[half - 1 - (i - half)] * skips.pop()"
    ),
    "skips added as they are: skip_weights is not used": skipping("x = x + skips.pop()"),
    "skip_weights[0] for all skips": skipping(SKIP.replace("[i - half]", "[0]")),
    "no skips at all": skipping("skips.pop()"),
    "the skip in place of the stream: w s instead of x + w s": skipping("x = skip_weights[i - half] * skips.pop()"),
    "the weight on the stream: w x + s instead of x + w s": skipping("x = skips.pop() + skip_weights[i - half] * x"),
    "a weighted mean, (1 - w) x + w s, instead of x + w s": skipping(
        "w = skip_weights[i - half]\n            x = (1 - w) * x + w * skips.pop()"
    ),
    "no skip for block L/2, whose s is its own x: it gets (1 + w) x all the same": skipping(
        "s = skips.pop()\n            x = x + (skip_weights[i - half] * s if i > half else 0)"
    ),
    "the skip taken from x0 for all blocks": skipping("x = x + skip_weights[i - half] * x0"),
    "skips cut off from the gradient": skipping(f"{SKIP}.detach()"),
    "skip_weights cut off from the gradient, by .item() for instance: they never move": skipping(
        SKIP.replace("[i - half]", "[i - half].detach()")
    ),
    "skip_weights[i - 1] for skip i: the first block of the second half gets the last weight": skipping(
        SKIP.replace("[i - half]", "[i - half - 1]")
    ),
    "v1 not handed on: every block is given None": ((CALLED, CALLED.replace("v1)", "None)")),),
    "v1 begins anew in the second half": skipping(f"{SKIP}\n            if i == half:\n                v1 = None"),
    "x given to every block as x0": ((CALLED, "x, v1 = block(x, x, v1)"),),
    "the skip mixed into x0 as well": skipping(
        "s = skip_weights[i - half] * skips.pop()\n            x, x0 = x + s, x0 + s"
    ),
    "the first half of the blocks not called": (
        (CALLED, f"if i >= half:\n            {CALLED}"),
        (SKIP, "pass"),
    ),
    "float32 for a bfloat16 x0: x cast, or a weight with a dimension, which does not leave it": skipping(
        "x = x + skip_weights.narrow(0, i - half, 1) * skips.pop()"
    ),
}  # fmt: skip


SMALL = "b * A + c * (A @ A)"
STEP = "a * X + B @ X"
TALL_ONLY = "math.sqrt(max(1, rows / cols))"
IN_BLOCKS = "in_blocks = list(model.h.parameters())"
SCALARS = "[p for p in in_blocks if p.dim() < 2] + [model.skip_weights]"
MATRICES = "[p for p in in_blocks if p.dim() == 2]"
FOUR_LISTS = "return [model.wte.weight], [model.lm_head.weight], scalars, matrices"
DONE = "min(step / args.momentum_warmup_iters, 1.0)"
RAMP = "args.momentum_start + done * (args.momentum - args.momentum_start)"
AT_ZERO = 'name.endswith("c_proj.weight") or name == "lm_head.weight"'


def at_zero(condition: str) -> tuple[tuple[str, str], ...]:
    """init_weights with another condition on the name of what starts at 0."""
    return ((AT_ZERO, condition),)


def head_drawn(new: str) -> tuple[tuple[str, str], ...]:
    first = f'if name == "lm_head.weight":\n            {new}\n        elif {AT_ZERO}'
    return ((f"if {AT_ZERO}", first),)


def embedded(new: str) -> tuple[tuple[str, str], ...]:
    """init_weights with other initial values of the table, an expression in p."""
    return (("nn.init.normal_(p)", new),)


def four(embedding: str, head: str, scalars: str, matrices: str) -> tuple[tuple[str, str], ...]:
    return ((FOUR_LISTS, f"return {embedding}, {head}, {scalars}, {matrices}"),)


def ramp(new: str) -> tuple[tuple[str, str], ...]:
    """get_momentum with another line, an expression in `done`; right without a warm-up."""
    return ((f"return {RAMP}", f"return {new} if args.momentum_warmup_iters else args.momentum"),)


WTE, HEAD = "[model.wte.weight]", "[model.lm_head.weight]"
MILESTONE04 = {
    **MODEL04,
    # init_weights
    "the head drawn as a linear is by default, instead of 0": at_zero('name.endswith("c_proj.weight")'),
    "the head normal with standard deviation 0.02, instead of 0": head_drawn("nn.init.normal_(p, std=0.02)"),
    "the head from a standard normal distribution, like the embedding, instead of 0": head_drawn("nn.init.normal_(p, std=1.0)"),
    "the embedding with standard deviation 0.02: what Adam adds to it is then far too much": embedded("nn.init.normal_(p, std=0.02)"),
    "the embedding uniform within 1 / sqrt(D), as the tied table of milestone 02 was": (
        ('elif name == "wte.weight"', 'elif name == "no such weight"'),
    ),
    "the embedding with standard deviation 1 / sqrt(D) instead of 1": embedded("nn.init.normal_(p, std=1 / math.sqrt(p.size(1)))"),
    "the embedding starts at 0 as well: no gradient gets through, nothing is ever learned": embedded("p.data.zero_()"),
    "no projection starts at 0: only the head does": at_zero('name == "lm_head.weight"'),
    "attn.c_proj does not start at 0, only mlp.c_proj does": at_zero('"mlp.c_proj" in name or "head" in name'),
    "mlp.c_proj does not start at 0, only attn.c_proj does": at_zero('"attn.c_proj" in name or "head" in name'),
    "c_fc starts at 0 too: the MLP is 0, and its gradients are, for ever": at_zero(f'{AT_ZERO} or "c_fc" in name'),
    "c_v starts at 0 too: attention is 0, and its gradients are, for ever": at_zero(f'{AT_ZERO} or "c_v" in name'),
    "lambdas swapped, (0, 1): every block begins with the embedding, and forgets the stream": (("[1.0, 0.0]", "[0.0, 1.0]"),),
    "lambdas (0.5, 0.5) instead of (1, 0)": (("[1.0, 0.0]", "[0.5, 0.5]"),),
    "lambdas (1, 1) instead of (1, 0)": (("[1.0, 0.0]", "[1.0, 1.0]"),),
    "lambdas (0, 0) instead of (1, 0): every block throws the stream away": (("[1.0, 0.0]", "[0.0, 0.0]"),),
    "lamb 0 instead of 0.5: no first values to begin with": (("nn.init.constant_(p, 0.5)", "nn.init.constant_(p, 0.0)"),),
    "lamb 1 instead of 0.5: the first values alone, and none of a block's own": (
        ("nn.init.constant_(p, 0.5)", "nn.init.constant_(p, 1.0)"),
    ),
    "skip_weights 0 instead of 1: no skips to begin with": (("nn.init.ones_(p)", "p.data.zero_()"),),
    "skip_weights 0.5 instead of 1": (("nn.init.ones_(p)", "p.data.fill_(0.5)"),),
    "bound 1 / sqrt(out) instead of 1 / sqrt(in): weights are stored (out, in)": ((BOUND, BOUND.replace("size(1)", "size(0)")),),
    "bound 1 / in: the root is missing": ((BOUND, BOUND.replace("math.sqrt(p.size(1))", "p.size(1)")),),
    "bound sqrt(3 / in): then the standard deviation, not the bound, is 1 / sqrt(in)": drawn("nn.init.uniform_(p, -bound * math.sqrt(3), bound * math.sqrt(3))"),
    "from -1 / sqrt(in) to 1: the upper bound is 1 if it is not given": drawn("nn.init.uniform_(p, -bound)"),
    "from 0 to 1 / sqrt(in): no negative weights": drawn("nn.init.uniform_(p, 0.0, bound)"),
    "normal with standard deviation 1 / sqrt(in) instead of uniform": drawn("nn.init.normal_(p, std=bound)"),
    "linears normal with standard deviation 0.02, as in milestone 00": drawn("nn.init.normal_(p, std=0.02)"),
    # zeropower_via_newtonschulz
    **{m.says: MILESTONE01[m.says] for m in milestone01_muon.NEWTON_SCHULZ},
    "c applied to A X instead of A A X": ((SMALL, "b * A + c * A"),),
    "A * A, entry by entry, instead of the product A @ A": ((SMALL, "b * A + c * A.square()"),),
    "a added to every entry of B, not to its diagonal: (a + B) X is not a X + B X": ((STEP, "(a + B) @ X"),),
    "a X left out: B X alone": ((STEP, "B @ X"),),
    "X B instead of B X: X X^T stands on the left, and fits there alone": ((STEP, "a * X + X @ B"),),
    # update_scale
    "rows and cols swapped: c_proj gets 2 and c_fc 1": ((TALL_ONLY, "math.sqrt(max(1, cols / rows))"),),
    "milestone 01's scale kept, sqrt(max(rows, cols)): 28 to 55 times too large": ((TALL_ONLY, "max(rows, cols) ** 0.5"),),
    "rows / cols: the root is missing": ((TALL_ONLY, "max(1, rows / cols)"),),
    "sqrt(rows / cols) for wide matrices too: c_proj gets 0.5 instead of 1": ((TALL_ONLY, "(rows / cols) ** 0.5"),),
    "the longer side by the shorter: wide matrices get more than 1 as well": ((TALL_ONLY, "math.sqrt(max(cols / rows, rows / cols))"),),
    "min instead of max: tall matrices get 1, wide ones less": ((TALL_ONLY, TALL_ONLY.replace("max", "min")),),
    "no scale: 1 for every matrix": ((TALL_ONLY, "1.0"),),
    "// instead of /: the quotient is rounded down": ((TALL_ONLY, TALL_ONLY.replace("/", "//")),),
    "sqrt(rows) for tall matrices: not divided by cols": ((TALL_ONLY, "math.sqrt(rows if rows > cols else 1)"),),
    "another Muon's scale: 0.2 * sqrt(max(rows, cols))": ((TALL_ONLY, "max(rows, cols) ** 0.5 / 5"),),
    "2 for every tall matrix, whatever its sides": ((TALL_ONLY, "1 + (rows > cols)"),),
    # split_parameters
    "skip_weights in no list: they do not belong to a block, and would stay 1 for ever": (
        (SCALARS, SCALARS.replace(" + [model.skip_weights]", "")),
    ),
    "only skip_weights among the scalars: lambdas and lamb are in no list": ((SCALARS, "[model.skip_weights]"),),
    "no scalars at all: lambdas, lamb and skip_weights would never change": ((SCALARS, "[]"),),
    "lamb in no list: it has no dimension, and dim() == 1 leaves it out": ((SCALARS, SCALARS.replace("< 2", "== 1")),),
    "lambdas among the matrices: whatever has a dimension goes to Muon": (
        (SCALARS, SCALARS.replace("p.dim() < 2", "p.dim() == 0")),
        (MATRICES, MATRICES.replace("p.dim() == 2", "p.dim() > 0")),
    ),
    "lamb and lambdas among the matrices: all of the blocks goes to Muon": (
        (SCALARS, "[model.skip_weights]"),
        (MATRICES, "in_blocks"),
    ),
    "skip_weights among the matrices": (
        (SCALARS, SCALARS.replace(" + [model.skip_weights]", "")),
        (MATRICES, f"{MATRICES} + [model.skip_weights]"),
    ),
    "the embedding left in the head's list, as while they were one table": four("[]", "[model.lm_head.weight, model.wte.weight]", "scalars", "matrices"),
    "the head left in the embedding's list: it would learn far too fast": four("[model.lm_head.weight, model.wte.weight]", "[]", "scalars", "matrices"),
    "embedding and head swapped": four(HEAD, WTE, "scalars", "matrices"),
    "the head among the matrices too": four(WTE, HEAD, "scalars", "[*matrices, model.lm_head.weight]"),
    "every matrix to Muon, both tables too: they are in two lists": four(WTE, HEAD, "scalars", "[p for p in model.parameters() if p.dim() == 2]"),
    "scalars and matrices swapped": four(WTE, HEAD, "matrices", "scalars"),
    "matrices first: the order is embedding, head, scalars, matrices": four("matrices", WTE, HEAD, "scalars"),
    "the first block in no list": ((IN_BLOCKS, "in_blocks = list(model.h[1:].parameters())"),),
    "the blocks' weights that start at 0, c_proj, in no list": (
        (MATRICES, '[p for n, p in model.h.named_parameters() if p.dim() == 2 and "c_proj" not in n]'),
    ),
    "matrices in no fixed order, from a set or sorted by id: ranks then disagree": (
        (MATRICES, "list({p for p in in_blocks if p.dim() == 2})"),
    ),
    # get_momentum
    "momentum_start and momentum swapped, without a warm-up too": (
        (RAMP, "args.momentum + done * (args.momentum_start - args.momentum)"),
    ),
    "the ramp reversed: from momentum down to momentum_start": ramp("args.momentum - done * (args.momentum - args.momentum_start)"),
    "the ramp reversed: down to momentum_start, then a jump up to momentum": ramp(
        "args.momentum - done % 1 * (args.momentum - args.momentum_start)"
    ),
    "a step early: computed from step + 1": ((DONE, DONE.replace("step", "(step + 1)")),),
    "no warm-up: momentum from the first step on": ramp("args.momentum"),
    "momentum_start for ever: it never rises": ramp("args.momentum_start"),
    "momentum_start, then a jump to momentum: // instead of /, or no line at all": ((DONE, DONE.replace("/", "//")),),
    "not stopped at 1: momentum goes on rising after the warm-up": ((DONE, "step / args.momentum_warmup_iters"),),
    "over num_iterations instead of momentum_warmup_iters: too slowly": ((DONE, "step / args.num_iterations"),),
    "0.85 and 0.95 written down instead of momentum_start and momentum": ((RAMP, "0.85 + 0.1 * done"),),
    "500 steps written down instead of momentum_warmup_iters": ((DONE, "min(step / 500, 1.0)"),),
    "from 0 instead of from momentum_start": ((RAMP, "done * args.momentum"),),
    "0.85 written down instead of momentum_start": ((RAMP, RAMP.replace("args.momentum_start", "0.85")),),
    "momentum_start + part * momentum: their difference is what must be added": ((RAMP, "args.momentum_start + done * args.momentum"),),
    "max instead of min: momentum at once, and more than that later": ((DONE, DONE.replace("min", "max")),),
    "a step too short: divided by momentum_warmup_iters - 1": ((DONE, "min(step / (args.momentum_warmup_iters - 1), 1.0)"),),
    "a warm-up of 0 steps taken for one of 1: momentum_start at step 0": (
        (f"{DONE} if args.momentum_warmup_iters else 1.0", "min(step / max(1, args.momentum_warmup_iters), 1.0)"),
    ),
    "a warm-up of 0 steps not asked for: 0 / 0": ((f"{DONE} if args.momentum_warmup_iters else 1.0", DONE),),
}  # fmt: skip

TWINS = {
    "milestone00_baseline": MILESTONE00,
    "milestone01_muon": MILESTONE01,
    "milestone02_modern_arch": MILESTONE02,
    "milestone03_distributed_muon": MILESTONE03,
    "milestone04_unet_skips": MILESTONE04,
}
