"""Evidence made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy

from smc_harness.verdict.evidence import Answers, Compared, Evidence, compare


def answers(values: Any, groups: list[str] | None = None, ids: list[str] | None = None) -> Answers:
    table = numpy.asarray(values, dtype=float).reshape(len(values), -1)
    names = ids or [f"q{number}" for number in range(len(table))]
    return Answers(table, names, groups or names)


def compared(sparse: Any, dense: Any, groups: list[str] | None = None, fold: int = 0) -> Compared:
    found = compare(answers(sparse, groups), answers(dense, groups), fold=fold)
    assert found is not None
    return found


def means(sparse: Any, dense: Any, better: bool = True, groups: list[str] | None = None, fold: int = 0) -> Evidence:
    """Of one seed, from the outcomes of both models."""
    found = Evidence(float(numpy.mean(sparse)), float(numpy.mean(dense)), len(sparse), better)
    return replace(found, compared=(compared(sparse, dense, groups, fold),))


def counted(n: int, right: int, lost: int, gained: int, better: bool = True, fold: int = 0) -> Evidence:
    """Of `right` questions of n that the dense model got right, the sparse one lost some; others it gained."""
    turned = [lost, gained, right - lost, n - right - gained]
    dense = numpy.repeat([1.0, 0.0, 1.0, 0.0], turned)
    sparse = numpy.repeat([0.0, 1.0, 1.0, 0.0], turned)
    return means(sparse, dense, better, fold=fold)
