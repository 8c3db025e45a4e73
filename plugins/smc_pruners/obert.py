"""oBERT: pruning by the optimal brain surgeon, with a Fisher matrix in blocks for its Hessian."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from smc_harness import PrunerContext, default_plan, hookimpl
from smc_harness.errors import PluginError, UsageError
from smc_pruners import _original
from smc_pruners._original import Stages, check_compat, strict_threshold, unmasked

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "obert"
phase = "after"
description = "one-shot second-order pruning with a block-diagonal Fisher matrix; the survivors make up for the pruned"
score = "w^2 / (2 [F^-1]_dd), F the empirical Fisher matrix in blocks"
paper = "Kurtic et al. 2022, arXiv 2203.07259"
cost = "at most 1024 gradients, 1 training"
nested = True

_GROUP = 16
"""Gradients that are kept until their outer products are added in one go."""
_CHUNK = 2**22
"""Numbers in the matrices that are inverted together: in float64, 32 MiB for each temporary copy."""


@dataclass(frozen=True)
class Params(_original.Params):
    """Of Kurtic et al. 2022.

    block: consecutive weights of a tensor that share a block of the Fisher matrix; 1: a diagonal one. gradients: most
    mini-batch gradients that it is the mean of, within one pass over the training examples. damping: what is added to
    its diagonal. update: whether the surviving weights move to make up for the pruned ones.

    compat: `smc-bench` does as its runs did: a diagonal Fisher matrix of one whole epoch, dropout on, no update; strict
    threshold, unmasked gradients and optimiser state.
    """

    block: int = 50
    gradients: int = 1024
    damping: float = 1e-7
    update: bool = True

    def __post_init__(self) -> None:
        if self.block < 1 or self.gradients < 1:
            given = f"block={self.block}, gradients={self.gradients}"
            raise UsageError(f"{given} given; numbers of at least 1 would work")
        if not 0.0 < self.damping < math.inf:
            raise UsageError(f"damping={self.damping} given; a finite number above 0 would work")
        check_compat(self, unused=("gradients",), block=1, update=False)

    @property
    def as_original(self) -> bool:
        return self.compat == "smc-bench"

    @property
    def moves(self) -> bool:
        return self.update and self.size > 1

    @property
    def size(self) -> int:
        return 1 if self.as_original else self.block


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Stages | None:
    return unmasked(default_plan(phase, level)) if context.params.as_original else None


@hookimpl
def compute_scores(model: nn.Module, context: PrunerContext) -> Mapping[str, Tensor]:
    """w^2 / (2 [F^-1]_dd): by how much the loss grows when one weight goes and the rest of its block adapts.

    Kurtic et al. 2022, "The Optimal BERT Surgeon", after Hassibi & Stork 1993 and, for the Fisher matrix in place of
    the Hessian, Singh & Alistarh 2020 (WoodFisher): F = damping I + the mean of g g^T over mini-batches, where g is
    the gradient of the mean loss of one. They build F^-1 by rank-one updates; here F is summed up and inverted in
    float64, which is the same matrix. Weights that are dead have no part in it.

    Returns: {name: float64 tensor of the weight's shape}. `context.state` keeps the sums for `apply_mask`.
    Raises PluginError where a gradient is not finite.
    """
    wanted = context.params
    prunable = context.prunable(model)
    model.train(wanted.as_original)
    fisher = _mean_outer_products(model, context)
    for key, blocks in fisher.items():
        if not blocks.isfinite().all():
            raise PluginError(
                f"{context.name}: the gradients of {key!r} are not finite; a model with a finite loss would work"
            )
    if wanted.moves:
        context.state.update({_key(key): blocks for key, blocks in fisher.items()})
    return {key: _scores(weight.detach(), fisher[key], wanted.damping) for key, weight in prunable}


@hookimpl
def apply_mask(
    model: nn.Module, scores: Mapping[str, Tensor], level: float, context: PrunerContext
) -> Mapping[str, Tensor]:
    """Exact selection; then all weights pruned from a block are made up for together.

    Kurtic et al. 2022: with K the kept and Q the pruned weights of a block, w_K moves by F_KK^-1 F_KQ w_Q, which
    minimises the loss's growth d^T F d / 2 under d_Q = -w_Q. The published code adds up the moves for one pruned weight
    each, which is the same where one is pruned from a block, and is no minimum where more are.
    Raises PluginError where a weight would not be finite.
    """
    wanted = context.params
    if wanted.as_original:
        return strict_threshold(scores, level)
    mask = context.select(scores, level)
    if wanted.moves:
        for key, weight in context.prunable(model):
            # not needed any more, and large: it must not be kept with the weights
            blocks = context.state.pop(_key(key))
            _move(key, weight, mask[key], blocks, wanted.damping)
    return mask


def _key(tensor: str) -> str:
    return f"fisher.{tensor}"


# -- the Fisher matrix --------------------------------------------------------------------------------------------


class _OuterProducts:
    """The sum of g g^T over gradients g of one tensor, in blocks [blocks, size, size], in float32 or wider.

    size: weights per block, at most those of the tensor; the last block is padded with weights without a gradient.
    """

    def __init__(self, weight: Tensor, block: int) -> None:
        import torch

        self.size = max(1, min(block, weight.numel()))
        n_blocks = -(-weight.numel() // self.size)
        zeros = partial(weight.new_zeros, dtype=torch.promote_types(weight.dtype, torch.float32))
        self._sums = zeros((n_blocks, self.size, self.size))
        self._waiting = zeros((min(_GROUP, self.size), n_blocks, self.size))
        self._count = 0

    def add(self, gradient: Tensor) -> None:
        self._waiting[self._count] = _blocked(gradient, self.size)
        self._count += 1
        if self._count == len(self._waiting):
            self._add_waiting()

    def mean(self, count: int) -> Tensor:
        """The sum over `count`. Not to be added to any more."""
        self._add_waiting()
        del self._waiting
        return self._sums.div_(count)

    def _add_waiting(self) -> None:
        given = self._waiting[: self._count]
        if self.size == 1:
            self._sums.view(-1).add_(given.square().sum(0).view(-1))
        elif self._count:
            self._sums.baddbmm_(given.permute(1, 2, 0), given.transpose(0, 1))
        self._count = 0


def _mean_outer_products(model: nn.Module, context: PrunerContext) -> dict[str, Tensor]:
    """{name: F without its damping, [blocks, size, size]}."""
    import torch

    prunable = context.prunable(model)
    weights = [weight for _, weight in prunable]
    sums = [_OuterProducts(weight.detach(), context.params.size) for weight in weights]
    count = 0
    for batch in _batches(context):
        gradients = torch.autograd.grad(context.loss(model, batch), weights, allow_unused=True)
        for (key, _), gradient, products in zip(prunable, gradients, sums, strict=True):
            if gradient is not None:
                products.add(gradient if context.mask is None else gradient.masked_fill(~context.mask[key], 0.0))
        count += 1
    return {key: products.mean(count) for (key, _), products in zip(prunable, sums, strict=True)}


def _batches(context: PrunerContext) -> Iterator[object]:
    """Whole mini-batches alone: the gradient of a smaller one is larger, by chance, and would count for more."""
    size, available = context.batch_size, context.examples("train")
    most = available if context.params.as_original else context.params.gradients
    whole = min(most, available // size)
    yield from context.batches("train", whole * size or available)


# -- the surgery --------------------------------------------------------------------------------------------------


def _scores(weight: Tensor, blocks: Tensor, damping: float) -> Tensor:
    """w^2 / (2 [F^-1]_dd), float64, of the weight's shape."""
    scores = _blocked(weight, blocks.shape[-1]).double().square().div_(2.0)
    for rows in _chunks(len(blocks), blocks.shape[-1]):
        scores[rows] /= _inverse(blocks[rows], damping).diagonal(dim1=1, dim2=2)
    return scores.view(-1)[: weight.numel()].view_as(weight)


def _move(key: str, weight: Tensor, keep: Tensor, blocks: Tensor, damping: float) -> None:
    """Move the kept weights of a tensor to make up for the pruned ones, and zero these."""
    size = blocks.shape[-1]
    values, kept = _blocked(weight, size), _blocked(keep, size)
    lost = values.masked_fill(kept, 0.0)
    # where nothing was lost, nothing moves, not even by a rounding
    touched = ((lost != 0.0).any(1) & kept.any(1)).nonzero().view(-1)
    for part in _chunks(len(touched), size):
        rows = touched[part]
        values[rows] += _compensation(blocks[rows], kept[rows], lost[rows], damping).to(values.dtype)
    values.masked_fill_(~kept, 0.0)
    if not values.isfinite().all():
        raise PluginError(f"obert: the update of {key!r} is not finite; more damping than {damping} would work")
    weight.copy_(values.view(-1)[: weight.numel()].view_as(weight))


def _compensation(blocks: Tensor, kept: Tensor, lost: Tensor, damping: float) -> Tensor:
    """F_KK^-1 F_KQ w_Q for each block, float64 [blocks, size]; 0 at the pruned places.

    blocks: F without its damping. kept: K. lost: w at the pruned places, 0 elsewhere.
    """
    pulled = (blocks.double() @ lost.double().unsqueeze(2)).masked_fill_(~kept.unsqueeze(2), 0.0)
    # a pruned place keeps nothing but its damping, and so is a system of its own that stays at 0
    among_kept = blocks.masked_fill(~(kept.unsqueeze(1) & kept.unsqueeze(2)), 0.0)
    return (_inverse(among_kept, damping) @ pulled).squeeze(2)


def _inverse(blocks: Tensor, damping: float) -> Tensor:
    """(blocks + damping I)^-1 in float64."""
    import torch

    matrices = blocks.to(torch.float64, copy=True)
    matrices.diagonal(dim1=1, dim2=2).add_(damping)
    if matrices.shape[-1] == 1:
        return matrices.reciprocal_()
    factors, info = torch.linalg.cholesky_ex(matrices)
    if not (failed := info > 0).any():
        return torch.cholesky_inverse(factors)
    # no eigenvalue is below the damping but for the float32 of the sums, which can outweigh a small one
    values, vectors = torch.linalg.eigh(matrices[failed])
    inverses = torch.empty_like(matrices)
    inverses[failed] = (vectors / values.clamp_min(damping).unsqueeze(1)) @ vectors.mT
    inverses[~failed] = torch.cholesky_inverse(factors[~failed])
    return inverses


def _blocked(tensor: Tensor, size: int) -> Tensor:
    """A copy of a tensor, flattened and padded with zeros, in rows of `size`."""
    flat = tensor.new_zeros(-(-tensor.numel() // size) * size)
    flat[: tensor.numel()] = tensor.detach().reshape(-1)
    return flat.view(-1, size)


def _chunks(n_blocks: int, size: int) -> Iterator[slice]:
    step = max(1, _CHUNK // size**2)
    return (slice(start, start + step) for start in range(0, n_blocks, step))
