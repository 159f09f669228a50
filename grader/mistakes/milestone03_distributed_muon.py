"""Named mistakes and equivalents of milestone 03."""

from grader.mistakes import Equivalent, Mistake

ENDS = "list(accumulate(matrix.numel() for matrix in matrices))"
STARTS = "starts = [0, *ends[:-1]]"
OWNERS = "[index % world_size for index in range(len(matrices))]"
LAYOUT = "list(zip(owners, starts, ends, strict=True))"
BEGUN = "[(o, a, a + m.numel()) for o, a, m in zip(owners, starts, matrices, strict=True)]"

SETTINGS = "self.rank, self.world_size = rank, world_size\n"
NEWTON_SCHULZ = "zeropower_via_newtonschulz(update, self.steps, self.eps, self.dtype)"
APPEND = "pieces.append(update.flatten())\n"
ZEROS = "torch.zeros(end - start, dtype=self.dtype, device=weight.device)"
LOOK = "update = self.look_ahead(weight, group)\n"
COMPUTE = f"""            if owner == self.rank:
                update = self.look_ahead(weight, group)
                update = {NEWTON_SCHULZ}
                {APPEND}            else:
                pieces.append({ZEROS})
"""
COLLECT = "updates = torch.cat(pieces)\n"
IF_SEVERAL = "        if self.world_size > 1:\n            dist.all_reduce(updates)\n"
ALL_REDUCE = "dist.all_reduce(updates)"
PLACES = 'for weight, (_, start, end) in zip(group["params"], layout, strict=True):\n'
ARRIVED = "update = updates[start:end].view(rows, cols).to(weight.dtype)"
SCALE = "max(rows, cols) ** 0.5"
APPLY = 'weight -= group["lr"] * scale * update'
NEW_BUFFER = 'new = group["momentum"] * old + gradient'
KEEP_BUFFER = 'self.state[weight]["momentum_buffer"] = new\n'
LOOK_AHEAD = 'gradient + group["momentum"] * new if group["nesterov"] else new'

GATHERED = "gathered = []\n"
IF_OWN = "if owner == rank and matrix in muon.state:  # keys are compared by identity"
OWN = 'muon.state[matrix]["momentum_buffer"].clone()'
TELL = "            dist.broadcast(M, src=owner)\n"
ADD = "            dist.all_reduce(M)\n"
IF_TOLD = f"        if world_size > 1:\n{TELL}"

BOTH = "zip(matrices, flat_layout(matrices, world_size), strict=True)"
KEPT = "if owner == rank and matrix in muon.state:\n"
CLEAR = "muon.state.clear()  # the dict itself stays: it makes an empty dict for a new key\n"
PUT_BACK = "muon.state.update(own)\n"

