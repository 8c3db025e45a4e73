"""Variances over examples and seeds, against closed forms, statsmodels and simulation."""

from __future__ import annotations

import numpy
import pytest
import statsmodels.api
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from smc_harness.verdict.evidence import RESAMPLES, Evidence, together
from smc_harness.verdict.spread import Part, Spread
from tests.verdict.evidences import answers, means


def test_the_variance_of_a_mean_is_that_of_statistics_books() -> None:
    dense, sparse = numpy.random.default_rng(0).normal(size=(2, 50))
    found = means(sparse, dense).spread()
    assert found is not None and found.seeds is None
    assert found.examples.value == pytest.approx(sparse.var(ddof=1) / 50)
    assert found.variance(1.0) == pytest.approx((dense - sparse).var(ddof=1) / 50)
    assert found.freedom(1.0) == pytest.approx(49)


def test_the_share_weighs_the_dense_score() -> None:
    dense, sparse = numpy.random.default_rng(0).normal(size=(2, 50))
    found = means(sparse, dense).spread()
    assert found is not None
    assert found.error(0.99) ** 2 == pytest.approx((0.99 * dense - sparse).var(ddof=1) / 50)


def test_examples_of_a_group_count_as_one_draw() -> None:
    each = numpy.random.default_rng(0).normal(size=(2, 40))
    groups = [f"g{number // 5}" for number in range(200)]
    found = means(*numpy.repeat(each, 5, axis=1), groups=groups).spread()
    single = means(*each).spread()
    assert found is not None and single is not None
    assert found.examples.clusters == 40
    assert found.error(1.0) == pytest.approx(single.error(1.0))


def seeds(drops: numpy.ndarray, folds: int = 1) -> Evidence:  # type: ignore[type-arg]
    """drops: [seeds, examples]."""
    return together([means(-row, numpy.zeros(len(row)), fold=seed % folds) for seed, row in enumerate(drops)])


def test_seeds_on_the_same_examples_have_the_variances_that_statsmodels_has() -> None:
    draws = numpy.random.default_rng(0)
    drops = draws.normal(size=(4, 30)) + draws.normal(size=(4, 1)) + draws.normal(size=30)
    found = seeds(drops).spread()
    assert found is not None and found.seeds is not None and found.both is not None
    fit = statsmodels.api.OLS(drops.ravel(), numpy.ones(120)).fit()
    numbers = [numpy.repeat(numpy.arange(4), 30), numpy.tile(numpy.arange(30), 4)]
    _, by_seeds, by_examples = cov_cluster_2groups(fit, *numbers, use_correction=False)
    assert found.seeds.variance(1.0) == pytest.approx(by_seeds.item() * 4 / 3)
    assert found.examples.variance(1.0) == pytest.approx(by_examples.item() * 30 / 29)
    assert found.both.variance(1.0) == pytest.approx(drops.var(ddof=1) / 120)


def test_seeds_on_other_examples_vary_by_both_at_once() -> None:
    drops = numpy.random.default_rng(0).normal(size=(5, 30))
    found = seeds(drops, folds=5).spread()
    assert found is not None and found.seeds is None
    assert found.variance(1.0) == pytest.approx(drops.mean(axis=1).var(ddof=1) / 5)
    assert found.freedom(1.0) == pytest.approx(4)


def test_ten_seeds_on_five_folds_share_the_examples_of_a_fold() -> None:
    drops = numpy.random.default_rng(0).normal(size=(10, 30))
    found = seeds(drops, folds=5)
    spread = found.spread()
    assert spread is not None and spread.seeds is not None
    assert (spread.examples.clusters, spread.seeds.clusters, found.examples) == (150, 10, 150)
    folds = (drops - drops.mean())[:5] + (drops - drops.mean())[5:]
    assert spread.examples.variance(1.0) == pytest.approx((folds / 300).var(ddof=1) * 150)


def test_resampling_agrees_with_the_closed_form_of_a_mean() -> None:
    draws = numpy.random.default_rng(0)
    drops = draws.normal(size=(3, 200)) + draws.normal(size=(3, 1)) / 10 + draws.normal(size=200)
    closed = seeds(drops).spread()

    def mean(values: numpy.ndarray, _: object) -> float:  # type: ignore[type-arg]
        return float(values.mean())

    from smc_harness.verdict.evidence import compare

    parts = []
    for row in drops:
        found = compare(answers(-row), answers(numpy.zeros(200)), mean)
        assert found is not None and found.samples is not None and found.samples.shape == (2, RESAMPLES)
        parts.append(Evidence(-float(row.mean()), 0.0, 200, compared=(found,)))
    resampled = together(parts).spread()
    assert resampled is not None and resampled.seeds is not None and resampled.both is not None
    assert closed is not None and closed.seeds is not None and closed.both is not None
    assert resampled.seeds.variance(1.0) == pytest.approx(closed.seeds.variance(1.0))
    assert resampled.examples.variance(1.0) == pytest.approx(closed.examples.variance(1.0), rel=0.15)
    assert resampled.both.variance(1.0) == pytest.approx(closed.both.variance(1.0), rel=0.15)


def test_a_variance_cannot_be_negative() -> None:
    assert Part(10, 1e-20, 1e-20, 1.1e-20).variance(1.0) == 0.0


def test_the_part_that_weighs_most_has_the_degrees_of_freedom() -> None:
    examples, tiny = Part(1000, 1.0, 0.0, 0.0), Part(3, 1e-9, 0.0, 0.0)
    assert Spread(examples, tiny, tiny).freedom(1.0) == pytest.approx(999)
    assert Spread(tiny, examples, tiny).freedom(1.0) == pytest.approx(999)


def test_more_examples_do_not_help_where_seeds_differ() -> None:
    found = Spread(Part(100, 0.1, 0.0, 0.0), Part(5, 0.9, 0.0, 0.0), Part(500, 0.05, 0.0, 0.0))
    assert found.examples_for(100, 1.0, error=0.9) is None  # the seeds alone have 0.85
    # 0.1 + 0.05 falls with the examples: a third of it is left with 300
    assert found.examples_for(100, 1.0, error=(0.85 + 0.05) ** 0.5) == 300


def test_what_all_seeds_lose_alike_stays_with_more_of_them() -> None:
    alike = Spread(Part(100, 0.5, 0.0, 0.0), Part(2, 0.1, 0.0, 0.0), Part(200, 0.25, 0.0, 0.0))
    assert alike.error_with(2, 2, 1.0) == pytest.approx(0.6**0.5)
    assert alike.error_with(2, 20, 1.0) == pytest.approx((0.5 + 0.01) ** 0.5)
