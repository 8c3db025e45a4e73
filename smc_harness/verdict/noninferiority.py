"""Whether the drop is below the tolerance, above it, or too close to tell with so many examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smc_harness.cells import Judgement, Verdict
from smc_harness.verdict.evidence import Evidence, Spread
from smc_harness.verdict.paired import Paired, interval, p_at_least, p_at_most, score

POWER = 0.8
"""How likely a decision is to come with the number of examples that `needed` names."""


@dataclass(frozen=True)
class NonInferiority:
    """Three answers. Pass: the hypothesis that the drop is the tolerance or more is refused; fail: that it is the
    tolerance or less; else inconclusive. Each of the two is wrong with probability `alpha` at most.

    relative: the largest drop that is accepted, as a share of the dense score.
    """

    relative: float = 0.01
    alpha: float = 0.05
    needs_outcomes = True

    def decide(self, found: Evidence) -> Judgement:
        if found.chance is None:
            return Judgement(Verdict.INCONCLUSIVE)
        if isinstance(found.chance, Paired):
            return self._counted(found.chance if found.higher_is_better else found.chance.turned, found.dense)
        return self._spread(found, found.chance)

    def _counted(self, table: Paired, dense: float) -> Judgement:
        margin = self.relative * abs(dense)
        low, high = interval(table, self.alpha)
        verdict = self._verdict(p_at_least(table, margin), p_at_most(table, margin))
        z = float(score(table.lost, table.gained, table.n, margin))
        return self._judgement(verdict, low, high, z, table.n)

    def _spread(self, found: Evidence, chance: Spread) -> Judgement:
        """By Student's t, with as many degrees of freedom as there are clusters but one."""
        from scipy import stats

        sign = 1.0 if found.higher_is_better else -1.0
        share = 1.0 - sign * math.copysign(self.relative, found.dense)
        beyond = sign * (share * found.dense - found.value)  # the drop, less what is accepted of it
        student = stats.t(chance.clusters - 1)
        error, plain = chance.error(share), chance.error(1.0)
        if error == 0.0:
            verdict = Verdict.PASS if beyond <= 0 else Verdict.FAIL
        else:
            below = float(student.cdf(beyond / error))
            verdict = self._verdict(below, 1.0 - below)
        drop, reach = sign * (found.dense - found.value), float(student.ppf(1 - self.alpha)) * plain
        z = beyond / error if error else math.inf
        return self._judgement(verdict, drop - reach, drop + reach, z, found.n)

    def _verdict(self, at_least: float, at_most: float) -> Verdict:
        if at_least <= self.alpha:
            return Verdict.PASS
        return Verdict.FAIL if at_most <= self.alpha else Verdict.INCONCLUSIVE

    def _judgement(self, verdict: Verdict, low: float, high: float, z: float, n: int) -> Judgement:
        needed = needed_examples(n, z, self.alpha) if verdict is Verdict.INCONCLUSIVE else None
        return Judgement(verdict, low, high, needed)


def needed_examples(n: int, z: float, alpha: float = 0.05) -> int | None:
    """Examples with which a verdict would probably come, if the models differed there as they do on these n.

    z: standard errors by which the drop is off the tolerance; they grow as the square root of n. None where it is not
    off at all.
    """
    from scipy import stats

    wanted = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(POWER))
    return math.ceil(n * (wanted / z) ** 2) if abs(z) > 1e-9 else None
