from __future__ import annotations

from types import SimpleNamespace

import pytest
from smc_pruners.gmp import GmpParams, gmp

from smc_harness import Train


def stage_of(level: float, **params) -> Train:
    (stage,) = gmp.plan(level, SimpleNamespace(params=GmpParams(**params)))
    return stage


def test_trains_once_under_its_schedule() -> None:
    stage = stage_of(0.8, start=0.2, end=0.7, updates=5)
    assert stage.until == 1.0 and stage.dead == "masked"
    assert [stage.prune(fraction) for fraction in (0.0, 0.19, 0.7, 1.0)] == [0.0, 0.0, 0.8, 0.8]


@pytest.mark.parametrize("step", [0, 299, 300, 720, 1140, 1560, 1980, 2399, 2400, 3000])
def test_the_level_is_the_cubic_of_zhu_and_gupta_at_every_update(step: int) -> None:
    """s_t = s (1 - (1 - (t - t0) / (t1 - t0))^3) with t0 = 300, t1 = 2400 of 3000 and 50 updates, 42 steps apart."""
    t = min(max(step, 300), 2400)
    last_update = 300 + (t - 300) // 42 * 42
    expected = 0.9 * (1 - (1 - (last_update - 300) / 2100) ** 3)
    assert stage_of(0.9).prune(step / 3000) == pytest.approx(expected, abs=1e-12)


def test_the_original_prunes_at_500_1000_1500_and_2000_of_3000_steps_and_misses_the_end() -> None:
    stage = stage_of(0.8, compat="smc-bench")
    assert stage.dead == "unmasked"
    levels = [stage.prune(step / 3000) for step in range(3001)]
    changes = [step for step in range(1, 3001) if levels[step] != levels[step - 1]]
    assert changes == [500, 1000, 1500, 2000]
    assert levels[-1] == pytest.approx(0.8 * (1 - (400 / 2100) ** 3)) and levels[-1] == pytest.approx(
        0.993 * 0.8, abs=1e-3
    )
