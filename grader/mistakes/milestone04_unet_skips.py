"""Named mistakes and equivalents of milestone 04."""

from grader.mistakes import Equivalent, Mistake, milestone01_muon

MATRIX = "self.weight = nn.Parameter(torch.empty(out_features, in_features))"
CAST = "W = self.weight.to(x.dtype)"
PRODUCT = "return x @ W.mT"

LINEARS = """        self.c_q = CastedLinear(width, width)
        self.c_k = CastedLinear(width, width)
        self.c_v = CastedLinear(width, width)
        self.c_proj = CastedLinear(width, width)
"""
LAMB = "self.lamb = nn.Parameter(torch.empty(()))"
TO_HEADS = "q, k, v = self.heads(self.c_q(x)), self.heads(self.c_k(x)), self.heads(self.c_v(x))"
NORMED = "q, k = rms_norm(q, self.norm_eps), rms_norm(k, self.norm_eps)"
TURNED = "q, k = rotary(q, self.rotary_base), rotary(k, self.rotary_base)"
TURNED_TWICE = "q = rotary(q, self.rotary_base)\n        k = rotary(q, self.rotary_base)"
FIRST = "v1 = v  # this is the first block: it mixes its values with themselves"
GIVEN = "        if v1 is None:\n            " + FIRST
MIXED = "mixed = v + self.lamb * (v1 - v)"
SCORES = 'torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])'
SOFTMAX = "scores.where(past, -torch.inf).softmax(dim=-1)"
MEAN = 'torch.einsum("bhij,bjhd->bihd", weights.type_as(mixed), mixed)'
ATTENDED = "return self.c_proj(y.flatten(2)), v1"
CUT = "x.unflatten(2, (self.num_heads, -1))"

PAIR = "self.lambdas = nn.Parameter(torch.empty(2))"
KEEP = "keep, renew = self.lambdas"
START = "start = keep * x + renew * x0"
ATTENTION = "attended, v1 = self.attn(rms_norm(start, self.norm_eps), v1)"
MIDDLE = "middle = start + attended"
BLOCK_END = "return middle + self.mlp(rms_norm(middle, self.norm_eps)), v1"

CAPPED = "return in_caps.tanh() * cap"
IN_CAPS = "in_caps = logits / cap"

HALF = "if i >= L // 2:"
SKIP = "x = x + skip_weights[i - L // 2] * made[L - 1 - i]"
SECOND = f"            {SKIP}\n"
CALL = "x, v1 = blocks[i](x, x0, v1)"
KEPT = "made.append(x)"

CASTED_LINEAR = [
    Mistake(
        "CastedLinear",
        "CastedLinear with a bias",
        (
            (MATRIX, f"{MATRIX}\n        self.bias = nn.Parameter(torch.zeros(out_features))"),
            (PRODUCT, f"{PRODUCT} + self.bias.to(x.dtype)"),
        ),
    ),
    Mistake(
        "CastedLinear",
        "the weight stored (in, out) instead of (out, in)",
        (
            (MATRIX, MATRIX.replace("out_features, in_features", "in_features, out_features")),
            (PRODUCT, "return x @ W"),
        ),
    ),
    Mistake(
        "CastedLinear",
        "x W instead of x W^T",
        ((PRODUCT, "return nn.functional.linear(x, W.T)"),),
    ),
    Mistake(
        "CastedLinear",
        "no cast: a float32 weight does not multiply a bfloat16 input",
        ((CAST, "W = self.weight"), (PRODUCT, "return nn.functional.linear(x, W)")),
    ),
    Mistake(
        "CastedLinear",
        "the gradient does not reach the weight: detach(), .data or a new nn.Parameter at the cast",
        ((CAST, "W = self.weight.detach().to(x.dtype)"),),
    ),
    Mistake(
        "CastedLinear",
        "the weight itself cast, in forward: what an update changes is rounded away",
        ((CAST, "W = self.weight\n        W.data = W.data.to(x.dtype)"),),
    ),
    Mistake(
        "CastedLinear",
        "the weight bfloat16 from the start: what an update changes is rounded away",
        ((MATRIX, MATRIX.replace("in_features)", "in_features, dtype=torch.bfloat16)")),),
    ),
    Mistake(
        "CastedLinear",
        "the cast weight kept from the first call: later updates are not seen",
        (
            (MATRIX, f"{MATRIX}\n        self.copy = None"),
            (CAST, "self.copy = W = self.weight.to(x.dtype) if self.copy is None else self.copy"),
        ),
    ),
    Mistake(
        "CastedLinear",
        "the input cast to the weight's dtype instead of the weight to the input's",
        ((CAST, "x = x.to(self.weight.dtype)\n        W = self.weight"),),
    ),
    Mistake(
        "CastedLinear",
        "bfloat16 written down instead of the input's dtype",
        ((CAST, "x, W = x.bfloat16(), self.weight.bfloat16()"),),
    ),
]

