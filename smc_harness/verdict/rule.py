"""Rules that turn a cell's metric and its dense model's metric into a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from smc_harness.cells import Judgement, Verdict
from smc_harness.verdict.margin import USUAL, Margin

if TYPE_CHECKING:
    from smc_harness.verdict.evidence import Evidence


RULES = ("tolerance", "noninferiority")
ALPHA = 0.05
"""How often an answer that is called sure may be wrong."""


class Rule(Protocol):
    """From evidence to a verdict. needs_outcomes: whether the verdict asks for more than the two scores."""

    @property
    def margin(self) -> Margin: ...
    @property
    def needs_outcomes(self) -> bool: ...

    def decide(self, found: Evidence) -> Judgement: ...


@dataclass(frozen=True)
class Tolerance:
    """Pass while the metric is no worse than the dense one by more than the margin. Where there are outcomes, the
    verdict comes with what they say.
    """

    margin: Margin = USUAL
    needs_outcomes = False

    def decide(self, found: Evidence) -> Judgement:
        verdict = self.judge(found.value, found.dense, found.higher_is_better)
        if not found.compared:
            return Judgement(verdict)
        from smc_harness.verdict.inference import weigh

        finding = weigh(found, self.margin)
        return Judgement(verdict, within=finding.within, beyond=finding.beyond) if finding else Judgement(verdict)

    def judge(self, value: float, dense: float, higher_is_better: bool = True) -> Verdict:
        margin = self.margin.of(dense)
        drop = dense - value if higher_is_better else value - dense
        # equality passes, also where the last bit of the subtraction says otherwise
        return Verdict.PASS if drop <= margin or math.isclose(drop, margin, rel_tol=1e-9) else Verdict.FAIL


def rule_of(name: str, margin: Margin) -> Rule:
    """One of `RULES`."""
    if name == "tolerance":
        return Tolerance(margin)
    from smc_harness.verdict.noninferiority import NonInferiority

    return NonInferiority(margin)


def chance_floor(chance: float, n: int) -> float:
    """Chance plus three standard errors of the mean of `n` outcomes that are right by chance.

    Where chance is below one in n, one in n is taken: a model that is right once is no evidence of anything.
    """
    rate = max(chance, 1.0 / n)
    return chance + 3.0 * math.sqrt(rate * (1.0 - rate) / n)
