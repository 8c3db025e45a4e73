"""All checks, in the order in which they are made: those first without which others mean nothing."""

from smc_harness.conformance import declared, manners, masks, runs, tasks
from smc_harness.conformance.check import Check

PRUNER: tuple[Check, ...] = (
    *declared.CHECKS,
    *declared.PLANS,
    manners.NETWORK,
    *manners.CHECKS,
    *masks.CHECKS,
    *runs.CHECKS,
)

TASK: tuple[Check, ...] = (*declared.CHECKS, *tasks.CHECKS)
