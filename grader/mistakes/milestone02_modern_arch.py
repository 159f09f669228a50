"""Named mistakes and equivalents of milestone 02."""

from grader.mistakes import Equivalent, Mistake

MISSING = "missing = -v % n  # Python's % is never negative: 0 for a multiple"
PADDED = "return v + missing"

SHAPE = "_, T, _, h = x.shape"
SPEED = "base ** (-j / pairs)"
POSITION = "torch.arange(T, **like).view(T, 1, 1)"
ANGLE = "position * torch.cat([speed, speed])"
PARTNER = "torch.cat([x[..., pairs:], -x[..., :pairs]], dim=-1)"
NEIGHBOUR = "torch.stack([x[..., 1::2], -x[..., ::2]], dim=-1).flatten(-2)"
TURN = "return x * angle.cos() + partner * angle.sin()"

LINEARS = """        self.c_q = nn.Linear(width, width, bias=False)
        self.c_k = nn.Linear(width, width, bias=False)
        self.c_v = nn.Linear(width, width, bias=False)
"""
PROJECTION = "        self.c_proj = nn.Linear(width, width, bias=False)\n"
TO_HEADS = "q, k = self.heads(self.c_q(x)), self.heads(self.c_k(x))"
NORMED = "q, k = self.normalised(q), self.normalised(k)"
TURNED = "q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)"
VALUES = "v = self.heads(self.c_v(x))"
SCORES = 'torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])'
SOFTMAX = "scores.where(past, -torch.inf).softmax(dim=-1)"
MEAN = 'torch.einsum("bhij,bjhd->bihd", weights, v)'
ATTENDED = "return self.c_proj(y.flatten(2))"
CUT = "x.unflatten(2, (self.num_heads, -1))"
MEAN_SQUARE = "x.pow(2).mean(dim=-1, keepdim=True)"
NORMALISED = "x / torch.sqrt(mean_square + self.norm_eps)"

INNER = "self.c_fc(x).clamp(min=0)"
OUT = "self.c_proj(z * z)"

BOUND = "1 / math.sqrt(parameter.shape[1])"
UNIFORM = "nn.init.uniform_(parameter, -bound, bound)"
ATTENTION_ZERO = "nn.init.zeros_(block.attn.c_proj.weight)"
MLP_ZERO = "nn.init.zeros_(block.mlp.c_proj.weight)"