FLAT_LAYOUT = [
    Mistake(
        "flat_layout",
        "runs of neighbouring matrices to each owner; ranks should take turns, matrix by matrix",
        ((OWNERS, "[i * world_size // len(matrices) for i in range(len(matrices))]"),),
    ),
    Mistake(
        "flat_layout",
        "owners in blocks of ceil(n / world_size); ranks should take turns, matrix by matrix",
        ((OWNERS, "[i // -(-len(matrices) // world_size) for i in range(len(matrices))]"),),
    ),
    Mistake(
        "flat_layout",
        "owners shifted by one: the first matrix is rank 0's",
        ((OWNERS, OWNERS.replace("index %", "(1 + index) %")),),
    ),
    Mistake(
        "flat_layout",
        "start is the size of the matrix before, not of all before",
        (
            (STARTS, "starts = [0, *[b - a for a, b in zip([0, *ends], ends[:-1])]]"),
            (LAYOUT, BEGUN),
        ),
    ),
    Mistake(
        "flat_layout",
        "index // world_size instead of index % world_size: owners that are no ranks",
        ((OWNERS, OWNERS.replace("%", "//")),),
    ),
    Mistake(
        "flat_layout",
        "owners counted from 1: ranks count from 0",
        ((OWNERS, OWNERS.replace("index %", "1 + index %")),),
    ),
    Mistake(
        "flat_layout",
        "rank 0 owns everything: nothing is shared out",
        ((OWNERS, "[0] * len(matrices)"),),
    ),
    Mistake(
        "flat_layout",
        "owners take turns from the largest matrix to the smallest, not in the order of the list",
        (
            (
                OWNERS,
                "[0] * len(matrices)\n"
                "    order = sorted(range(len(owners)), key=lambda i: starts[i] - ends[i])\n"
                "    for turn, i in enumerate(order):\n"
                "        owners[i] = turn % world_size",
            ),
        ),
    ),
    Mistake(
        "flat_layout",
        "the offset moves on only for matrices of the same owner: places of two owners overlap",
        (
            (
                LAYOUT,
                "[\n"
                "        (o, a, a + ends[i] - starts[i])\n"
                "        for i, o in enumerate(owners)\n"
                "        for a in [sum(ends[j] - starts[j] for j in range(i) if owners[j] == o)]\n"
                "    ]",
            ),
        ),
    ),
    Mistake(
        "flat_layout",
        "the length of a place instead of its end",
        ((LAYOUT, "[(o, a, b - a) for o, a, b in zip(owners, starts, ends, strict=True)]"),),
    ),
    Mistake(
        "flat_layout",
        "end counted as the last entry itself: updates[start:end] would leave it out",
        ((LAYOUT, "[(o, a, b - 1) for o, a, b in zip(owners, starts, ends, strict=True)]"),),
    ),
    Mistake(
        "flat_layout",
        "places counted in rows, not in entries: len(p) or p.shape[0] instead of p.numel()",
        ((ENDS, ENDS.replace("matrix.numel()", "matrix.shape[0]")),),
    ),
    Mistake(
        "flat_layout",
        "every place starts at 0: the offset never moves on",
        ((LAYOUT, "[(o, 0, b - a) for o, a, b in zip(owners, starts, ends, strict=True)]"),),
    ),
    Mistake(
        "flat_layout",
        "the offset moves on before it is noted: a place starts where it should end",
        ((LAYOUT, "[(o, b, b + b - a) for o, a, b in zip(owners, starts, ends, strict=True)]"),),
    ),
    Mistake(
        "flat_layout",
        "the owner last: (start, end, owner) instead of (owner, start, end)",
        ((LAYOUT, "list(zip(starts, ends, owners, strict=True))"),),
    ),
    Mistake(
        "flat_layout",
        "places as long as the largest matrix's: gaps behind the others",
        (
            (
                LAYOUT,
                "[\n"
                "        (o, i * most, i * most + b - a)\n"
                "        for most in [max(matrix.numel() for matrix in matrices)]\n"
                "        for i, (o, a, b) in enumerate(zip(owners, starts, ends, strict=True))\n"
                "    ]",
            ),
        ),
    ),
    Mistake(
        "flat_layout",
        "all places of rank 0 first, then rank 1's: they should lie in the order of the list",
        (
            (
                LAYOUT,
                "[\n"
                "        (o, a, a + ends[i] - starts[i])\n"
                "        for i, o in enumerate(owners)\n"
                "        for before in [[j for j, p in enumerate(owners) if (p, j) < (o, i)]]\n"
                "        for a in [sum(ends[j] - starts[j] for j in before)]\n"
                "    ]",
            ),
        ),
    ),
]

