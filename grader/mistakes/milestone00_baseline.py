"""Named mistakes and equivalents of milestone 00."""

from grader.mistakes import Equivalent, Mistake

COUNT = "(num_tokens - 1) // (batch_size * sequence_length)"

INPUTS = "inputs.append(shard[start : start + sequence_length])"
TARGETS = "targets.append(shard[start + 1 : start + 1 + sequence_length])"
COLUMN = "[: sequence_length * rows_per_rank : rows_per_rank]"

MASKED = 'scores.masked_fill(future, float("-inf")).softmax(dim=-1)'
HEADS = "heads.transpose(1, 2).contiguous().view(B, T, D)"
INTO_HEADS = "x.view(B, T, self.num_heads, self.head_dim).transpose(1, 2)"

VECTOR = "is_vector = parameter.dim() < 2  # biases and gains"
BY_NAME = (
    ("for parameter in model.parameters():", "for name, parameter in model.named_parameters():"),
)
COSINE = "math.cos(0.5 * math.pi * elapsed / whole) ** 2"
SHARE = "model(x, y) * (len(x) / rows)"

BATCHES_IN_SHARD = [
    Mistake(
        "batches_in_shard",
        "the last target is not paid for: num_tokens // (B * T), without the - 1",
        (("(num_tokens - 1) //", "num_tokens //"),),
    ),
    Mistake(
        "batches_in_shard",
        "one batch too few: the last whole batch is left out",
        (("(batch_size * sequence_length)", "(batch_size * sequence_length) - 1"),),
    ),
    Mistake(
        "batches_in_shard",
        "the count is rounded up, so the last batch is incomplete",
        ((COUNT, f"-(-{COUNT})"),),
    ),
    Mistake(
        "batches_in_shard",
        "the count is not rounded: / instead of //",
        (("(num_tokens - 1) //", "(num_tokens - 1) /"),),
    ),
    Mistake(
        "batches_in_shard",
        "one token more for every sequence, B * (T + 1), instead of one for the whole batch",
        (
            (
                COUNT,
                "num_tokens // (batch_size * (sequence_length + 1))",
            ),
        ),
    ),
    Mistake(
        "batches_in_shard",
        "one token more for every batch, B * T + 1: neighbouring batches share that token",
        (
            (
                COUNT,
                "num_tokens // (batch_size * sequence_length + 1)",
            ),
        ),
    ),
    Mistake(
        "batches_in_shard",
        "batch_size counted in tokens: num_tokens is not divided by sequence_length",
        (("(batch_size * sequence_length)", "batch_size"),),
    ),
    Mistake(
        "batches_in_shard",
        "sequences counted, not batches: num_tokens is not divided by batch_size",
        (("(batch_size * sequence_length)", "sequence_length"),),
    ),
    Mistake(
        "batches_in_shard",
        "the header subtracted from num_tokens, which does not count it",
        (("(num_tokens - 1)", "(num_tokens - 256 - 1)"),),
    ),
    Mistake(
        "batches_in_shard",
        "num_tokens - 1 // (B * T): // binds more tightly than the minus",
        (("(num_tokens - 1) // (batch", "num_tokens - 1 // (batch"),),
    ),
    Mistake(
        "batches_in_shard",
        "num_tokens + 1 instead of num_tokens - 1",
        (("(num_tokens - 1) // (batch", "(num_tokens + 1) // (batch"),),
    ),
    Mistake(
        "batches_in_shard",
        "one batch taken off instead of one token: num_tokens // (B * T) - 1",
        (
            (
                "(num_tokens - 1) // (batch_size * sequence_length)",
                "num_tokens // (batch_size * sequence_length) - 1",
            ),
        ),
    ),
]

