"""All checks, in the order in which they are made: those first without which others mean nothing."""

from smc_harness.conformance import declared, light, manners, masks, runs, tasks
from smc_harness.conformance.check import Check

PRUNER: tuple[Check, ...] = (
    *declared.CHECKS,
    light.CHECK,
    *declared.PLANS,
    manners.NETWORK,
    *manners.CHECKS,
    *masks.CHECKS,
    *runs.CHECKS,
)

TASK: tuple[Check, ...] = (*declared.CHECKS, light.CHECK, *tasks.CHECKS)