MUON = [
    Mistake(
        "Muon",
        "the mean over the ranks instead of the sum: all but one hold zeros, updates are too small",
        ((ALL_REDUCE, "dist.all_reduce(updates, dist.ReduceOp.AVG)"),),
    ),
    Mistake(
        "Muon",
        "places of others left uninitialised (torch.empty): what lies in memory there is added",
        ((ZEROS, ZEROS.replace("zeros", "empty")),),
    ),
    Mistake(
        "Muon",
        "the buffer kept and not set to 0 again: last step's updates of others are added",
        (
            (SETTINGS, f"{SETTINGS}        self.updates = None\n"),
            (
                f"pieces.append({ZEROS})",
                f"zeros = {ZEROS}\n"
                "                kept = self.updates\n"
                "                pieces.append(zeros if kept is None else kept[start:end])",
            ),
            (IF_SEVERAL, f"{IF_SEVERAL}        self.updates = updates\n"),
        ),
    ),
    Mistake(
        "Muon",
        "the offset moves on only for what this rank owns: ranks write into each other's places",
        (
            (f"            else:\n                pieces.append({ZEROS})\n", ""),
            (
                COLLECT,
                "rest = layout[-1][2] - sum(map(len, pieces))\n"
                "        updates = torch.cat([*pieces, torch.zeros(rest, dtype=self.dtype)])\n",
            ),
        ),
    ),
    Mistake(
        "Muon",
        "applied twice by the owner: at once, and again when the update comes back",
        (
            (
                APPEND,
                f"{APPEND}                scale = max(weight.shape) ** 0.5\n"
                '                weight -= group["lr"] * scale * update.to(weight.dtype)\n',
            ),
        ),
    ),
    Mistake(
        "Muon",
        "a rank updates only what it owns: the others' updates do not arrive, or are not applied",
        ((ALL_REDUCE, "pass"),),
    ),
    Mistake(
        "Muon",
        "momentum kept on every rank for every matrix: it is the owner's alone",
        (
            (
                f"            if owner == self.rank:\n                {LOOK}",
                f"            {LOOK}            if owner == self.rank:\n",
            ),
        ),
    ),
    Mistake(
        "Muon",
        "milestone 02's Muon: every rank computes every update, nothing is shared out",
        (("if owner == self.rank:", "if True:"), (ALL_REDUCE, "pass")),
    ),
    Mistake(
        "Muon",
        "scaled before Newton-Schulz, which divides by the norm: the scale is lost",
        (
            (NEWTON_SCHULZ, NEWTON_SCHULZ.replace("update", "max(weight.shape) ** 0.5 * update")),
            (f"scale = {SCALE}", "scale = 1.0"),
        ),
    ),
    Mistake(
        "Muon",
        "scaled before it travels: rounded once more in newton_schulz_dtype, as upstream did",
        (
            ("update.flatten()", "(max(weight.shape) ** 0.5 * update).flatten()"),
            (f"scale = {SCALE}", "scale = 1.0"),
        ),
    ),
    Mistake(
        "Muon",
        "lr multiplied in before it travels: rounded once more in newton_schulz_dtype",
        (
            ("update.flatten()", '(group["lr"] * update).flatten()'),
            (APPLY, "weight -= scale * update"),
        ),
    ),
    Mistake(
        "Muon",
        "lr and scale applied in newton_schulz_dtype: before O travels, or to O not cast back",
        ((ARRIVED, ARRIVED.removesuffix(".to(weight.dtype)")),),
    ),
    Mistake(
        "Muon",
        "all_reduce called with world_size 1 too, where there is no process group",
        (("if self.world_size > 1:", "if True:"),),
    ),
    Mistake(
        "Muon",
        "a rank that owns nothing skips the collective: all others wait for it",
        (
            (
                COLLECT,
                "if all(owner != self.rank for owner, _, _ in layout):\n"
                f"            return\n        {COLLECT}",
            ),
        ),
    ),
    Mistake(
        "Muon",
        'momentum under another key than "momentum_buffer": a checkpoint does not find it',
        (
            ('.get("momentum_buffer"', '.get("momentum"'),
            (KEEP_BUFFER, KEEP_BUFFER.replace("momentum_buffer", "momentum")),
        ),
    ),
    Mistake(
        "Muon",
        "momentum in an attribute of its own, not in self.state: a checkpoint does not find it",
        (
            (SETTINGS, f"{SETTINGS}        self.buffers = {{}}\n"),
            ('self.state[weight].get("momentum_buffer"', "self.buffers.get(weight"),
            (KEEP_BUFFER, "self.buffers[weight] = new\n"),
        ),
    ),
    Mistake(
        "Muon",
        "updates put together rank after rank, although their places go matrix by matrix",
        (
            (f"            else:\n                pieces.append({ZEROS})\n", ""),
            (
                COLLECT,
                "sizes = [\n"
                "            sum(b - a for owner, a, b in layout if owner == rank)\n"
                "            for rank in range(self.world_size)\n"
                "        ]\n"
                "        before, after = sum(sizes[: self.rank]), sum(sizes[self.rank + 1 :])\n"
                "        zeros = torch.zeros(layout[-1][2], dtype=self.dtype)\n"
                "        updates = torch.cat([zeros[:before], *pieces, zeros[:after]])\n",
            ),
        ),
    ),
    Mistake(
        "Muon",
        "the buffer broadcast from rank 0: what others own gets no update",
        ((ALL_REDUCE, "dist.broadcast(updates, src=0)"),),
    ),
    Mistake(
        "Muon",
        "written into the buffer column by column and read row by row",
        (("update.flatten()", "update.mT.flatten()"),),
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
        (
            (
                '"momentum_buffer", torch.zeros_like(gradient))',
                '"momentum_buffer", gradient.clone())',
            ),
        ),
    ),
    Mistake(
        "Muon",
        "others' updates applied without the scale: ranks no longer hold the same weights",
        (
            (PLACES + "            rows", PLACES.replace("(_,", "(owner,") + "            rows"),
            (APPLY, APPLY.replace("* scale", "* (scale if owner == self.rank else 1)")),
        ),
    ),
    Mistake(
        "Muon",
        "the buffer is not kept: every step begins with an empty one",
        ((KEEP_BUFFER, KEEP_BUFFER.replace("= new", "= torch.zeros_like(new)")),),
    ),
    Mistake(
        "Muon",
        "no scale: sqrt(max(rows, cols)) is missing",
        ((f"scale = {SCALE}", "scale = 1.0"),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(rows) instead of sqrt(max(rows, cols))",
        ((SCALE, "rows**0.5"),),
    ),
    Mistake(
        "Muon",
        "scale sqrt(min(rows, cols)) instead of sqrt(max(rows, cols))",
        ((SCALE, "min(rows, cols) ** 0.5"),),
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
        "momentum in newton_schulz_dtype: it has the dtype of W",
        (
            (
                KEEP_BUFFER,
                'self.state[weight]["momentum_buffer"] = new.to(self.dtype)\n',
            ),
        ),
    ),
    Mistake(
        "Muon",
        "a later Muon's scale: sqrt(max(1, rows / cols))",
        ((SCALE, "max(1, rows / cols) ** 0.5"),),
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
            (SETTINGS, f"{SETTINGS}        self.lr = lr\n"),
            ('group["lr"] * scale', "self.lr * scale"),
        ),
    ),
    Mistake(
        "Muon",
        "newton_schulz_eps not passed on: 1e-7 written down",
        ((NEWTON_SCHULZ, NEWTON_SCHULZ.replace("self.eps", "1e-7")),),
    ),
]

