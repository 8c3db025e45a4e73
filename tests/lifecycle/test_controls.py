"""Controls against the runs that they are controls of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from smc_pruners import movement, obert, synflow
from smc_pruners.dynamic import RigLParams, random_rigl
from smc_pruners.gmp import gmp
from smc_pruners.iterative import lrr, lth
from smc_pruners.magnitude import after as magnitude_after
from smc_pruners.random import before as random_before
from smc_pruners.snip import SnipParams, snip

from smc_harness import hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.structure import NofM, Structure
from smc_harness.discovery.loading import control_of
from smc_harness.lifecycle.controls import control_mask
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.sparsity.patterns import broken
from tests.toys import plugin, pruner_of

Make = Callable[..., Trajectory]
LEVELS = (0.5, 0.8)


@hookimpl
def only_the_first_layer(model, context):
    """The first tensor goes first."""
    return {n: p.detach().abs() + 10.0 * (n == "3.weight") for n, p in context.prunable(model)}


@hookimpl
def turns_the_mask_over(model, mask, context):
    return {name: kept.flip(0) for name, kept in mask.items()}


def pair(make: Make, hooks: Any, kind: str, **given: Any) -> tuple[Trajectory, Trajectory]:
    """The pruner's own trajectory and that of its control, on one store."""
    own = make(hooks, LEVELS, name="own", **given)
    talk = own.talk
    assert talk.pruner_plugin is not None
    control = Trajectory(
        talk.task_plugin,
        control_of(talk.pruner_plugin, kind),
        [],
        RunOptions(),
        0,
        own.artifacts,
        lambda what, step, of: None,
        LEVELS,
    )
    return own, control


PLANS = {
    "magnitude-after": (magnitude_after, None),
    "snip": (snip, SnipParams()),
    "snip as the original": (snip, SnipParams(compat="smc-bench")),
    "random as the original": (random_before, random_before.params(compat="smc-bench")),
    "random-rigl": (random_rigl, RigLParams()),
    "obert": (obert, obert.Params(block=4)),
    "lth": (lth, None),
    "lrr": (lrr, None),
    "gmp": (gmp, None),
    "movement": (movement, None),
    "synflow": (synflow, synflow.Params(rounds=7)),
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("own_first", [True, False])
def test_own_ratios_has_the_densities_of_the_pruners_own_run_at_every_level(trajectory, name, own_first) -> None:
    hooks, params = PLANS[name]
    given = {"params": params if params is not None else hooks.params()}
    own, control = pair(trajectory, hooks, "own-ratios", **given)
    walks = [own, control] if own_first else [control, own]
    for level in LEVELS:
        found = {walk: walk.measure(level) for walk in walks}
        assert found[control].densities == found[own].densities
        assert found[control].outcomes != found[own].outcomes


@pytest.mark.parametrize("name", ["snip as the original", "random as the original", "lth", "gmp"])
def test_random_prunes_as_many_weights_as_the_pruner_did(trajectory, name) -> None:
    hooks, params = PLANS[name]
    own, control = pair(trajectory, hooks, "random", params=params if params is not None else hooks.params())
    for level in LEVELS:
        assert control.measure(level).realised == own.measure(level).realised


def test_every_pruning_on_the_way_has_the_count_of_the_pruners_own(trajectory) -> None:
    own, control = pair(trajectory, lth, "own-ratios", params=lth.params())
    own.measure(0.8)
    control.measure(0.8)
    histories = [walk._live()[1].history for walk in (own, control)]
    assert len(histories[0]) == 8 and histories[0] == histories[1]


def test_which_weights_go_is_drawn_and_not_chosen(trajectory) -> None:
    own, control = pair(trajectory, magnitude_after, "own-ratios", params=magnitude_after.params())
    masks = []
    for walk in (own, control):
        walk.measure(0.5)
        masks.append(walk._live()[1].mask["0.weight"])
    # of 96 weights about half live in either; that all agree would be a chance of 1 in 10^27
    assert 20 < int((masks[0] == masks[1]).sum()) < 76


def test_random_spreads_over_all_tensors_what_the_pruner_took_from_one(trajectory) -> None:
    _, control = pair(trajectory, pruner_of(compute_scores=only_the_first_layer), "random")
    densities = control.measure(0.5).densities
    assert 0.3 < densities["0.weight"] < 0.7 and 0.3 < densities["3.weight"] < 0.7


def test_updates_of_the_mask_are_not_followed(trajectory) -> None:
    dynamic = pruner_of("before", compute_scores=only_the_first_layer, update_mask=turns_the_mask_over)
    plain = pruner_of("before", compute_scores=only_the_first_layer)
    values = [
        pair(trajectory, hooks, "own-ratios", store=str(i))[1].measure(0.5).value
        for i, hooks in enumerate((dynamic, plain))
    ]
    assert values[0] == values[1]


def test_what_the_pruner_raises_is_the_controls_error_too(trajectory) -> None:
    @hookimpl
    def fails(model, context):
        raise ValueError("no scores today")

    _, control = pair(trajectory, pruner_of(compute_scores=fails), "random")
    with pytest.raises(ValueError, match="no scores today"):
        control.measure(0.5)


# -- the masks themselves -----------------------------------------------------------------------------------------

SCOPE = [("a", torch.nn.Parameter(torch.ones(8, 8))), ("b", torch.nn.Parameter(torch.ones(4, 8)))]


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_a_smaller_mask_lies_within_a_larger_one_of_the_same_seed(kind: str) -> None:
    large, small = (control_mask(kind, kept, SCOPE, Structure(), 3) for kept in ((50, 20), (20, 0)))
    assert not any((small[name] & ~large[name]).any() for name in large)


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_where_the_pruner_kept_nothing_nothing_is_kept(kind: str) -> None:
    assert not any(kept.any() for kept in control_mask(kind, (0, 0), SCOPE, Structure(), 0).values())


def test_another_seed_is_another_draw() -> None:
    first, again, other = (control_mask("own-ratios", (32, 16), SCOPE, Structure(), seed) for seed in (0, 0, 1))
    assert torch.equal(first["a"], again["a"]) and not torch.equal(first["a"], other["a"])


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_a_pattern_holds_in_the_controls_too(kind: str) -> None:
    mask = control_mask(kind, (32, 16), SCOPE, Structure(pattern=NofM(2, 4)), 0)
    assert broken(mask, NofM(2, 4)) is None
    assert [int(kept.sum()) for kept in mask.values()] == [32, 16]


def test_draws_are_the_same_for_every_pruner(trajectory) -> None:
    masks = []
    for index in range(2):
        hooks = pruner_of("before", compute_scores=only_the_first_layer)
        _, control = pair(trajectory, hooks, "random", store=str(index))
        control.talk.pruner.name = f"name{index}"
        control.measure(0.5)
        masks.append(control._live()[1].mask["0.weight"])
    assert torch.equal(*masks)


def test_a_control_has_an_identity_and_a_name_of_its_own() -> None:
    pruner = plugin("pruner", "mine", pruner_of(compute_scores=only_the_first_layer))
    controls = [control_of(pruner, kind) for kind in ("random", "own-ratios")]
    assert [control.name for control in controls] == ["mine~random", "mine~own-ratios"]
    assert len({pruner.identity, *(control.identity for control in controls)}) == 3
