"""Whether the drop is below the tolerance, above it, or too close to tell with so many examples and seeds."""

from __future__ import annotations

from dataclasses import dataclass

from smc_harness.cells import Judgement, Verdict
from smc_harness.verdict.evidence import Evidence
from smc_harness.verdict.inference import drops, needed, weigh
from smc_harness.verdict.margin import USUAL, Margin
from smc_harness.verdict.rule import ALPHA


@dataclass(frozen=True)
class NonInferiority:
    """Three answers. Pass: the hypothesis that the drop is the margin or more is refused; fail: that it is the margin
    or less; else inconclusive. Each of the two is wrong with probability `alpha` at most.
    """

    margin: Margin = USUAL
    alpha: float = ALPHA
    needs_outcomes = True

    def decide(self, found: Evidence) -> Judgement:
        finding = weigh(found, self.margin)
        if finding is None:
            return Judgement(Verdict.INCONCLUSIVE)
        low, high = drops(found, self.alpha) or (None, None)
        if finding.within <= self.alpha:
            verdict = Verdict.PASS
        else:
            verdict = Verdict.FAIL if finding.beyond <= self.alpha else Verdict.INCONCLUSIVE
        examples, seeds = (None, None) if verdict.decided else needed(found, self.margin, finding, self.alpha)
        return Judgement(verdict, low, high, examples, seeds, finding.within, finding.beyond)