GATHER = [
    Mistake(
        "gather_momentum",
        "nothing is gathered: zeros for what others own, which is most of the momentum",
        ((TELL, "            pass\n"),),
    ),
    Mistake(
        "gather_momentum",
        "the mean over the ranks instead of the sum: all but one hold zeros",
        ((TELL, "            dist.all_reduce(M, dist.ReduceOp.AVG)\n"),),
    ),
    Mistake(
        "gather_momentum",
        "rounded to bfloat16 on the way: momentum keeps the dtype of its matrix",
        (
            (
                TELL,
                "            M = M.bfloat16()\n"
                "            dist.broadcast(M, src=owner)\n"
                "        M = M.to(matrix.dtype) if world_size > 1 else M\n",
            ),
        ),
    ),
    Mistake(
        "gather_momentum",
        "left uninitialised (torch.empty) where there is no momentum: what lies in memory there",
        (("M = torch.zeros_like(matrix)", "M = torch.empty_like(matrix)"), (TELL, ADD)),
    ),
    Mistake(
        "gather_momentum",
        "the weights instead of their momentum",
        ((OWN, "matrix.detach().clone()"),),
    ),
    Mistake(
        "gather_momentum",
        "everything taken from rank 0, which does not own everything",
        ((TELL, TELL.replace("src=owner", "src=0")),),
    ),
    Mistake(
        "gather_momentum",
        "in the order of owners, all of rank 0's first: the order of the list is asked for",
        (
            (
                "    return gathered\n",
                "    shares = [gathered[first::world_size] for first in range(world_size)]\n"
                "    return [M for share in shares for M in share]\n",
            ),
        ),
    ),
    Mistake(
        "gather_momentum",
        "put into muon.state as well: every rank then keeps all of it",
        (
            (
                "gathered.append(M)",
                'gathered.append(M)\n        muon.state[matrix]["momentum_buffer"] = M',
            ),
        ),
    ),
    Mistake(
        "gather_momentum",
        "taken out of muon.state: training would go on without momentum",
        ((OWN, 'muon.state.pop(matrix)["momentum_buffer"]'),),
    ),
    Mistake(
        "gather_momentum",
        "momentum asked for before the first step, when there is none yet",
        ((IF_OWN, "if owner == rank:"),),
    ),
    Mistake(
        "gather_momentum",
        "a collective called with world_size 1 too, where there is no process group",
        (("if world_size > 1:", "if True:"),),
    ),
    Mistake(
        "gather_momentum",
        "a rank that has no momentum skips the collective: all others wait",
        (
            (
                GATHERED,
                "if not muon.state:\n"
                "        return [torch.zeros_like(matrix) for matrix in matrices]\n"
                f"    {GATHERED}",
            ),
            (TELL, "            dist.all_reduce(M)\n"),
        ),
    ),
    Mistake(
        "gather_momentum",
        "returned on rank 0 alone, nothing on the others",
        (("    return gathered\n", "    return gathered if rank == 0 else []\n"),),
    ),
]

