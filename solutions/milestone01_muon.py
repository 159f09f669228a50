"""Solutions of milestone 01: the plainest correct version of each task, with the reasoning."""

import torch
from torch import Tensor, nn


def get_lr(step: int, args) -> float:
    """The trapezoid as the lower envelope of three lines, one for each of its sides."""
    lines = [1.0]
    if args.warmup_iters:
        lines.append((step + 1) / args.warmup_iters)  # the first step is not wasted at 0
    if args.warmdown_iters:
        lines.append((args.num_iterations - step) / args.warmdown_iters)  # nor is the last one
    return min(lines)


def zeropower_via_newtonschulz(U: Tensor, steps: int, eps: float, dtype: torch.dtype) -> Tensor:
    """Five times X <- a X + b (X X^T) X + c (X X^T)^2 X, with the factor of X gathered first."""
    if U.shape[0] > U.shape[1]:
        # X^T has the same singular values; its Gram matrix has the smaller side's size.
        return zeropower_via_newtonschulz(U.mT, steps, eps, dtype).mT
    frobenius = U.square().sum().sqrt()
    X = U.to(dtype) / (frobenius + eps)
    identity = torch.eye(X.shape[0], dtype=dtype, device=X.device)
    for _ in range(steps):
        gram = X @ X.mT
        X = (3.4445 * identity - 4.7750 * gram + 2.0315 * (gram @ gram)) @ X
    return X


def split_qkv(U: Tensor) -> tuple[Tensor, ...]:
    """q, k and v lie below one another in a matrix three times as tall as it is wide."""
    width = U.shape[1]
    if U.shape[0] != 3 * width:
        return (U,)
    return U[:width], U[width : 2 * width], U[2 * width :]


class Muon(torch.optim.Optimizer):
    """Per matrix: add the gradient to the momentum, look ahead, orthogonalise, scale, subtract."""

    def __init__(
        self,
        params,
        lr: float,
        momentum: float,
        nesterov: bool,
        newton_schulz_steps: int,
        newton_schulz_eps: float,
        newton_schulz_dtype: torch.dtype,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "steps": newton_schulz_steps,
            "eps": newton_schulz_eps,
        }
        super().__init__(params, defaults)
        self.dtype = newton_schulz_dtype

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                update = self.look_ahead(weight, group)
                parts = split_qkv(update)
                orthogonal = [
                    zeropower_via_newtonschulz(part, group["steps"], group["eps"], self.dtype)
                    for part in parts
                ]
                # A semi-orthogonal (rows, cols) matrix has as many unit singular values as its
                # shorter side is long, so its entries have mean square 1 / max(rows, cols).
                rows, cols = parts[0].shape
                step = torch.cat(orthogonal).to(weight.dtype) * max(rows, cols) ** 0.5
                weight -= group["lr"] * step

    def look_ahead(self, weight: nn.Parameter, group: dict) -> Tensor:
        """The update before it is orthogonalised."""
        gradient = weight.grad
        old = self.state[weight].get("momentum_buffer", torch.zeros_like(gradient))
        new = group["momentum"] * old + gradient
        self.state[weight]["momentum_buffer"] = new
        # Nesterov: where would the momentum carry us if the next gradient were this one again?
        return gradient + group["momentum"] * new if group["nesterov"] else new


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """By name: blocks are called h.0, h.1, ...; the tied table is all there is beside them."""
    table, matrices = [], []
    for name, parameter in model.named_parameters():
        (matrices if name.startswith("h.") else table).append(parameter)
    return table, matrices
