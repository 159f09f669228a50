"""Solutions of milestone 03: the plainest correct version of each task, with the reasoning."""

from itertools import accumulate

import torch
import torch.distributed as dist
from torch import Tensor, nn

from milestones.milestone03_distributed_muon.train_gpt import zeropower_via_newtonschulz


def flat_layout(matrices: list[Tensor], world_size: int) -> list[tuple[int, int, int]]:
    """Ends are the sizes added up, a start is the end before it; owners count 0, 1, ..., 0, 1."""
    ends = list(accumulate(matrix.numel() for matrix in matrices))
    starts = [0, *ends[:-1]]
    owners = [index % world_size for index in range(len(matrices))]
    return list(zip(owners, starts, ends, strict=True))


class Muon(torch.optim.Optimizer):
    """All updates side by side, zeros for those of others: the sum over ranks has no gaps."""

    def __init__(
        self,
        params: list[Tensor],
        lr: float,
        momentum: float,
        nesterov: bool,
        newton_schulz_steps: int,
        newton_schulz_eps: float,
        newton_schulz_dtype: torch.dtype,
        rank: int,
        world_size: int,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})
        self.steps, self.eps = newton_schulz_steps, newton_schulz_eps
        self.dtype = newton_schulz_dtype
        self.rank, self.world_size = rank, world_size

    @torch.no_grad()
    def step(self) -> None:
        group = self.param_groups[0]
        layout = flat_layout(group["params"], self.world_size)
        pieces = []
        for weight, (owner, start, end) in zip(group["params"], layout, strict=True):
            if owner == self.rank:
                update = self.look_ahead(weight, group)
                update = zeropower_via_newtonschulz(update, self.steps, self.eps, self.dtype)
                pieces.append(update.flatten())
            else:
                pieces.append(torch.zeros(end - start, dtype=self.dtype, device=weight.device))
        updates = torch.cat(pieces)
        # Outside of every `if` but this one: a rank that does not come keeps all others waiting.
        if self.world_size > 1:
            dist.all_reduce(updates)
        for weight, (_, start, end) in zip(group["params"], layout, strict=True):
            rows, cols = weight.shape
            update = updates[start:end].view(rows, cols).to(weight.dtype)
            scale = max(rows, cols) ** 0.5  # milestone 01: entries of mean square 1
            weight -= group["lr"] * scale * update

    def look_ahead(self, weight: nn.Parameter, group: dict) -> Tensor:
        """The update before it is orthogonalised.  Only an owner comes here and so has state."""
        gradient = weight.grad
        old = self.state[weight].get("momentum_buffer", torch.zeros_like(gradient))
        new = group["momentum"] * old + gradient
        self.state[weight]["momentum_buffer"] = new
        return gradient + group["momentum"] * new if group["nesterov"] else new


def gather_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> list[Tensor]:
    """Matrix by matrix, its owner tells the others: many small calls, but a checkpoint has time."""
    matrices = muon.param_groups[0]["params"]
    gathered = []
    for matrix, (owner, _, _) in zip(matrices, flat_layout(matrices, world_size), strict=True):
        M = torch.zeros_like(matrix)
        if owner == rank and matrix in muon.state:  # keys are compared by identity
            M = muon.state[matrix]["momentum_buffer"].clone()
        if world_size > 1:
            dist.broadcast(M, src=owner)
        gathered.append(M)
    return gathered


def keep_own_momentum(muon: torch.optim.Optimizer, rank: int, world_size: int) -> None:
    """Set aside what is this rank's, empty everything, put it back."""
    matrices = muon.param_groups[0]["params"]
    own = {}
    for matrix, (owner, _, _) in zip(matrices, flat_layout(matrices, world_size), strict=True):
        if owner == rank and matrix in muon.state:
            own[matrix] = muon.state[matrix]
    muon.state.clear()  # the dict itself stays: it makes an empty dict for a new key
    muon.state.update(own)