KEEP = [
    Mistake(
        "keep_own_momentum",
        "nothing dropped: every rank keeps everybody's momentum",
        ((KEPT, "if True:\n"),),
    ),
    Mistake(
        "keep_own_momentum",
        "everything dropped, the rank's own too: it would begin again at 0",
        ((PUT_BACK, "own.clear()\n"),),
    ),
    Mistake(
        "keep_own_momentum",
        "turned round: its own dropped, the others' kept",
        ((KEPT, KEPT.replace("==", "!=")),),
    ),
    Mistake(
        "keep_own_momentum",
        "the others' set to 0, not dropped: they take as much memory as before",
        (
            (
                CLEAR,
                "for matrix in matrices:\n"
                '        muon.state[matrix]["momentum_buffer"] *= matrix in own\n',
            ),
        ),
    ),
    Mistake(
        "keep_own_momentum",
        "every rank keeps what rank 0 owns: rank is not used",
        ((KEPT, KEPT.replace("owner == rank", "owner == 0")),),
    ),
    Mistake(
        "keep_own_momentum",
        "another rank's momentum kept: owners counted from the second matrix",
        ((KEPT, KEPT.replace("owner == rank", "owner == (rank + 1) % world_size")),),
    ),
    Mistake(
        "keep_own_momentum",
        "what else there is for a matrix dropped as well: its momentum alone is kept",
        (
            (
                "own[matrix] = muon.state[matrix]",
                'own[matrix] = {"momentum_buffer": muon.state[matrix]["momentum_buffer"]}',
            ),
        ),
    ),
    Mistake(
        "keep_own_momentum",
        "muon.state made a plain dict: it no longer makes an entry for a new key",
        ((CLEAR, "muon.state = {}\n"),),
    ),
    Mistake(
        "keep_own_momentum",
        "owners by the order of muon.state instead of the order of the matrices",
        (
            (
                f"for matrix, (owner, _, _) in {BOTH}:\n        {KEPT}",
                "for i, matrix in enumerate(list(muon.state)):\n"
                "        if i % world_size == rank:\n",
            ),
        ),
    ),
    Mistake(
        "keep_own_momentum",
        "runs of neighbouring matrices kept: owners take turns, as flat_layout says",
        (
            (
                f"for matrix, (owner, _, _) in {BOTH}:\n        {KEPT}            own",
                "for i, matrix in enumerate(matrices):\n"
                "        if i * world_size // len(matrices) == rank:\n            own",
            ),
        ),
    ),
    Mistake(
        "keep_own_momentum",
        "the matrices dropped from param_groups too: only their owner would update them",
        ((PUT_BACK, f'{PUT_BACK}    muon.param_groups[0]["params"] = list(own)\n'),),
    ),
]