CUT_BATCH = [
    Mistake(
        "cut_batch",
        "targets not shifted: they equal the inputs",
        ((TARGETS, "targets.append(shard[start : start + sequence_length])"),),
    ),
    Mistake(
        "cut_batch",
        "targets shifted twice: two tokens later than the inputs",
        ((TARGETS, "targets.append(shard[start + 2 : start + 2 + sequence_length])"),),
    ),
    Mistake(
        "cut_batch",
        "inputs and targets swapped: each position is asked for the token before it",
        (
            (
                "return as_tensor(inputs), as_tensor(targets)",
                "return as_tensor(targets), as_tensor(inputs)",
            ),
        ),
    ),
    Mistake(
        "cut_batch",
        "targets rolled within a row: its last target is its own first token",
        ((TARGETS, "targets.append(np.roll(inputs[-1], -1))"),),
    ),
    Mistake(
        "cut_batch",
        "a window of B * T tokens, rolled: its last target is its own first token",
        (
            (
                "as_tensor = lambda",
                "targets[-1] = np.append(targets[-1][:-1], inputs[0][0])\n    as_tensor = lambda",
            ),
        ),
    ),
    Mistake(
        "cut_batch",
        "rows start T + 1 tokens apart: one token in T + 1 is never an input",
        (("start = row * sequence_length", "start = row * (sequence_length + 1)"),),
    ),
    Mistake(
        "cut_batch",
        "batches start B * T + 1 tokens apart: one token between them is never an input",
        (("start = row * sequence_length", "start = row * sequence_length + index"),),
    ),
    Mistake(
        "cut_batch",
        "batches start T tokens apart instead of B * T: they overlap",
        (("first_row = index * batch_size +", "first_row = index +"),),
    ),
    Mistake(
        "cut_batch",
        "the first batch skipped: index + 1",
        (("first_row = index * batch_size", "first_row = (index + 1) * batch_size"),),
    ),
    Mistake(
        "cut_batch",
        "the text runs down the columns: reshaped to (T, B) and transposed",
        (
            ("start = row * sequence_length", "start = row + first_row * (sequence_length - 1)"),
            (INPUTS, f"inputs.append(shard[start:]{COLUMN})"),
            (TARGETS, f"targets.append(shard[start + 1 :]{COLUMN})"),
        ),
    ),
    Mistake(
        "cut_batch",
        "all ranks read the same rows: rank is not used",
        (("index * batch_size + rank * rows_per_rank", "index * batch_size"),),
    ),
    Mistake(
        "cut_batch",
        "a batch further on is one rank's rows further on, not all ranks': ranks overlap",
        (("index * batch_size + rank * rows_per_rank", "(index + rank) * rows_per_rank"),),
    ),
    Mistake(
        "cut_batch",
        "every rank takes batch_size rows, not its share of them: world_size is not used",
        (("rows_per_rank = batch_size // world_size", "rows_per_rank = batch_size"),),
    ),
    Mistake(
        "cut_batch",
        "rows dealt out to ranks in turn (rank::world_size), not in one run of rows a rank",
        (
            ("rank * rows_per_rank\n", "rank\n"),
            (
                "range(first_row, first_row + rows_per_rank)",
                "range(first_row, (index + 1) * batch_size, world_size)",
            ),
        ),
    ),
    Mistake(
        "cut_batch",
        "ids read as int16: those above 32,767 become negative",
        (("np.stack(rows).astype(np.int64)", "np.stack(rows).astype(np.int16).astype(np.int64)"),),
    ),
    Mistake(
        "cut_batch",
        "index is not used: always the first batch",
        (("index * batch_size + rank * rows_per_rank", "rank * rows_per_rank"),),
    ),
    Mistake(
        "cut_batch",
        "a rank further on is one row further on, not rows: the ranks overlap",
        (("rank * rows_per_rank\n", "rank\n"),),
    ),
]

