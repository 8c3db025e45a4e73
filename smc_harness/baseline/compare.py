"""Whether a run is worse or better than its baseline: one decision for each (task, pruner).

At every level that both measured, the score is compared with the baseline's as a sparse model's is with the dense
one's: by `NonInferiority`, which asks whether the difference exceeds the tolerance beyond chance. That a difference is
beyond chance is not enough. Chance here is that of the examples; training again with other last bits (another torch,
another processor) gives another model, and with many examples nearly any two models differ a little beyond doubt.
The tolerance is what such a difference may be before anybody is called.

A (task, pruner) is a regression if it is at any level. Each of the L levels of the baseline is tested at 5 % / L
(Bonferroni), so that a method that got no worse than the tolerance is called a regression in one case of twenty at
most, however many levels it has. Swapping run and baseline swaps regressions and improvements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from smc_harness.baseline.changes import Change, Comparison, LevelChange, Moved, PairChange
from smc_harness.baseline.drift import drift, has_same_examples, is_comparable
from smc_harness.baseline.entries import Entries, Entry, Point
from smc_harness.cells import Judgement, Verdict
from smc_harness.verdict.first_fail import FirstFail
from smc_harness.verdict.margin import Margin
from smc_harness.verdict.rule import Tolerance

if TYPE_CHECKING:
    from smc_harness.verdict.evidence import Evidence

ALPHA = 0.05
"""How often a (task, pruner) that is worse by no more than the tolerance may be called a regression."""

Pairs = Sequence[tuple[Point, Point]]
"""Of one level: the run's point and the baseline's, one pair a seed."""


class Witness(Protocol):
    """What knows of the examples: `Outcomes`, but for tests."""

    def evidence(
        self, task: str, pairs: Pairs, higher_is_better: bool, same_examples: bool
    ) -> tuple[Evidence, bool]: ...


def compare(name: str, old: Entries, new: Entries, witness: Witness) -> Comparison:
    """name: the baseline's. What is neither loss nor gain is said by the tolerance of the new entries."""
    both = [(old[pair], new[pair]) for pair in sorted(old.keys() & new.keys())]
    return Comparison(
        name,
        pairs=[_pair(*pair, witness) for pair in both],
        drift=list({str(item): item for pair in both for item in drift(*pair)}.values()),
        gone=[old[pair].id for pair in sorted(old.keys() - new.keys())],
        fresh=[new[pair].id for pair in sorted(new.keys() - old.keys())],
    )


def _pair(old: Entry, new: Entry, witness: Witness) -> PairChange:
    known = {(point.level, point.seed): point for point in old.points}
    common: dict[float, list[tuple[Point, Point]]] = {}
    for point in sorted(new.points, key=lambda point: (point.level, point.seed)):
        if (base := known.get((point.level, point.seed))) is not None:
            common.setdefault(point.level, []).append((point, base))
    # not those that both have: where a run stops follows from its scores
    alpha = ALPHA / max(1, len({point.level for point in old.points}))
    margin = Margin.read(new.subject.tolerance)
    levels = [_level(level, pairs, old, new, (margin, alpha), witness) for level, pairs in common.items()]
    changes = {level.change for level in levels} or {Change.UNKNOWN}
    change = next(change for change in Change if change in changes)
    return PairChange(
        new.id, new.task, new.pruner, change, levels, _moved(old, new), str(margin), new.subject.unit or ""
    )


def _level(
    level: float, pairs: Pairs, old: Entry, new: Entry, asked: tuple[Margin, float], witness: Witness
) -> LevelChange:
    """asked: the margin and alpha."""
    higher_is_better = new.subject.higher_is_better
    now, was = (_mean([pair[side] for pair in pairs]) for side in (0, 1))
    plain = LevelChange(
        level, tuple(own.seed for own, _ in pairs), Change.UNKNOWN, was, now, sum(own.n for own, _ in pairs)
    )
    if not is_comparable(old, new):
        return plain
    if all(own.value == base.value for own, base in pairs):
        return replace(plain, change=Change.UNCHANGED)
    beyond = Tolerance(asked[0])
    is_loss = beyond.judge(now, was, higher_is_better) is Verdict.FAIL
    if not is_loss and beyond.judge(was, now, higher_is_better) is not Verdict.FAIL:
        return replace(plain, change=Change.WITHIN)  # whatever chance could do: no test would say otherwise
    asked_of = pairs if is_loss else [(base, own) for own, base in pairs]  # the one that may be worse comes first
    found, paired = witness.evidence(new.task, asked_of, higher_is_better, same_examples=has_same_examples(old, new))
    judged = _decide(found, *asked)
    if judged.low is None or judged.high is None:
        return plain
    change = Change.REGRESSION if is_loss else Change.IMPROVEMENT
    return replace(
        plain,
        change=change if judged.verdict is Verdict.FAIL else Change.WITHIN,
        worse=(judged.low, judged.high) if is_loss else (-judged.high, -judged.low),
        paired=paired,
    )


def _mean(points: Sequence[Point]) -> float:
    if len(points) == 1:
        return points[0].value  # to the bit
    return sum(point.value * point.n for point in points) / sum(point.n for point in points)


def _decide(found: Evidence, margin: Margin, alpha: float) -> Judgement:
    """Fails where the one is worse than the other by more than the tolerance, beyond chance."""
    from smc_harness.verdict.noninferiority import NonInferiority

    return NonInferiority(margin, alpha).decide(found)


def _moved(old: Entry, new: Entry) -> list[Moved]:
    """First-fails whose intervals have nothing in common: on other levels they may differ and be the same."""
    known = {found.seeds: found for found in old.first_fails}
    both = [(known[found.seeds], found) for found in new.first_fails if found.seeds in known]
    return [Moved(was, now) for was, now in both if _is_below(now, was) or _is_below(was, now)]


def _is_below(found: FirstFail, other: FirstFail) -> bool:
    """Whether one surely fails at a lower level than another."""
    return found.first_fail is not None and other.last_pass is not None and found.first_fail <= other.last_pass