NEXT_MULTIPLE = [
    Mistake(
        "next_multiple_of_n",
        "a bit mask, & ~(n - 1): right for powers of two alone",
        ((PADDED, "return (v + n - 1) & ~(n - 1)"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "rounded down; ceil(v // n) does so too, it comes too late",
        ((PADDED, "return v - v % n"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "a multiple of n gets n more: it should stay as it is",
        ((MISSING, "missing = n - v % n"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "rounded to the nearest multiple: below v, half of the time",
        ((PADDED, "return int(v / n + 0.5) * n"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "the number of multiples: not multiplied by n again",
        ((PADDED, "return (v + missing) // n"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "what is missing to the next multiple, without v itself",
        ((PADDED, "return missing"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "v + n - 1, not yet divided by n and multiplied again",
        ((PADDED, "return v + n - 1"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "the next power of two",
        ((PADDED, "return 2 ** math.ceil(math.log2(v))"),),
    ),
    Mistake(
        "next_multiple_of_n",
        "v itself: nothing is padded",
        ((PADDED, "return v"),),
    ),
]

ROTARY = [
    Mistake(
        "rotary",
        "no gradient flows through: @torch.no_grad(), .data or detach()",
        (
            (
                TURN,
                f"{TURN}".replace(
                    "return x", "x, partner = x.detach(), partner.detach()\n    return x"
                ),
            ),
        ),
    ),
    Mistake(
        "rotary",
        "neighbours paired, features 2j and 2j + 1, instead of j and j + h/2",
        ((ANGLE, "position * speed.repeat_interleave(2)"), (PARTNER, NEIGHBOUR)),
    ),
    Mistake(
        "rotary",
        "neighbours paired, 2j and 2j + 1, and put back as halves",
        (
            (
                "    partner =",
                "    x = torch.cat([x[..., ::2], x[..., 1::2]], dim=-1)\n    partner =",
            ),
        ),
    ),
    Mistake(
        "rotary",
        "neighbours paired, 2j and 2j + 1, with the angles of pairs j and j + h/2",
        ((PARTNER, NEIGHBOUR),),
    ),
    Mistake(
        "rotary",
        "turned the other way: a cos - b sin, b cos + a sin",
        ((TURN, TURN.replace("+", "-")),),
    ),
    Mistake(
        "rotary",
        "two plus signs: a cos + b sin, b cos + a sin is no rotation",
        ((PARTNER, PARTNER.replace("-x", "x")),),
    ),
    Mistake(
        "rotary",
        "exponent j/h instead of 2j/h: all but the first pair turn too fast",
        ((SPEED, "base ** (-j / h)"),),
    ),
    Mistake(
        "rotary",
        "exponent 4j/h instead of 2j/h: all but the first pair turn too slowly",
        ((SPEED, "base ** (-2 * j / pairs)"),),
    ),
    Mistake(
        "rotary",
        "exponent without its minus: all but the first pair turn faster, not more slowly",
        ((SPEED, "base ** (j / pairs)"),),
    ),
    Mistake(
        "rotary",
        "frequencies from 1 to 1 / base inclusive: exponent j / (h/2 - 1) instead of j / (h/2)",
        ((SPEED, "base ** (-j / max(pairs - 1, 1))"),),
    ),
    Mistake(
        "rotary",
        "one frequency for all pairs: a radian a position",
        ((SPEED, "1.0"),),
    ),
    Mistake(
        "rotary",
        "10,000 written down instead of base, the argument",
        ((SPEED, "10_000.0 ** (-j / pairs)"),),
    ),
    Mistake(
        "rotary",
        "half of the pairs not turned, as in later records",
        ((SPEED, "base ** (-j / pairs) * (2 * j < pairs)"),),
    ),
    Mistake(
        "rotary",
        "positions counted from 1: no score would change, but position 0 should stay as it is",
        ((POSITION, POSITION.replace("(T, **like)", "(1, T + 1, **like)")),),
    ),
    Mistake(
        "rotary",
        "positions counted backwards, from the end of the sequence",
        ((POSITION, POSITION.replace("(T, **like)", "(T - 1, -1, -1, **like)")),),
    ),
    Mistake(
        "rotary",
        "positions counted along the heads instead of T",
        ((SHAPE, "_, _, T, h = x.shape"), (POSITION, POSITION.replace("T, 1, 1", "T, 1"))),
    ),
    Mistake(
        "rotary",
        "nothing turned: x comes back as it was",
        ((TURN, "return x"),),
    ),
    Mistake(
        "rotary",
        "the sines left out: a cos, b cos",
        ((TURN, "return x * angle.cos()"),),
    ),
    Mistake(
        "rotary",
        "sine and cosine swapped: a sin + b cos, b sin - a cos",
        ((TURN, "return x * angle.sin() + partner * angle.cos()"),),
    ),
    Mistake(
        "rotary",
        "the two halves put together in the wrong order",
        ((TURN, f"{TURN.replace('return ', 'return (')}).roll(pairs, -1)"),),
    ),
    Mistake(
        "rotary",
        "the new b made from the new a: a is overwritten before b needs it",
        (
            (
                TURN,
                "a, b = x[..., :pairs], x[..., pairs:]\n"
                "    cos, sin = angle.cos()[..., :pairs], angle.sin()[..., :pairs]\n"
                "    a = a * cos + b * sin\n    b = b * cos - a * sin\n"
                "    return torch.cat([a, b], dim=-1)",
            ),
        ),
    ),
    Mistake(
        "rotary",
        "angles in x's dtype: bfloat16 does not hold every integer above 256",
        (("torch.promote_types(x.dtype, torch.float32)", "x.dtype"),),
    ),
    Mistake(
        "rotary",
        "angles times 2 pi: t * base^(-2j/h) are radians already",
        ((ANGLE, f"2 * math.pi * {ANGLE}"),),
    ),
    Mistake(
        "rotary",
        "x changed in place",
        ((TURN, "return x.copy_(x * angle.cos() + partner * angle.sin())"),),
    ),
]

ATTENTION = [
    Mistake(
        "CausalSelfAttention",
        "no QK-norm",
        ((NORMED, "pass"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm of q alone",
        ((NORMED, "q = self.normalised(q)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm of k alone",
        ((NORMED, "k = self.normalised(k)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v normalised too",
        ((VALUES, "v = self.normalised(self.heads(self.c_v(x)))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm over all D features instead of each head's",
        ((NORMED, "q, k = (self.heads(self.normalised(z.flatten(2))) for z in (q, k))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm over the positions instead of a head's features",
        ((MEAN_SQUARE, MEAN_SQUARE.replace("dim=-1", "dim=1")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm over the heads instead of a head's features",
        ((MEAN_SQUARE, MEAN_SQUARE.replace("dim=-1", "dim=2")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "q and k divided by their length, not by their root mean square: sum instead of mean",
        ((MEAN_SQUARE, MEAN_SQUARE.replace("mean", "sum")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "F.normalize: q and k divided by their length, without args.norm_eps",
        ((NORMALISED, "x / mean_square.mul(x.shape[-1]).sqrt().clamp(min=1e-12)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "k normalised from q: what c_k made is lost",
        ((NORMED, "q = self.normalised(q)\n        k = self.normalised(q)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm without the root: divided by the mean square",
        ((NORMALISED, "x / (mean_square + self.norm_eps)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm with epsilon added to the root, not under it",
        ((NORMALISED, "x / (torch.sqrt(mean_square) + self.norm_eps)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "LayerNorm in place of the RMS norm: the mean is subtracted",
        ((MEAN_SQUARE, f"(x := x - x.mean(dim=-1, keepdim=True)){MEAN_SQUARE[1:]}"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "args.norm_eps not used: QK-norm without an epsilon, or with one written down",
        (("self.norm_eps = args.norm_eps", "self.norm_eps = 1e-6"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm with learned gains: nn.RMSNorm has one for each feature",
        (
            (
                PROJECTION,
                f"{PROJECTION}        h = width // self.num_heads\n"
                "        self.q_norm = nn.RMSNorm(h, eps=self.norm_eps)\n"
                "        self.k_norm = nn.RMSNorm(h, eps=self.norm_eps)\n",
            ),
            (NORMED, "q, k = self.q_norm(q), self.k_norm(k)"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores not scaled by 1 / sqrt(h); a scale before the norm is normalised away",
        ((SCORES, SCORES.removesuffix(" / math.sqrt(q.shape[-1])")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores divided by h instead of sqrt(h)",
        ((SCORES, SCORES.replace("math.sqrt(q.shape[-1])", "q.shape[-1]")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores scaled by 1 / sqrt(D), the model's width, instead of the head's",
        ((SCORES, SCORES.replace("q.shape[-1]", "x.shape[-1]")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores multiplied by sqrt(h) instead of divided",
        ((SCORES, SCORES.replace("/", "*")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "no rotary positions: not called, or on (B, H, T, h), where it takes heads for positions",
        ((TURNED, "pass"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "q and k turned twice",
        ((TURNED, f"{TURNED}\n        {TURNED}"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "only q turned by rotary",
        ((TURNED, "q = rotary(q, self.rotary_base)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "only k turned by rotary",
        ((TURNED, "k = rotary(k, self.rotary_base)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v turned by rotary too",
        ((VALUES, "v = rotary(self.heads(self.c_v(x)), self.rotary_base)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "rotary over all D features, before they are cut into heads",
        (
            (
                TURNED,
                "q, k = (self.heads(rotary(z.flatten(2).unsqueeze(2), self.rotary_base).squeeze(2))"
                " for z in (q, k))",
            ),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "10,000 written down instead of args.rotary_base",
        (("self.rotary_base = args.rotary_base", "self.rotary_base = 10_000.0"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "no causal mask: every position sees the future",
        ((SOFTMAX, "scores.softmax(dim=-1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask begins a position late: each position sees the one after it",
        ((".tril()", ".tril(1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "future scores set to 0 instead of -inf: exp(0) = 1 is a weight too",
        ((SOFTMAX, SOFTMAX.replace("-torch.inf", "0.0")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the future set to 0 after softmax: what is left no longer adds up to 1",
        ((SOFTMAX, "scores.softmax(dim=-1).where(past, 0.0)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "softmax over the queries instead of the keys: the axis before the last",
        ((SOFTMAX, SOFTMAX.replace("dim=-1", "dim=-2")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "attention over the heads of one position: on (B, T, H, h) instead of (B, H, T, h)",
        (
            ("T = x.shape[1]", "T = self.num_heads"),
            (SCORES, SCORES.replace("bihd,bjhd->bhij", "bhid,bhjd->bhij")),
            (MEAN, MEAN.replace("bhij,bjhd->bihd", "bhij,bhjd->bhid")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask upside down: each position sees itself and the future",
        ((".tril()", ".triu()"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "q and k swapped: c_q gives the keys, c_k the queries",
        ((TO_HEADS, "k, q = self.heads(self.c_q(x)), self.heads(self.c_k(x))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "k from c_q as well: c_k is never used",
        ((TO_HEADS, "q, k = self.heads(self.c_q(x)), self.heads(self.c_q(x))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v from c_k: c_v is never used",
        ((VALUES, "v = self.heads(self.c_k(x))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "heads cut as (h, H) instead of (H, h): a head gets every H-th feature",
        ((CUT, "x.unflatten(2, (-1, self.num_heads)).transpose(2, 3)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "view(B, H, T, h) of what is (B, T, D): features and positions mixed up",
        ((CUT, "x.reshape(len(x), self.num_heads, x.shape[1], -1).transpose(1, 2)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "one head of width D instead of H of width h",
        (("self.num_heads = args.num_heads", "self.num_heads = 1"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "heads put together in a wrong order: reshape of (B, H, T, h)",
        ((ATTENDED, "return self.c_proj(y.transpose(1, 2).reshape(x.shape))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the output projection c_proj left out",
        ((ATTENDED, "return y.flatten(2)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the residual added here as well: the block adds it already",
        ((ATTENDED, "return x + self.c_proj(y.flatten(2))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the factor 1 / sqrt(2 num_layers) of milestone 01 kept",
        (
            (
                PROJECTION,
                f"{PROJECTION}        self.factor = 1 / math.sqrt(2 * args.num_layers)\n",
            ),
            (ATTENDED, "return self.factor * self.c_proj(y.flatten(2))"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "c_q, c_k, c_v and c_proj with biases",
        (
            (LINEARS, LINEARS.replace(", bias=False", "")),
            (PROJECTION, PROJECTION.replace(", bias=False", "")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "q, k and v from one linear, c_attn, as in milestone 01",
        (
            (LINEARS, "        self.c_attn = nn.Linear(width, 3 * width, bias=False)\n"),
            (TO_HEADS, "q, k, v = (self.heads(z) for z in self.c_attn(x).chunk(3, dim=2))"),
            (f"        {VALUES}\n", ""),
        ),
    ),
]

MLPS = [
    Mistake(
        "MLP",
        "ReLU without the square",
        ((OUT, "self.c_proj(z)"),),
    ),
    Mistake(
        "MLP",
        "the square without ReLU, or before it: z^2 is never negative",
        ((INNER, "self.c_fc(x)"),),
    ),
    Mistake(
        "MLP",
        "GELU, as in milestone 01",
        ((INNER, "nn.functional.gelu(self.c_fc(x))"), (OUT, "self.c_proj(z)")),
    ),
    Mistake(
        "MLP",
        "GELU, squared",
        ((INNER, "nn.functional.gelu(self.c_fc(x))"),),
    ),
    Mistake(
        "MLP",
        "SiLU, z sigmoid(z)",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(z * torch.sigmoid(z))")),
    ),
    Mistake(
        "MLP",
        "z |z|: the negative squared too, with its sign",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(z * z.abs())")),
    ),
    Mistake(
        "MLP",
        "the sign of ReLU: the negative is kept, the positive becomes 0",
        ((INNER, "self.c_fc(x).clamp(max=0)"),),
    ),
    Mistake(
        "MLP",
        "half of ReLU^2, as if it were an integral of ReLU",
        ((OUT, "self.c_proj(z * z / 2)"),),
    ),
    Mistake(
        "MLP",
        "the square taken after c_proj instead of before it",
        ((OUT, "self.c_proj(z) ** 2"),),
    ),
    Mistake(
        "MLP",
        "ReLU^2 after c_proj as well",
        ((OUT, "self.c_proj(z * z).clamp(min=0) ** 2"),),
    ),
    Mistake(
        "MLP",
        "ReLU^2 after c_proj instead of before it",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(z).clamp(min=0) ** 2")),
    ),
    Mistake(
        "MLP",
        "ReLU^2 of x, before c_fc",
        ((INNER, "x.clamp(min=0)"), (OUT, "self.c_proj(self.c_fc(z * z))")),
    ),
    Mistake(
        "MLP",
        "no activation: two matrices in a row are one",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(z)")),
    ),
    Mistake(
        "MLP",
        "the square cut off from the gradient: z * z.detach() has half the slope",
        ((OUT, "self.c_proj(z * z.detach())"),),
    ),
    Mistake(
        "MLP",
        "the residual added in the MLP: the block adds it already",
        ((f"return {OUT}", f"return x + {OUT}"),),
    ),
    Mistake(
        "MLP",
        "c_fc and c_proj with biases",
        (
            ("4 * args.model_dim, bias=False)", "4 * args.model_dim)"),
            (
                "4 * args.model_dim, args.model_dim, bias=False)",
                "4 * args.model_dim, args.model_dim)",
            ),
        ),
    ),
    Mistake(
        "MLP",
        "no wider inside than outside: D instead of 4D",
        (
            ("args.model_dim, 4 * args.model_dim,", "args.model_dim, args.model_dim,"),
            ("4 * args.model_dim, args.model_dim,", "args.model_dim, args.model_dim,"),
        ),
    ),
]

INIT_WEIGHTS = [
    Mistake(
        "init_weights",
        "no projection starts at 0",
        ((ATTENTION_ZERO, "pass"), (MLP_ZERO, "pass")),
    ),
    Mistake(
        "init_weights",
        "attn.c_proj does not start at 0, only mlp.c_proj does",
        ((ATTENTION_ZERO, "pass"),),
    ),
    Mistake(
        "init_weights",
        "mlp.c_proj does not start at 0, only attn.c_proj does",
        ((MLP_ZERO, "pass"),),
    ),
    Mistake(
        "init_weights",
        "only the first block's projections start at 0",
        (("for block in model.h:", "for block in model.h[:1]:"),),
    ),
    Mistake(
        "init_weights",
        "c_fc starts at 0 too: the MLP is 0, and its gradients are, for ever",
        ((MLP_ZERO, f"{MLP_ZERO}\n        nn.init.zeros_(block.mlp.c_fc.weight)"),),
    ),
    Mistake(
        "init_weights",
        "c_fc starts at 0 in place of mlp.c_proj",
        ((MLP_ZERO, "nn.init.zeros_(block.mlp.c_fc.weight)"),),
    ),
    Mistake(
        "init_weights",
        "c_v starts at 0 too: attention is 0, and its gradients are, for ever",
        ((ATTENTION_ZERO, f"{ATTENTION_ZERO}\n        nn.init.zeros_(block.attn.c_v.weight)"),),
    ),
    Mistake(
        "init_weights",
        "c_v starts at 0 in place of attn.c_proj",
        ((ATTENTION_ZERO, "nn.init.zeros_(block.attn.c_v.weight)"),),
    ),
    Mistake(
        "init_weights",
        "c_q starts at 0 too: every position weighs its past evenly",
        ((ATTENTION_ZERO, f"{ATTENTION_ZERO}\n        nn.init.zeros_(block.attn.c_q.weight)"),),
    ),
    Mistake(
        "init_weights",
        "the head starts at 0 too; it is the table of tokens: nothing would ever be learned",
        (("    for block", "    nn.init.zeros_(model.lm_head.weight)\n    for block"),),
    ),
    Mistake(
        "init_weights",
        "everything starts at 0",
        ((UNIFORM, "nn.init.zeros_(parameter)"),),
    ),
    Mistake(
        "init_weights",
        "bound 1 / sqrt(out) instead of 1 / sqrt(in): weights are stored (out, in)",
        ((BOUND, BOUND.replace("[1]", "[0]")),),
    ),
    Mistake(
        "init_weights",
        "the table's bound 1 / sqrt(V) instead of 1 / sqrt(D)",
        (
            (
                "    for block",
                "    size = len(model.wte.weight) ** -0.5\n"
                "    nn.init.uniform_(model.wte.weight, -size, size)\n    for block",
            ),
        ),
    ),
    Mistake(
        "init_weights",
        "bound 1 / in: the root is missing",
        ((BOUND, "1 / parameter.shape[1]"),),
    ),
    Mistake(
        "init_weights",
        "bound sqrt(3 / in): then the standard deviation, not the bound, is 1 / sqrt(in)",
        ((BOUND, "math.sqrt(3 / parameter.shape[1])"),),
    ),
    Mistake(
        "init_weights",
        "uniform between -0.02 and 0.02, whatever a linear's inputs",
        ((BOUND, "0.02"),),
    ),
    Mistake(
        "init_weights",
        "from 0 to 1 / sqrt(in): no negative weights",
        ((UNIFORM, "nn.init.uniform_(parameter, 0, bound)"),),
    ),
    Mistake(
        "init_weights",
        "from -1 / sqrt(in) to 1: the upper bound is 1 if it is not given",
        ((UNIFORM, "nn.init.uniform_(parameter, -bound)"),),
    ),
    Mistake(
        "init_weights",
        "normal with standard deviation 1 / sqrt(in) instead of uniform",
        ((UNIFORM, "nn.init.normal_(parameter, 0.0, bound)"),),
    ),
    Mistake(
        "init_weights",
        "normal with standard deviation 0.02, as in milestone 00",
        ((UNIFORM, "nn.init.normal_(parameter, 0.0, 0.02)"),),
    ),
    Mistake(
        "init_weights",
        "the table from a standard normal distribution, as nn.Embedding starts by default",
        (("    for block", "    nn.init.normal_(model.wte.weight)\n    for block"),),
    ),
    Mistake(
        "init_weights",
        "projections scaled by 1 / sqrt(2 num_layers), as in milestone 00, instead of 0",
        (
            (ATTENTION_ZERO, "block.attn.c_proj.weight.data /= math.sqrt(2 * len(model.h))"),
            (MLP_ZERO, "block.mlp.c_proj.weight.data /= math.sqrt(2 * len(model.h))"),
        ),
    ),
]

MISTAKES = [*NEXT_MULTIPLE, *ROTARY, *ATTENTION, *MLPS, *INIT_WEIGHTS]

EQUIVALENTS = [
    Equivalent(
        "CausalSelfAttention",
        "softmax by hand, less the largest score of all, future ones too, masked afterwards",
        (
            (
                "weights = scores.where(past, -torch.inf).softmax(dim=-1)",
                "weights = torch.exp(scores - scores.amax(-1, keepdim=True)).where(past, 0)\n"
                "        weights = weights / weights.sum(-1, keepdim=True)",
            ),
        ),
    ),
    Equivalent(
        "next_multiple_of_n",
        "counting up",
        ((MISSING, "missing = 0"), (PADDED, "while v % n:\n        v += 1\n    return v")),
    ),
    Equivalent(
        "rotary",
        "a multiplication of complex numbers",
        (
            (
                TURN,
                "pair = torch.complex(*x.to(like['dtype']).split(pairs, dim=-1))\n"
                "    turn = torch.polar(torch.ones_like(angle), -angle)[..., :pairs]\n"
                "    turned = torch.view_as_real(pair * turn)  # (B, T, H, h/2, 2)\n"
                "    return turned.transpose(-1, -2).flatten(-2)",
            ),
        ),
    ),
    Equivalent(
        "rotary",
        "two by two matrices, one for each position and pair",
        (
            (
                TURN,
                "cos, sin = angle.cos()[:, 0, :pairs], angle.sin()[:, 0, :pairs]\n"
                "    matrix = torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])\n"
                "    two = x.unflatten(-1, (2, pairs)).to(matrix.dtype)\n"
                '    return torch.einsum("uvtj,bthvj->bthuj", matrix, two).flatten(-2)',
            ),
        ),
    ),
    Equivalent(
        "rotary",
        "position by position, each turned on from the one before it",
        (
            (
                TURN,
                "last = torch.ones(pairs, **like), torch.zeros(pairs, **like)\n"
                "    c, s = speed.cos(), speed.sin()\n    rows = []\n    for t in range(T):\n"
                "        a, b = x[:, t, :, :pairs], x[:, t, :, pairs:]\n"
                "        rows.append(torch.cat([a * last[0] + b * last[1], "
                "b * last[0] - a * last[1]], -1))\n"
                "        last = last[0] * c - last[1] * s, last[1] * c + last[0] * s\n"
                "    return torch.stack(rows, dim=1)",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "QK-norm after rotary: turning keeps a head's length",
        ((NORMED, "pass"), (TURNED, f"{TURNED}\n        {NORMED}")),
    ),
    Equivalent(
        "CausalSelfAttention",
        "positions counted from 1: only differences of positions count",
        (
            (
                TURNED,
                "q, k = (rotary(torch.cat([z[:, :1], z], 1), self.rotary_base)[:, 1:]"
                " for z in (q, k))",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "PyTorch's own norm and attention, on (B, H, T, h)",
        (
            (NORMALISED, "nn.functional.rms_norm(x, x.shape[-1:], eps=self.norm_eps)"),
            (f"scores = {SCORES}", "q, k, v = (z.transpose(1, 2) for z in (q, k, v))"),
            (
                f"weights = {SOFTMAX}",
                "y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)",
            ),
            (MEAN, "y.transpose(1, 2)"),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "one product with the three matrices below one another",
        (
            (
                TO_HEADS,
                "three = torch.cat([self.c_q.weight, self.c_k.weight, self.c_v.weight])\n"
                "        q, k, v = (self.heads(z) for z in (x @ three.T).chunk(3, dim=2))",
            ),
            (f"        {VALUES}\n", ""),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "q and k of length 1, scores times sqrt(h)",
        (
            (SCORES, SCORES.replace("/", "*")),
            (
                NORMALISED,
                "x / torch.sqrt(mean_square + self.norm_eps) / math.sqrt(x.shape[-1])",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "a head at a time, its part of c_proj applied to it at once",
        (
            (
                f"y = {MEAN}",
                "parts = self.c_proj.weight.unflatten(1, (self.num_heads, -1)).unbind(1)",
            ),
            (
                ATTENDED,
                "return sum(weights[:, i] @ v[:, :, i] @ p.T for i, p in enumerate(parts))",
            ),
        ),
    ),
    Equivalent(
        "MLP",
        "z times ReLU(z)",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(z * torch.relu(z))")),
    ),
    Equivalent(
        "MLP",
        "the positive picked out by a condition",
        ((INNER, "self.c_fc(x)"), (OUT, "self.c_proj(torch.where(z > 0, z**2, 0.0))")),
    ),
    Equivalent(
        "MLP",
        "a quarter of the hidden features at a time, results added up",
        (
            (INNER, "self.c_fc.weight.chunk(4), self.c_proj.weight.chunk(4, dim=1)"),
            (OUT, "sum((x @ a.T).clamp(min=0).square() @ b.T for a, b in zip(*z, strict=True))"),
        ),
    ),
    Equivalent(
        "init_weights",
        "from the last parameter to the first, 0 as a range from 0 to 0",
        (
            (
                "in model.parameters():  # a tied table comes once",
                "in reversed(list(model.parameters())):",
            ),
            (ATTENTION_ZERO, "nn.init.uniform_(block.attn.c_proj.weight, 0.0, 0.0)"),
            (MLP_ZERO, "nn.init.constant_(block.mlp.c_proj.weight, 0.0)"),
        ),
    ),
    Equivalent(
        "init_weights",
        "module by module: the tied table is drawn twice, as embedding and as head",
        (
            (
                "for parameter in model.parameters():  # a tied table comes once",
                "for module in model.modules():\n"
                "        parameter = getattr(module, 'weight', None)\n"
                "        if parameter is None:\n            continue",
            ),
        ),
    ),
]

SLOW = [
    Equivalent(
        "CausalSelfAttention",
        "every head's queries against the keys of all heads, and the others' thrown away",
        (
            (
                SCORES,
                'torch.einsum("bihd,bjgd->bhgij", q, k).diagonal(dim1=1, dim2=2)'
                ".movedim(-1, 1) / math.sqrt(q.shape[-1])",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "q, k and v made anew for every head, the others' thrown away",
        (
            (
                TO_HEADS,
                "q, k = (torch.stack([self.heads(c(x))[:, :, i] for i in range(self.num_heads)], 2)"
                " for c in (self.c_q, self.c_k))",
            ),
            (
                VALUES,
                "v = torch.stack([self.heads(self.c_v(x))[:, :, i]"
                " for i in range(self.num_heads)], 2)",
            ),
        ),
    ),
]
