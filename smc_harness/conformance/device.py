"""Whether a pruner chooses the same weights on another device."""

from __future__ import annotations

import torch

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.subject import Mask, PrunerSubject
from smc_harness.sparsity import mask as masks

ROUNDING = 0.02
"""Share of the weights of which a GPU may choose others: it adds in another order, and near ties go the other way.

A mask that has nothing to do with the expected one differs, at half of the weights pruned, in every second one.
"""


def device(subject: PrunerSubject) -> None:
    """On a GPU it scores and prunes as on the CPU; where there is none, on a device that only claims to be another."""
    apart = subject.apart
    if apart.skipped:
        raise NotApplicableError(apart.skipped)
    if apart.fault:
        raise Fault(apart.fault)
    compare(apart.here, apart.there, exact=apart.exact, drawn=apart.drawn)


def compare(expected: Mask, found: Mask, exact: bool, drawn: bool) -> None:
    """Raise Fault for another mask than the expected one, where it is more than the device can be excused for.

    exact: whether the device computes as the CPU does, to the bit; else as many weights must be pruned, and all but
    `ROUNDING` of them be the same ones, give or take one. drawn: by random numbers of the device's own: as many.
    """
    if masks.pruned(found) != masks.pruned(expected):
        raise Fault(f"on another device it prunes {masks.pruned(found)} weights, not {masks.pruned(expected)}")
    name = differing(expected, found)
    if name is None or drawn:
        return
    others, total = _others(expected, found), sum(kept.numel() for kept in expected.values())
    if exact or others > max(2, ROUNDING * total):
        raise Fault(
            f"on another device it chooses otherwise for {others} of {total} weights, first in {name!r}; the same "
            "steps there would work"
        )


def differing(expected: Mask, found: Mask) -> str | None:
    """The first tensor of which other weights are chosen."""
    return next((name for name in expected if not torch.equal(expected[name].cpu(), found[name])), None)


def _others(expected: Mask, found: Mask) -> int:
    return sum(int((expected[name] != found[name]).sum()) for name in expected)


CHECK = Check("device", device, ("mask", "same-seed"))
