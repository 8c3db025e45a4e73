from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from smc_pruners.iterative import LotteryParams, RoundParams, lrr, lth

from smc_harness import Prune, Rewind, Train
from smc_harness.discovery.parameters import build
from smc_harness.errors import UsageError


def test_lth_prunes_a_fifth_of_the_rest_in_every_round_and_rewinds_to_the_start() -> None:
    plan = lth.plan(0.488, SimpleNamespace(params=LotteryParams()))
    assert [stage.level for stage in plan if isinstance(stage, Prune)] == [pytest.approx(1 - 0.8**k) for k in (1, 2, 3)]
    assert [stage for stage in plan if isinstance(stage, Rewind)] == [Rewind(0.0)] * 3
    assert plan[-1] == Train()


def test_lrr_is_lth_without_rewinding() -> None:
    ours, tickets = (
        hooks.plan(0.893, SimpleNamespace(params=params))
        for hooks, params in ((lrr, RoundParams()), (lth, LotteryParams()))
    )
    assert ours == [stage for stage in tickets if not isinstance(stage, Rewind)]


def test_surviving_weights_after_rewinding_equal_those_of_step_0_to_the_bit(trajectory) -> None:
    walk = trajectory(lth, [0.488], params=LotteryParams(), name="lth")
    walk._start()
    start = {name: parameter.detach().clone() for name, parameter in walk._model.named_parameters()}
    plan = walk.plan(0.488)
    for rounds, realised in ((1, 26), (2, 46), (3, 62)):  # floor(128 (1 - 0.8^k) + 1/2)
        walk.walk(plan[: 3 * rounds], 0.488)
        model, now = walk._live()
        assert sum(int((~kept).sum()) for kept in now.mask.values()) == realised
        for name, parameter in model.named_parameters():
            kept = now.mask.get(name, torch.ones_like(parameter, dtype=torch.bool))
            assert torch.equal(parameter, torch.where(kept, start[name], torch.zeros(())))


def test_the_original_is_strict_and_unmasked() -> None:
    plan = lth.plan(0.2, SimpleNamespace(params=LotteryParams(compat="smc-bench")))
    assert {stage.dead for stage in plan if isinstance(stage, Train)} == {"unmasked"}


@pytest.mark.parametrize("settings", [{"round": "0"}, {"round": "1"}, {"rewind": "1"}])
def test_a_share_out_of_range_is_one_line(settings) -> None:
    with pytest.raises(UsageError, match="lth: .* would work"):
        build(LotteryParams, settings, "lth")


def test_the_share_of_a_round_and_the_point_to_rewind_to_are_as_told() -> None:
    plan = lth.plan(0.75, SimpleNamespace(params=LotteryParams(round=0.5, rewind=0.1)))
    assert [stage.level for stage in plan if isinstance(stage, Prune)] == [0.5, 0.75]
    assert [stage for stage in plan if isinstance(stage, Rewind)] == [Rewind(0.1)] * 2