ATTENTION = [
    Mistake(
        "CausalSelfAttention",
        "no causal mask: every position sees the future",
        ((MASKED, "scores.softmax(dim=-1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask begins a position late: each position sees the one after it",
        (("triu(diagonal=1)", "triu(diagonal=2)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask covers the diagonal too: no position sees itself, and the first becomes nan",
        (("triu(diagonal=1)", "triu(diagonal=0)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask covers the diagonal too: no position sees itself, and the first one gets zeros",
        (
            ("triu(diagonal=1)", "triu(diagonal=0)"),
            (MASKED, "(scores - 1e30 * future).softmax(dim=-1) * ~future"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask upside down: each position sees itself and the future",
        (("triu(diagonal=1)", "tril(diagonal=-1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the future's scores set to 0 instead of minus infinity: e^0 = 1 still counts",
        ((MASKED, "scores.masked_fill(future, 0.0).softmax(dim=-1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask applied after the softmax: a row's weights no longer sum to 1",
        ((MASKED, "scores.softmax(dim=-1).masked_fill(future, 0.0)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "softmax over the queries, dim=-2, instead of the keys",
        ((MASKED, MASKED.replace("dim=-1", "dim=-2")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores not scaled by 1 / sqrt(h)",
        ((" / math.sqrt(self.head_dim)", ""),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores scaled by 1 / sqrt(D), the model's width, instead of the head's",
        (("math.sqrt(self.head_dim)", "math.sqrt(D)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores divided by h instead of sqrt(h)",
        (("math.sqrt(self.head_dim)", "self.head_dim"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores multiplied by sqrt(h) instead of divided",
        ((" / math.sqrt(self.head_dim)", " * math.sqrt(self.head_dim)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the rows of c_attn read in the order k, q, v instead of q, k, v",
        (("q, k, v = self.c_attn(x)", "k, q, v = self.c_attn(x)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the rows of c_attn read in the order v, k, q instead of q, k, v",
        (("q, k, v = self.c_attn(x)", "v, k, q = self.c_attn(x)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the rows of c_attn read head by head, (H, 3, h), instead of (3, H, h)",
        (
            (
                "self.c_attn(x).split(D, dim=-1)",
                "self.c_attn(x).view(B, T, self.num_heads, 3, -1).unbind(3)",
            ),
            ("B, T, _ = x.shape", "B, T = x.shape[:2]"),
            (INTO_HEADS, "x.transpose(1, 2)"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "heads cut as (h, H) instead of (H, h): a head gets every H-th feature",
        ((INTO_HEADS, "x.view(B, T, self.head_dim, self.num_heads).permute(0, 3, 1, 2)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "view(B, H, T, h) without a transposition: a head mixes positions",
        ((INTO_HEADS, "x.reshape(B, self.num_heads, T, self.head_dim)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "heads put together without transposing back: reshape of (B, H, T, h)",
        ((HEADS, "heads.reshape(B, T, D)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "attention across the heads of one position: (B, T, H, h) never transposed",
        (
            ("torch.ones(T, T,", "torch.ones(self.num_heads, self.num_heads,"),
            (INTO_HEADS, "x.view(B, T, self.num_heads, self.head_dim)"),
            (HEADS, "heads.reshape(B, T, D)"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "one head of width D instead of H of width h",
        (
            ("self.num_heads = args.num_heads", "self.num_heads = 1"),
            ("args.model_dim // args.num_heads", "args.model_dim"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "the output projection c_proj left out",
        (("return self.c_proj(" + HEADS + ")", "return " + HEADS),),
    ),
    Mistake(
        "CausalSelfAttention",
        "c_attn and c_proj without their biases",
        (
            ("3 * args.model_dim)", "3 * args.model_dim, bias=False)"),
            (
                "nn.Linear(args.model_dim, args.model_dim)",
                "nn.Linear(args.model_dim, args.model_dim, bias=False)",
            ),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "the residual added here as well: the block adds it already",
        (("return self.c_proj(", "return x + self.c_proj("),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores divided by 8 = sqrt(64), GPT-2's heads, whatever the width of a head is",
        (("math.sqrt(self.head_dim)", "8.0"),),
    ),
]

GET_LR = [
    Mistake(
        "get_lr",
        "the warm-up starts at 0: t / warmup_iters instead of (t + 1) / warmup_iters",
        (("(step + 1) / args.warmup_iters", "step / args.warmup_iters"),),
    ),
    Mistake(
        "get_lr",
        "the warm-up lasts a step too long, at more than the peak: <= instead of <",
        (("if step < args.warmup_iters", "if step <= args.warmup_iters"),),
    ),
    Mistake(
        "get_lr",
        "no warm-up: the factor is 1 until warmup_iters",
        (("return (step + 1) / args.warmup_iters", "return 1.0"),),
    ),
    Mistake(
        "get_lr",
        "the cosine measured from step 0 instead of from the end of the warm-up",
        (
            ("elapsed = step - args.warmup_iters", "elapsed = step"),
            ("whole = args.num_iterations - args.warmup_iters", "whole = args.num_iterations"),
        ),
    ),
    Mistake(
        "get_lr",
        "the cosine over num_iterations steps from the end of the warm-up: it never reaches 0",
        (("whole = args.num_iterations - args.warmup_iters", "whole = args.num_iterations"),),
    ),
    Mistake(
        "get_lr",
        "the cosine a step early: it starts below the peak",
        (("elapsed = step - args.warmup_iters", "elapsed = step - args.warmup_iters + 1"),),
    ),
    Mistake(
        "get_lr",
        "the cosine a step too short: it reaches 0 at the last update, which is wasted",
        (
            (
                "whole = args.num_iterations - args.warmup_iters",
                "whole = args.num_iterations - args.warmup_iters - 1",
            ),
        ),
    ),
    Mistake(
        "get_lr",
        "a quarter of a cosine, cos(pi / 2 * x), instead of (1 + cos(pi * x)) / 2",
        ((COSINE, COSINE.removesuffix(" ** 2")),),
    ),
    Mistake(
        "get_lr",
        "a whole cosine, down and up again: cos(2 pi x) instead of cos(pi x)",
        (("0.5 * math.pi", "math.pi"),),
    ),
    Mistake(
        "get_lr",
        "cos(x) without pi: the factor hardly falls",
        (("0.5 * math.pi", "0.5"),),
    ),
    Mistake(
        "get_lr",
        "cos(pi x) alone: it falls to -1, uphill",
        ((COSINE, "math.cos(math.pi * elapsed / whole)"),),
    ),
    Mistake(
        "get_lr",
        "1 + cos(pi x) without the half: twice the peak",
        ((COSINE, "2 * " + COSINE),),
    ),
    Mistake(
        "get_lr",
        "a straight line down instead of a cosine",
        ((COSINE, "1 - elapsed / whole"),),
    ),
    Mistake(
        "get_lr",
        "the cosine ends at a tenth of the peak instead of 0",
        ((COSINE, "0.1 + 0.9 * " + COSINE),),
    ),
    Mistake(
        "get_lr",
        "no cosine: the factor stays 1 after the warm-up",
        ((COSINE, "1.0"),),
    ),
    Mistake(
        "get_lr",
        "a learning rate returned instead of a factor on it: learning_rate counts twice",
        (
            (
                "return (step + 1) / args.warmup_iters",
                "return args.learning_rate * (step + 1) / args.warmup_iters",
            ),
            (COSINE, "args.learning_rate * " + COSINE),
        ),
    ),
    Mistake(
        "get_lr",
        "the sign of the cosine: 1 - cos(pi x) rises from 0 to 1",
        ((COSINE, "math.sin(0.5 * math.pi * elapsed / whole) ** 2"),),
    ),
]

DECAY_GROUPS = [
    Mistake(
        "decay_groups",
        "everything decays, biases and gains too",
        (('"weight_decay": 0.0', '"weight_decay": weight_decay'),),
    ),
    Mistake(
        "decay_groups",
        "nothing decays",
        (('"weight_decay": weight_decay', '"weight_decay": 0.0'),),
    ),
    Mistake(
        "decay_groups",
        "the groups swapped: biases and gains decay, matrices and tables do not",
        (("parameter.dim() < 2", "parameter.dim() >= 2"),),
    ),
    Mistake(
        "decay_groups",
        "only biases are spared: the norms' gains decay",
        (*BY_NAME, (VECTOR, 'is_vector = name.endswith("bias")')),
    ),
    Mistake(
        "decay_groups",
        "only norms are spared: the biases of the linears decay",
        (*BY_NAME, (VECTOR, 'is_vector = "ln_" in name')),
    ),
    Mistake(
        "decay_groups",
        "the tables of tokens and positions do not decay",
        (*BY_NAME, (VECTOR, 'is_vector = parameter.dim() < 2 or not name.startswith("h.")')),
    ),
    Mistake(
        "decay_groups",
        "the table of tokens, which is the head too, does not decay",
        (*BY_NAME, (VECTOR, 'is_vector = parameter.dim() < 2 or name == "wte.weight"')),
    ),
    Mistake(
        "decay_groups",
        "the table of positions does not decay",
        (*BY_NAME, (VECTOR, 'is_vector = parameter.dim() < 2 or name == "wpe.weight"')),
    ),
    Mistake(
        "decay_groups",
        "the tied table listed twice: once as embedding, once as head",
        (("model.parameters()", "(p for _, p in model.named_parameters(remove_duplicate=False))"),),
    ),
    Mistake(
        "decay_groups",
        "biases and gains in no group: they would never be updated",
        (("    return groups", "    return groups[:1]"),),
    ),
    Mistake(
        "decay_groups",
        "0.1 written down instead of weight_decay, the argument",
        (('"weight_decay": weight_decay', '"weight_decay": 0.1'),),
    ),
    Mistake(
        "decay_groups",
        "no weight_decay in the second group: AdamW then takes its default, not 0",
        ((', "weight_decay": 0.0}', "}"),),
    ),
    Mistake(
        "decay_groups",
        "> 2 dimensions instead of >= 2: matrices and tables do not decay",
        (("parameter.dim() < 2", "parameter.dim() <= 2"),),
    ),
    Mistake(
        "decay_groups",
        "== 2 dimensions instead of >= 2",
        (("parameter.dim() < 2", "parameter.dim() != 2"),),
    ),
]

FORWARD_BACKWARD = [
    Mistake(
        "forward_backward",
        "micro-batches added up, not averaged: loss and gradient too large",
        ((SHARE, "model(x, y)"),),
    ),
    Mistake(
        "forward_backward",
        "the gradients of the micro-batches added up, not averaged; the loss is right",
        (("share.backward()", "(share * rows / len(x)).backward()"),),
    ),
    Mistake(
        "forward_backward",
        "the losses of the micro-batches added up, not averaged; the gradient is right",
        (("+ share.detach()", "+ share.detach() * rows / len(x)"),),
    ),
    Mistake(
        "forward_backward",
        "the loss of the last micro-batch returned, not the mean; the gradient is right",
        (("mean_loss + share.detach()", "share.detach() * rows / len(x)"),),
    ),
    Mistake(
        "forward_backward",
        "the loss of the last micro-batch returned, divided by the number of micro-batches",
        (("mean_loss + share.detach()", "share.detach()"),),
    ),
    Mistake(
        "forward_backward",
        "divided by the rows of a micro-batch instead of the number of micro-batches",
        ((SHARE, "model(x, y) / len(x)"),),
    ),
    Mistake(
        "forward_backward",
        "divided by the number of rows instead of the number of micro-batches",
        ((SHARE, "model(x, y) / rows"),),
    ),
    Mistake(
        "forward_backward",
        "only the last gradient is left: zero_grad() in the loop, or backward() after it",
        (("        x = inputs", "        model.zero_grad()\n        x = inputs"),),
    ),
    Mistake(
        "forward_backward",
        "one backward() for the sum, after the loop: all activations are in memory at once",
        (
            ("        share.backward()\n", ""),
            ("mean_loss + share.detach()", "mean_loss + share"),
            ("    return mean_loss", "    mean_loss.backward()\n    return mean_loss.detach()"),
        ),
    ),
    Mistake(
        "forward_backward",
        "device_batch_size not used: all rows go through the model at once",
        (("    rows = len(inputs)\n", "    rows = device_batch_size = len(inputs)\n"),),
    ),
    Mistake(
        "forward_backward",
        "the loss returned with its graph: detach() is missing",
        (("mean_loss + share.detach()", "mean_loss + share"),),
    ),
    Mistake(
        "forward_backward",
        "only the first micro-batch is used",
        (("range(0, rows, device_batch_size)", "[0]"), (SHARE, "model(x, y)")),
    ),
    Mistake(
        "forward_backward",
        "every micro-batch of inputs held against the first micro-batch's targets",
        (("targets[start : start + device_batch_size]", "targets[:device_batch_size]"),),
    ),
    Mistake(
        "forward_backward",
        "micro-batches weighted by their rows, but not divided by all rows",
        ((SHARE, "model(x, y) * len(x)"),),
    ),
    Mistake(
        "forward_backward",
        "the gradients clipped to norm 1 after every micro-batch",
        (
            (
                "share.backward()",
                "share.backward()\n        nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
            ),
        ),
    ),
    Mistake(
        "forward_backward",
        "no backward(): there is no gradient",
        (("        share.backward()\n", ""),),
    ),
    Mistake(
        "forward_backward",
        "zero_grad() after the loop: no gradient is left for the optimizer",
        (("    return mean_loss", "    model.zero_grad()\n    return mean_loss"),),
    ),
    Mistake(
        "forward_backward",
        "cut along the sequence instead of along the rows: context is lost",
        (
            ("rows = len(inputs)", "rows = inputs.shape[1]"),
            ("inputs[start :", "inputs[:, start :"),
            ("targets[start :", "targets[:, start :"),
            ("len(x) / rows", "x.shape[1] / rows"),
        ),
    ),
    Mistake(
        "forward_backward",
        "micro-batch i begins at row i instead of at row i * device_batch_size",
        (
            (
                "inputs[start : start + device_batch_size]",
                "inputs[start // device_batch_size :][:device_batch_size]",
            ),
            (
                "targets[start : start + device_batch_size]",
                "targets[start // device_batch_size :][:device_batch_size]",
            ),
        ),
    ),
    Mistake(
        "forward_backward",
        "the last micro-batch left out, if there is more than one",
        (
            (
                "range(0, rows, device_batch_size)",
                "range(0, max(1, rows - device_batch_size), device_batch_size)",
            ),
        ),
    ),
]

MISTAKES = [
    *BATCHES_IN_SHARD,
    *CUT_BATCH,
    *ATTENTION,
    *GET_LR,
    *DECAY_GROUPS,
    *FORWARD_BACKWARD,
]

EQUIVALENTS = [
    Equivalent(
        "batches_in_shard",
        "counted up, one batch after another",
        (
            (
                "return (num_tokens - 1) // (batch_size * sequence_length)",
                "window = batch_size * sequence_length\n"
                "    return len(range(window, num_tokens, window))",
            ),
        ),
    ),
    Equivalent(
        "cut_batch",
        "one matrix of T + 1 columns by indexing with an outer sum",
        (
            (
                "return as_tensor(inputs), as_tensor(targets)",
                "rows = (first_row + np.arange(rows_per_rank)) * sequence_length\n"
                "    where = np.add.outer(rows, np.arange(sequence_length + 1))\n"
                "    both = torch.from_numpy(shard[where].astype(np.int64))\n"
                "    return both[:, :-1], both[:, 1:]",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "heads one after another, the mask added, softmax by hand",
        (
            (
                "k.transpose(-2, -1) / math.sqrt(self.head_dim)",
                "k.transpose(-2, -1) * self.head_dim**-0.5",
            ),
            (
                "weights = " + MASKED,
                "scores = scores + torch.zeros_like(scores).masked_fill(future, -torch.inf)\n"
                "        powers = (scores - scores.amax(-1, keepdim=True)).exp()\n"
                "        weights = powers / powers.sum(-1, keepdim=True)",
            ),
            (
                "heads = weights @ v ",
                "heads = torch.stack([weights[:, i] @ v[:, i] for i in range(self.num_heads)], 1) ",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "a running softmax over blocks of keys, as in FlashAttention",
        (
            (
                "heads = weights @ v ",
                "heads = self.blockwise(scores.masked_fill(future, -1e30), v) ",
            ),
            (
                "    def into_heads(",
                "    def blockwise(self, scores, v, size=5):\n"
                "        top = torch.full_like(scores[..., :1], -1e30)\n"
                "        total, mixed = torch.zeros_like(top), torch.zeros_like(v)\n"
                "        parts = zip(scores.split(size, -1), v.split(size, -2), strict=True)\n"
                "        for part, values in parts:\n"
                "            new = torch.maximum(top, part.amax(-1, keepdim=True))\n"
                "            powers, shrink = (part - new).exp(), (top - new).exp()\n"
                "            total = total * shrink + powers.sum(-1, keepdim=True)\n"
                "            mixed, top = mixed * shrink + powers @ values, new\n"
                "        return mixed / total\n\n"
                "    def into_heads(",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "the output projection applied head by head, and summed",
        (
            (
                "return self.c_proj(" + HEADS + ")",
                "columns = self.c_proj.weight.view(D, self.num_heads, self.head_dim)\n"
                '        return torch.einsum("bhtc,dhc->btd", heads, columns) + self.c_proj.bias',
            ),
        ),
    ),
    Equivalent(
        "get_lr",
        "the cosine as the real part of a turning pointer",
        ((COSINE, "abs(1 + complex(-1) ** (elapsed / whole)) ** 2 / 4"),),
    ),
    Equivalent(
        "decay_groups",
        "a group for every parameter, in reverse",
        (
            (
                "    return groups",
                '    lists = [(g, p) for g in groups[::-1] for p in g["params"][::-1]]\n'
                '    return [{**group, "params": [p]} for group, p in lists]',
            ),
        ),
    ),
    Equivalent(
        "forward_backward",
        "the last micro-batch first",
        (("range(0, rows, device_batch_size)", "reversed(range(0, rows, device_batch_size))"),),
    ),
    Equivalent(
        "forward_backward",
        "gradients of the summed losses, divided once at the end",
        (
            ("share.backward()", "(share * rows).backward()"),
            (
                "    return mean_loss",
                "    for p in model.parameters():\n        p.grad /= rows\n    return mean_loss",
            ),
        ),
    ),
]

SLOW = []