MISTAKES = [*FLAT_LAYOUT, *MUON, *GATHER, *KEEP]

PADDED = """like = {"dtype": self.dtype, "device": group["params"][0].device}
        mine = torch.cat([*pieces, torch.zeros(0, **like)])
        sizes = [0] * self.world_size
        for owner, start, end in layout:
            sizes[owner] += end - start
        padded = torch.zeros(max(sizes), **like)
        padded[: len(mine)] = mine
        shares = [torch.empty_like(padded) for _ in sizes]
        if self.world_size > 1:
            dist.all_gather(shares, padded)
        else:
            shares = [padded]
        updates, at = torch.empty(layout[-1][2], **like), [0] * self.world_size
        for owner, start, end in layout:
            updates[start:end] = shares[owner][at[owner] : at[owner] + end - start]
            at[owner] += end - start
"""

EQUIVALENTS = [
    Equivalent(
        "flat_layout",
        "matrix by matrix with a running offset, owners from a cycle",
        (
            ("from itertools import accumulate", "from itertools import accumulate, cycle"),
            (
                f"return {LAYOUT}",
                "owner, at = cycle(range(world_size)), 0\n    places = []\n"
                "    for matrix in matrices:\n"
                "        rows, cols = matrix.shape\n"
                "        places.append((next(owner), at, at := at + rows * cols))\n"
                "    return places",
            ),
        ),
    ),
    Equivalent(
        "flat_layout",
        "ends by a cumulative sum in torch, dealt out by slices",
        (
            (ENDS, "torch.tensor([p.numel() for p in matrices]).cumsum(0).tolist()"),
            (
                OWNERS,
                "[0] * len(matrices)\n"
                "    for rank in range(world_size):\n"
                "        owners[rank::world_size] = [rank] * len(owners[rank::world_size])",
            ),
        ),
    ),
    Equivalent(
        "Muon",
        "an all_gather of shares, padded to the longest and taken apart again",
        (
            (f"            else:\n                pieces.append({ZEROS})\n", ""),
            (COLLECT, PADDED),
            (IF_SEVERAL, ""),
        ),
    ),
    Equivalent(
        "Muon",
        "one buffer for all steps, set to 0 each time, with the layout of the beginning",
        (
            (
                SETTINGS,
                f"{SETTINGS}        self.layout = flat_layout(params, world_size)\n"
                "        self.flat = torch.empty(self.layout[-1][2], dtype=self.dtype)\n"
                "        self.flat = self.flat.to(params[0].device)\n",
            ),
            ('layout = flat_layout(group["params"], self.world_size)', "layout = self.layout"),
            ("pieces = []\n", "updates = self.flat.fill_(0)\n"),
            (APPEND, "updates[start:end] = update.flatten()\n"),
            (f"            else:\n                pieces.append({ZEROS})\n", ""),
            (f"        {COLLECT}", ""),
        ),
    ),
    Equivalent(
        "Muon",
        "own matrices picked by a slice, the last one first; the collective started and waited for",
        (
            (
                'for weight, (owner, start, end) in zip(group["params"], layout, strict=True):\n',
                'pieces = [p.new_zeros(p.numel(), dtype=self.dtype) for p in group["params"]]\n'
                "        for i in reversed(range(len(pieces))[self.rank :: self.world_size]):\n"
                '            weight = group["params"][i]\n',
            ),
            (
                COMPUTE,
                "            update = self.look_ahead(weight, group)\n"
                f"            pieces[i] = {NEWTON_SCHULZ}.flatten()\n",
            ),
            (ALL_REDUCE, "dist.all_reduce(updates, async_op=True).wait()"),
        ),
    ),
    Equivalent(
        "Muon",
        "a collective for each shape of matrix",
        (
            (
                IF_SEVERAL,
                "        for shape in dict.fromkeys(p.shape for p in group['params']):\n"
                "            both = zip(group['params'], layout, strict=True)\n"
                "            places = [slice(a, b) for p, (_, a, b) in both if p.shape == shape]\n"
                "            part = torch.cat([updates[place] for place in places])\n"
                "            if self.world_size > 1:\n"
                "                dist.all_reduce(part)\n"
                "            pieces = part.chunk(len(places))\n"
                "            for place, piece in zip(places, pieces, strict=True):\n"
                "                updates[place] = piece\n",
            ),
        ),
    ),
    Equivalent(
        "Muon",
        "state looked up before the owner is known: elsewhere an empty dict stays behind",
        (
            (
                "            if owner == self.rank:\n                update",
                "            assert len(self.state[weight]) <= (owner == self.rank)\n"
                "            if owner == self.rank:\n                update",
            ),
        ),
    ),
    Equivalent(
        "Muon",
        "the buffer kept multiplied by the momentum, changed in place",
        (
            (
                f"        {NEW_BUFFER}\n        {KEEP_BUFFER}",
                "        kept = self.state[weight].setdefault('momentum_buffer', old)\n"
                "        new = kept + gradient\n"
                "        kept.copy_(group['momentum'] * new)\n",
            ),
        ),
    ),
    Equivalent(
        "gather_momentum",
        "one flat all_reduce of all, cut up again",
        (
            (IF_TOLD, ""),
            (
                "    return gathered\n",
                "    flat = torch.cat([M.flatten() for M in gathered])\n"
                "    if world_size > 1:\n        dist.all_reduce(flat)\n"
                "    pieces = flat.split([p.numel() for p in matrices])\n"
                "    return [M.view(p.shape) for M, p in zip(pieces, matrices, strict=True)]\n",
            ),
        ),
    ),
    Equivalent(
        "gather_momentum",
        "dicts of what each rank has, exchanged as Python objects",
        (
            (IF_TOLD, ""),
            (
                "    return gathered\n",
                "    everybody = [dict(enumerate(gathered))]\n"
                "    if world_size > 1:\n"
                "        own = {i: gathered[i] for i in range(rank, len(gathered), world_size)}\n"
                "        everybody = [None] * world_size\n"
                "        dist.all_gather_object(everybody, own)\n"
                "    return [everybody[i % world_size][i] for i in range(len(gathered))]\n",
            ),
        ),
    ),
    Equivalent(
        "keep_own_momentum",
        "one after another popped, found by number",
        (
            (
                f"    {CLEAR}    {PUT_BACK}",
                "    for i, matrix in enumerate(matrices):\n"
                "        if (i - rank) % world_size:\n"
                "            muon.state.pop(matrix)\n",
            ),
        ),
    ),
    Equivalent(
        "keep_own_momentum",
        "empty dicts for the others, as a new optimizer makes them",
        (
            (
                f"    {CLEAR}    {PUT_BACK}",
                "    for matrix in matrices:\n        muon.state[matrix] = own.get(matrix, {})\n",
            ),
        ),
    ),
]

SLOW = [
    Equivalent(
        "Muon",
        "each matrix broadcast by its owner: a collective call for every one of them",
        (
            (
                ALL_REDUCE,
                "for owner, start, end in layout:\n"
                "                dist.broadcast(updates[start:end], src=owner)",
            ),
        ),
    ),
    Equivalent(
        "Muon",
        "updates that travel in the dtype of the weights",
        ((COLLECT, "updates = torch.cat(pieces).to(group['params'][0].dtype)\n"),),
    ),
    Equivalent(
        "Muon",
        "whole buffers exchanged, zeros and all, and added up at home",
        (
            (
                ALL_REDUCE,
                "buffers = [torch.empty_like(updates) for _ in range(self.world_size)]\n"
                "            dist.all_gather(buffers, updates)\n"
                "            updates = torch.stack(buffers).sum(dim=0)",
            ),
        ),
    ),
]