CAUSAL_SELF_ATTENTION = [
    Mistake(
        "CausalSelfAttention",
        "lamb and 1 - lamb swapped: lamb is the part of v1; at 0.5, the start, nothing shows",
        ((MIXED, "mixed = v1 + self.lamb * (v - v1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "its own values handed on: the next block gets the previous block's, not the first one's",
        ((ATTENDED, ATTENDED.replace("v1", "v")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mixed values handed on instead of the first block's own",
        ((ATTENDED, ATTENDED.replace("v1", "mixed")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v1 cut off from the gradient where it is mixed",
        ((MIXED, MIXED.replace("(v1 - v)", "(v1.detach() - v)")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v1 cut off from the gradient where the first block makes it",
        ((FIRST, "v1 = v.detach()"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v1 cut off from the gradient where it is handed on",
        ((ATTENDED, ATTENDED.replace("v1", "v1.detach()")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "lamb cut off from the gradient: it never moves",
        ((MIXED, MIXED.replace("self.lamb", "self.lamb.detach()")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the keys mixed with v1 as well",
        (
            (
                NORMED,
                f"if v1 is not None:\n            k = k + self.lamb * (v1 - k)\n        {NORMED}",
            ),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "the keys mixed with v1 in place of the values",
        (
            (
                NORMED,
                f"if v1 is not None:\n            k = k + self.lamb * (v1 - k)\n        {NORMED}",
            ),
            (MIXED, "mixed = v"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "no mix: v1 is handed on, but not used",
        ((MIXED, "mixed = v"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "lamb v1 added, but v not made smaller by 1 - lamb",
        ((MIXED, "mixed = v + self.lamb * v1"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "half and half for ever: lamb is not used",
        ((MIXED, "mixed = (v + v1) / 2"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mix after attention: each position gets v1 of its own, not of its past",
        (
            (MIXED, "mixed = v"),
            (MEAN, f"{MEAN}\n        y = y + self.lamb * (v1 - y)"),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "a lamb for each head instead of one for the layer",
        (
            (LAMB, "self.lamb = nn.Parameter(torch.empty(args.num_heads))"),
            (MIXED, MIXED.replace("self.lamb", "self.lamb.type_as(v)[:, None]")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "lamb with shape (1,) instead of ()",
        ((LAMB, LAMB.replace("(())", "(1)")), (MIXED, MIXED.replace("self.lamb", "self.lamb[0]"))),
    ),
    Mistake(
        "CausalSelfAttention",
        "lamb through a sigmoid",
        ((MIXED, MIXED.replace("self.lamb", "torch.sigmoid(self.lamb)")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v1 handed on as (B, H, T, h) instead of (B, T, H, h)",
        (
            (GIVEN, "        v1 = v if v1 is None else v1.transpose(1, 2)"),
            (ATTENDED, ATTENDED.replace("v1", "v1.transpose(1, 2)")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "v1 and y returned in the wrong order",
        ((ATTENDED, "return v1, self.c_proj(y.flatten(2))"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the first block hands on None: its own values are v1",
        (
            (GIVEN, "        given = v1\n        v1 = v if v1 is None else v1"),
            (ATTENDED, ATTENDED.replace("v1", "given")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "attention left in float32: what is returned should have the dtype of x",
        ((MEAN, 'torch.einsum("bhij,bjhd->bihd", weights, mixed.type_as(weights))'),),
    ),
    Mistake(
        "CausalSelfAttention",
        "nn.Linear instead of CastedLinear: float32 weights do not multiply a bfloat16 x",
        ((LINEARS, LINEARS.replace("CastedLinear", "nn.Linear").replace("h)", "h, bias=False)")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v through rms_norm too",
        ((NORMED, f"v = rms_norm(v, self.norm_eps)\n        {NORMED}"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "no QK-norm",
        ((NORMED, "pass"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "k from c_q as well: c_k is never used",
        ((TO_HEADS, TO_HEADS.replace("self.c_k", "self.c_q")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the first block given zeros as v1: it mixes its values with themselves",
        (
            (FIRST, "v1, first = v, torch.zeros_like(v)\n        else:\n            first = v1"),
            (MIXED, MIXED.replace("v1", "first")),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "QK-norm of q alone",
        ((NORMED, "q = rms_norm(q, self.norm_eps)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the mask begins a position late: each position sees the one after it",
        ((".tril()", ".tril(1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "view(B, H, T, h) of what is (B, T, D): features and positions mixed up",
        ((CUT, "x.reshape(len(x), self.num_heads, x.shape[1], -1).transpose(1, 2)"),),
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
        "heads put together in a wrong order: reshape of (B, H, T, h)",
        ((ATTENDED, ATTENDED.replace("y.flatten(2)", "y.transpose(1, 2).reshape(x.shape)")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "no rotary positions",
        ((TURNED, "pass"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "v turned by rotary too",
        ((TURNED, f"{TURNED}\n        v = rotary(v, self.rotary_base).type_as(x)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores not scaled by 1 / sqrt(h)",
        ((SCORES, SCORES.removesuffix(" / math.sqrt(q.shape[-1])")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "scores scaled by 1 / sqrt(D), the model's width, instead of the head's",
        ((SCORES, SCORES.replace("q.shape[-1]", "x.shape[-1]")),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the future set to 0 after softmax: what is left no longer adds up to 1",
        ((SOFTMAX, "scores.softmax(dim=-1).where(past, 0.0)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "heads cut as (h, H) instead of (H, h): a head gets every H-th feature",
        ((CUT, "x.unflatten(2, (-1, self.num_heads)).transpose(2, 3)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "k made from q, when q is turned already: turned twice, and what c_k made is lost",
        ((TURNED, TURNED_TWICE),),
    ),
    Mistake(
        "CausalSelfAttention",
        "no causal mask: every position sees the future",
        ((SOFTMAX, "scores.softmax(dim=-1)"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "args.norm_eps not used, but 1e-6 written down",
        (
            (
                "        self.norm_eps = args.norm_eps\n        self.rotary",
                "        self.norm_eps = 1e-6\n        self.rotary",
            ),
        ),
    ),
    Mistake(
        "CausalSelfAttention",
        "args.rotary_base not used, but 10,000 written down",
        (("self.rotary_base = args.rotary_base", "self.rotary_base = 10_000.0"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the output projection c_proj left out",
        ((ATTENDED, "return y.flatten(2), v1"),),
    ),
    Mistake(
        "CausalSelfAttention",
        "the residual added here as well: the block adds it already",
        ((ATTENDED, "return x + self.c_proj(y.flatten(2)), v1"),),
    ),
]

BLOCKS = [
    Mistake(
        "Block",
        "l0 and l1 swapped: l0 is of the stream, l1 of the embedding",
        ((KEEP, "renew, keep = self.lambdas"),),
    ),
    Mistake(
        "Block",
        "no shortcut: the stream is not mixed with x0",
        ((START, "start = x"),),
    ),
    Mistake(
        "Block",
        "l1 x0 added to x itself: l0 is not used",
        ((START, "start = x + renew * x0"),),
    ),
    Mistake(
        "Block",
        "x0 added as it is: l1 is not used",
        ((START, "start = keep * x + x0"),),
    ),
    Mistake(
        "Block",
        "1 - l0 in place of l1",
        ((START, "start = keep * x + (1 - keep) * x0"),),
    ),
    Mistake(
        "Block",
        "only attention sees the mix: the stream goes on without it",
        ((MIDDLE, "middle = x + attended"),),
    ),
    Mistake(
        "Block",
        "the mix after attention instead of before it",
        (
            (START, "start = x"),
            (MIDDLE, "middle = keep * (x + attended) + renew * x0"),
        ),
    ),
    Mistake(
        "Block",
        "the mix at the end of the block instead of its beginning",
        (
            (START, "start = x"),
            (
                BLOCK_END,
                "end = middle + self.mlp(rms_norm(middle, self.norm_eps))\n"
                "        return keep * end + renew * x0, v1",
            ),
        ),
    ),
    Mistake(
        "Block",
        "the mix after the norm: attention gets l0 norm(x) + l1 x0",
        (
            (START, "start = x"),
            (
                ATTENTION,
                "seen = keep * rms_norm(x, self.norm_eps) + renew * x0\n"
                "        attended, v1 = self.attn(seen, v1)",
            ),
        ),
    ),
    Mistake(
        "Block",
        "the mix normalised: the stream itself goes through rms_norm",
        ((START, "start = rms_norm(keep * x + renew * x0, self.norm_eps)"),),
    ),
    Mistake(
        "Block",
        "x0 cut off from the gradient",
        ((START, START.replace("x0", "x0.detach()")),),
    ),
    Mistake(
        "Block",
        "lambdas cut off from the gradient: they never move",
        ((KEEP, f"{KEEP}.detach()"),),
    ),
    Mistake(
        "Block",
        "v1 not passed to attention, which then takes its own values",
        ((ATTENTION, ATTENTION.replace(", v1)", ", None)")),),
    ),
    Mistake(
        "Block",
        "v1 returned as it came: the first block's values get lost",
        ((ATTENTION, ATTENTION.replace("attended, v1", "attended, _")),),
    ),
    Mistake(
        "Block",
        "no norm before attention",
        ((ATTENTION, ATTENTION.replace("rms_norm(start, self.norm_eps)", "start")),),
    ),
    Mistake(
        "Block",
        "no norm before the MLP",
        ((BLOCK_END, "return middle + self.mlp(middle), v1"),),
    ),
    Mistake(
        "Block",
        "the MLP beside attention: it does not see what attention added",
        ((BLOCK_END, BLOCK_END.replace("rms_norm(middle", "rms_norm(start")),),
    ),
    Mistake(
        "Block",
        "what attention makes not added to the stream, but put in its place",
        ((MIDDLE, "middle = attended"),),
    ),
    Mistake(
        "Block",
        "what the MLP makes not added to the stream, but put in its place",
        ((BLOCK_END, BLOCK_END.replace("middle + ", "")),),
    ),
    Mistake(
        "Block",
        "args.norm_eps not used in the block, but 1e-6 written down",
        (
            (
                "        self.norm_eps = args.norm_eps\n        self.attn",
                "        self.norm_eps = 1e-6\n        self.attn",
            ),
        ),
    ),
    Mistake(
        "Block",
        "lambdas begin at (1, 0) in the block, as numbers and not as a parameter",
        ((PAIR, 'self.register_buffer("lambdas", torch.tensor([1.0, 0.0]))'),),
    ),
    Mistake(
        "Block",
        "the mix left in float32: x cast, or lambdas with a dimension, which do not leave it",
        ((KEEP, "keep, renew = self.lambdas[:1], self.lambdas[1:]"),),
    ),
]

SOFTCAP = [
    Mistake(
        "softcap", "logits not divided by cap: cap tanh(logits)", ((IN_CAPS, "in_caps = logits"),)
    ),
    Mistake(
        "softcap", "not multiplied by cap: tanh(logits / cap)", ((CAPPED, "return in_caps.tanh()"),)
    ),
    Mistake(
        "softcap",
        "multiplied by cap before tanh, and divided after it",
        ((IN_CAPS, "in_caps = logits * cap"), (CAPPED, "return in_caps.tanh() / cap")),
    ),
    Mistake(
        "softcap", "nothing capped: logits come back as they were", ((CAPPED, "return logits"),)
    ),
    Mistake(
        "softcap",
        "cut off hard at cap: no slope beyond it, and no bend before it",
        ((CAPPED, "return in_caps.clamp(-1, 1) * cap"),),
    ),
    Mistake(
        "softcap",
        "30 written down instead of cap",
        ((IN_CAPS, "in_caps = logits / 30"), (CAPPED, "return in_caps.tanh() * 30")),
    ),
    Mistake(
        "softcap",
        "a sigmoid: from 0 to cap instead of from -cap to cap",
        ((CAPPED, "return in_caps.sigmoid() * cap"),),
    ),
    Mistake(
        "softcap",
        "x / (1 + |x|) in place of tanh",
        ((CAPPED, "return in_caps / (1 + in_caps.abs()) * cap"),),
    ),
    Mistake(
        "softcap",
        "an arc tangent in place of tanh",
        ((CAPPED, "return in_caps.atan() * cap"),),
    ),
    Mistake(
        "softcap",
        "only large positive logits capped: the negative are as they were",
        ((CAPPED, "return torch.where(logits > 0, in_caps.tanh() * cap, logits)"),),
    ),
    Mistake(
        "softcap",
        "sign times cap of the absolute value: no slope at 0, where all logits start",
        ((CAPPED, "return in_caps.sign() * in_caps.abs().tanh() * cap"),),
    ),
    Mistake(
        "softcap",
        "tanh from exponentials that overflow: large logits become nan",
        (
            (
                CAPPED,
                "up, down = in_caps.exp(), (-in_caps).exp()\n"
                "    return (up - down) / (up + down) * cap",
            ),
        ),
    ),
    Mistake(
        "softcap",
        "the cap's slope kept from the gradient: cut off with detach()",
        ((CAPPED, "return logits + (in_caps.tanh() * cap - logits).detach()"),),
    ),
    Mistake(
        "softcap",
        "logits changed in place",
        ((CAPPED, "return logits.mul_(1 / cap).tanh_().mul_(cap)"),),
    ),
    Mistake(
        "softcap",
        "float32 returned for bfloat16: the result should have the dtype of logits",
        (
            (
                CAPPED,
                "return in_caps.to(torch.promote_types(logits.dtype, torch.float32)).tanh() * cap",
            ),
        ),
    ),
]

UNET = [
    Mistake(
        "unet",
        "first in, first out: block L/2 gets the first block's result; mirrored, it is the last's",
        ((SKIP, SKIP.replace("L - 1 - i", "i - L // 2")),),
    ),
    Mistake(
        "unet",
        "what blocks were given kept for the skips, instead of what they returned",
        ((f"        {CALL}\n        {KEPT}", f"        {KEPT}\n        {CALL}"),),
    ),
    Mistake(
        "unet",
        "the second half keeps its results too: every block there gets the one just before it",
        ((SKIP, SKIP.replace("L - 1 - i", "-1")),),
    ),
    Mistake(
        "unet",
        "the skip added to what a block returns, instead of to what it is given",
        (
            (f"        {HALF}\n{SECOND}", ""),
            (CALL, f"{CALL}\n        {HALF}\n{SECOND.rstrip()}"),
        ),
    ),
    Mistake(
        "unet",
        "the weights in the wrong order: skip_weights[0] is block L/2's, not the last one's",
        ((SKIP, SKIP.replace("[i - L // 2]", "[L - 1 - i]")),),
    ),
    Mistake(
        "unet",
        "skips added as they are: skip_weights is not used",
        ((SKIP, "x = x + made[L - 1 - i]"),),
    ),
    Mistake(
        "unet",
        "skip_weights[0] for all skips",
        ((SKIP, SKIP.replace("[i - L // 2]", "[0]")),),
    ),
    Mistake(
        "unet",
        "no skips at all",
        ((SKIP, "pass"),),
    ),
    Mistake(
        "unet",
        "the skip in place of the stream: w s instead of x + w s",
        ((SKIP, SKIP.replace("x + ", "")),),
    ),
    Mistake(
        "unet",
        "the weight on the stream: w x + s instead of x + w s",
        ((SKIP, "x = skip_weights[i - L // 2] * x + made[L - 1 - i]"),),
    ),
    Mistake(
        "unet",
        "a weighted mean, (1 - w) x + w s, instead of x + w s",
        ((SKIP, "x = x + skip_weights[i - L // 2] * (made[L - 1 - i] - x)"),),
    ),
    Mistake(
        "unet",
        "no skip for block L/2, whose s is its own x: it gets (1 + w) x all the same",
        ((HALF, "if i > L // 2:"),),
    ),
    Mistake(
        "unet",
        "the skip taken from x0 for all blocks",
        ((SKIP, SKIP.replace("made[L - 1 - i]", "x0")),),
    ),
    Mistake(
        "unet",
        "skip_weights cut off from the gradient, by .item() for instance: they never move",
        ((SKIP, SKIP.replace("[i - L // 2]", "[i - L // 2].item()")),),
    ),
    Mistake(
        "unet",
        "skip_weights[i - 1] for skip i: the first block of the second half gets the last weight",
        ((SKIP, SKIP.replace("[i - L // 2]", "[i - L // 2 - 1]")),),
    ),
    Mistake(
        "unet",
        "skips cut off from the gradient",
        ((SKIP, SKIP.replace("made[L - 1 - i]", "made[L - 1 - i].detach()")),),
    ),
    Mistake(
        "unet",
        "v1 not handed on: every block is given None",
        ((CALL, "x, _ = blocks[i](x, x0, None)"),),
    ),
    Mistake(
        "unet",
        "v1 begins anew in the second half",
        ((SKIP, f"v1 = None if i == L // 2 else v1\n            {SKIP}"),),
    ),
    Mistake(
        "unet",
        "x given to every block as x0",
        ((CALL, "x, v1 = blocks[i](x, x, v1)"),),
    ),
    Mistake(
        "unet",
        "the skip mixed into x0 as well",
        ((SKIP, f"{SKIP}\n            x0 = x0 + skip_weights[i - L // 2] * made[L - 1 - i]"),),
    ),
    Mistake(
        "unet",
        "the first half of the blocks not called",
        (("for i in range(L):", "for i in range(L // 2, L):"), (SKIP, "pass")),
    ),
    Mistake(
        "unet",
        "float32 for a bfloat16 x0: x cast, or a weight with a dimension, which does not leave it",
        ((SKIP, SKIP.replace("[i - L // 2]", "[i - L // 2 : i - L // 2 + 1]")),),
    ),
]

HEAD_ZERO = "nn.init.zeros_(model.lm_head.weight)"
TABLE = "nn.init.normal_(model.wte.weight)"
SKIPS = "nn.init.ones_(model.skip_weights)"
DRAWN = "(attn.c_q, attn.c_k, attn.c_v, mlp.c_fc)"
BOUND = "1 / math.sqrt(linear.weight.shape[1])"
UNIFORM = "nn.init.uniform_(linear.weight, -bound, bound)"
PROJECTIONS = "(attn.c_proj, mlp.c_proj)"
LAMB_HALF = "nn.init.constant_(attn.lamb, 0.5)"
LAMBDAS_1_0 = "block.lambdas[0], block.lambdas[1] = 1.0, 0.0"

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
        ((LAMBDAS_1_0, LAMBDAS_1_0.replace("1.0, 0.0", "0.0, 1.0")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (0.5, 0.5) instead of (1, 0)",
        ((LAMBDAS_1_0, LAMBDAS_1_0.replace("1.0, 0.0", "0.5, 0.5")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (1, 1) instead of (1, 0)",
        ((LAMBDAS_1_0, LAMBDAS_1_0.replace("1.0, 0.0", "1.0, 1.0")),),
    ),
    Mistake(
        "init_weights",
        "lambdas (0, 0) instead of (1, 0): every block throws the stream away",
        ((LAMBDAS_1_0, LAMBDAS_1_0.replace("1.0, 0.0", "0.0, 0.0")),),
    ),
    Mistake(
        "init_weights",
        "lamb 0 instead of 0.5: no first values to begin with",
        ((LAMB_HALF, "nn.init.zeros_(attn.lamb)"),),
    ),
    Mistake(
        "init_weights",
        "lamb 1 instead of 0.5: the first values alone, and none of a block's own",
        ((LAMB_HALF, "nn.init.ones_(attn.lamb)"),),
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
        "from -1 / sqrt(in) to 1: the upper bound is 1 if it is not given",
        ((UNIFORM, "nn.init.uniform_(linear.weight, -bound)"),),
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
        "matrices in no fixed order, from a set or sorted by id: ranks then disagree",
        ((FOUR, "return embedding, head, scalars, list(set(matrices))"),),
    ),
]

GET_MOMENTUM = [
    Mistake(
        "get_momentum",
        "momentum_start and momentum swapped, without a warm-up too",
        (
            ("return args.momentum\n", "return args.momentum_start\n"),
            (LINE, "part * args.momentum_start + (1 - part) * args.momentum"),
        ),
    ),
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
        "0.85 written down instead of momentum_start",
        ((LINE, "(1 - part) * 0.85 + part * args.momentum"),),
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
        "a warm-up of 0 steps taken for one of 1: momentum_start at step 0",
        ((ALREADY, "if step >= max(1, warmup):"), (PART, "part = step / max(1, warmup)")),
    ),
    Mistake(
        "get_momentum",
        "a warm-up of 0 steps not asked for: 0 / 0",
        ((ALREADY, "if step > warmup:"),),
    ),
]

MISTAKES = [
    *CASTED_LINEAR, *CAUSAL_SELF_ATTENTION, *BLOCKS, *SOFTCAP, *UNET,
    *INIT_WEIGHTS, *NEWTON_SCHULZ, *UPDATE_SCALE, *SPLIT_PARAMETERS, *GET_MOMENTUM,
]  # fmt: skip

EQUIVALENTS = [
    Equivalent(
        "CastedLinear",
        "F.linear, the weight made alike by type_as",
        ((CAST, "W = self.weight.type_as(x)"), (PRODUCT, "return nn.functional.linear(x, W)")),
    ),
    Equivalent(
        "CastedLinear",
        "an nn.Linear with another forward",
        (
            ("class CastedLinear(nn.Module):", "class CastedLinear(nn.Linear):"),
            (
                f"        super().__init__()\n        {MATRIX}",
                "        super().__init__(in_features, out_features, bias=False)",
            ),
        ),
    ),
    Equivalent(
        "CastedLinear",
        "an einsum over the last dimension",
        ((PRODUCT, 'return torch.einsum("...i,oi->...o", x, W)'),),
    ),
    Equivalent(
        "CausalSelfAttention",
        "PyTorch's own attention, on (B, H, T, h)",
        (
            (
                f"scores = {SCORES}",
                "q, k, v = (z.transpose(1, 2).type_as(x) for z in (q, k, mixed))",
            ),
            (
                f"weights = {SOFTMAX}",
                "y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)",
            ),
            (MEAN, "y.transpose(1, 2)"),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "torch.lerp, and v1 as it came where there is one",
        (
            (GIVEN, "        v1 = v if v1 is None else v1"),
            (MIXED, "mixed = torch.lerp(v, v1, self.lamb.type_as(v))"),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "the first block does not mix: lamb has no gradient there",
        (
            (GIVEN, "        first = v1 is None\n        v1 = v if first else v1"),
            (MIXED, "mixed = v if first else (1 - self.lamb) * v + self.lamb * v1"),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "attention over v and over v1 apart, mixed afterwards: it is linear in the values",
        (
            (MIXED, "mixed = v"),
            (
                MEAN,
                f"{MEAN}\n        y1 = {MEAN.replace('mixed)', 'v1)')}\n"
                "        y = (1 - self.lamb) * y + self.lamb * y1",
            ),
        ),
    ),
    Equivalent(
        "CausalSelfAttention",
        "the product of one matrix, the three below one another",
        (
            (
                TO_HEADS,
                "three = torch.cat([self.c_q.weight, self.c_k.weight, self.c_v.weight])\n"
                "        three = x @ three.type_as(x).T\n"
                "        q, k, v = (self.heads(z) for z in three.chunk(3, dim=2))",
            ),
        ),
    ),
    Equivalent(
        "Block",
        "the mix as a product of (l0, l1) with x and x0 beside one another",
        (
            (KEEP, "both = torch.stack([x, x0], dim=-1)"),
            (START, "start = both @ self.lambdas.type_as(x)"),
        ),
    ),
    Equivalent(
        "Block",
        "the sum at the end: what was added is added up first",
        (
            (MIDDLE, "middle = attended + start"),
            (
                BLOCK_END,
                "added = attended + self.mlp(rms_norm(middle, self.norm_eps))\n"
                "        return start + added, v1",
            ),
        ),
    ),
    Equivalent(
        "softcap",
        "tanh from the logistic function: 2 sigmoid(2 z) - 1",
        ((CAPPED, "return (2 * torch.sigmoid(2 * in_caps) - 1) * cap"),),
    ),
    Equivalent(
        "softcap",
        "tanh by exponentials, of what lies between -20 and 20: beyond, it is 1",
        (
            (
                CAPPED,
                "e = (2 * in_caps.clamp(-20, 20)).exp()\n    return (e - 1) / (e + 1) * cap",
            ),
        ),
    ),
    Equivalent(
        "unet",
        "a stack: the first half pushes, the second pops",
        (
            (SKIP, SKIP.replace("made[L - 1 - i]", "made.pop()")),
            (KEPT, "made += [x] if i < L // 2 else []"),
        ),
    ),
    Equivalent(
        "unet",
        "two loops, the second over pairs",
        (
            (
                "for i in range(L):",
                "for block in blocks[: L // 2]:\n"
                "        x, v1 = block(x, x0, v1)\n        made.insert(0, x)\n"
                "    for block, w, s in zip(blocks[L // 2 :], skip_weights, made, strict=True):",
            ),
            (f"        {HALF}\n{SECOND}", ""),
            (CALL, "x, v1 = block(x + w * s, x0, v1)"),
            (f"        {KEPT}\n", ""),
        ),
    ),
    Equivalent(
        "unet",
        "recursion: a U is a block, a smaller U, and a block",
        (
            (
                "    x, v1 = x0, None\n",
                "    def inner(x, v1, i):\n        if i == L // 2:\n"
                "            return x, v1\n        x, v1 = blocks[i](x, x0, v1)\n"
                "        y, v1 = inner(x, v1, i + 1)\n"
                "        return blocks[L - 1 - i](y + skip_weights[L // 2 - 1 - i] * x, x0, v1)\n\n"
                "    return inner(x0, None, 0)[0]\n    x, v1 = x0, None\n",
            ),
        ),
    ),
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
            (LAMBDAS_1_0, "block.lambdas.copy_(torch.eye(2)[0])"),
            (LAMB_HALF, "attn.lamb.data.fill_(1 / 2)"),
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
    Equivalent(
        "CastedLinear",
        "the product in the weight's dtype, and the result rounded to the input's",
        ((CAST, "W = self.weight"), (PRODUCT, "return (x.to(W.dtype) @ W.mT).to(x.dtype)")),
    ),
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
    *milestone01_muon.SLOW,
    Equivalent(
        "zeropower_via_newtonschulz",
        "milestone 01's three products with the long side of X",
        ((POLYNOMIAL, "3.4445 * X + gram @ (2.0315 * (gram @ X) - 4.7750 * X)"),),
    ),
]
