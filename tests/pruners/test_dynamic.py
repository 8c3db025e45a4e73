"""RigL and SET against hand-made tensors and against their papers' rules, stage by stage."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from smc_pruners.dynamic import (
    RigLParams,
    SnipRigLParams,
    SparseEvolution,
    UpdateParams,
    is_update,
    magnitude_rigl,
    moved,
    random_rigl,
    snip_rigl,
)
from smc_pruners.snip import snip

from smc_harness import hookimpl
from smc_harness.declarations.structure import Block, NofM, Structure
from smc_harness.discovery.parameters import build
from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity.patterns import broken
from tests.pruners.pruning import mask_of, talk_of
from tests.toys import pruner_of

CONTEXT = talk_of(random_rigl)[0].pruner

DENSE = st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0, 2.0]), min_size=1, max_size=24)


def test_the_smallest_weights_are_dropped_and_the_largest_gradients_grown() -> None:
    mask = torch.tensor([True, True, True, True, False, False, False, False])
    weights = torch.tensor([0.1, -3.0, 2.0, -0.2, 0.0, 0.0, 0.0, 0.0])
    gradients = torch.tensor([0.0, 9.0, 9.0, 0.0, 0.3, 0.7, 0.5, 0.1])
    # half of the four: 0.1 and -0.2 go, the gradients 0.7 and 0.5 come
    assert moved(mask, weights, gradients, 0.5, CONTEXT).tolist() == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_weight_that_was_just_dropped_comes_back_if_its_gradient_is_the_largest() -> None:
    mask, weights, gradients = (
        torch.tensor([True, True, False]),
        torch.tensor([0.1, 1.0, 0.0]),
        torch.tensor([5.0, 0, 1]),
    )
    assert moved(mask, weights, gradients, 0.5, CONTEXT).tolist() == [True, True, False]


@given(DENSE, st.data())
@settings(max_examples=200, deadline=None)
def test_the_number_of_living_weights_stays_and_growth_is_the_top_of_the_inactive(values, data) -> None:
    size = len(values)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    gradients = torch.tensor(data.draw(st.lists(st.floats(0, 4, width=16), min_size=size, max_size=size)))
    share = data.draw(st.floats(0, 1))
    weights = torch.tensor(values) * mask
    new = moved(mask, weights, gradients, share, CONTEXT)
    assert int(new.sum()) == int(mask.sum())
    dropped = math.floor(share * int(mask.sum()) + 0.5)
    # brute force, in Python
    living = sorted((i for i in range(size) if mask[i]), key=lambda i: (abs(float(weights[i])), -i))
    survivors = set(living[dropped:])
    inactive = sorted((i for i in range(size) if i not in survivors), key=lambda i: (-float(gradients[i]), i))
    assert {i for i in range(size) if new[i]} == survivors | set(inactive[:dropped])


def test_updates_come_at_multiples_of_the_interval_between_the_start_and_the_end() -> None:
    assert [step for step in range(100) if is_update(step, 100, 0.1, 0.75)] == [10, 20, 30, 40, 50, 60, 70]
    assert [step for step in range(3000) if is_update(step, 3000, 1 / 6, 1.0)] == [500, 1000, 1500, 2000, 2500]
    assert [step for step in range(10) if is_update(step, 10, 0.01, 1.0)] == list(range(1, 10))


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (10, None), (37, 0.0), (70, None), (80, 0.0)])
def test_the_share_falls_by_the_cosine_of_the_paper(step: int, share: float | None) -> None:
    expected = 0.3 / 2 * (1 + math.cos(step * math.pi / 75)) if share is None else share
    assert magnitude_rigl.share(step, 100, RigLParams(interval=0.1)) == pytest.approx(expected)


def test_the_original_drops_a_half_at_first_and_goes_on_to_the_last_step() -> None:
    shares = {step: magnitude_rigl.share(step, 3000, RigLParams(compat="smc-bench")) for step in range(3000)}
    updates = {step: share for step, share in shares.items() if share}
    assert list(updates) == [500, 1000, 1500, 2000, 2500]
    assert updates[500] == pytest.approx(0.005 + 0.495 * 0.5 * (1 + math.cos(math.pi / 6)))
    assert updates[500] == pytest.approx(0.467, abs=1e-3)


class Watched:
    """A dynamic pruner whose every update is written down."""

    def __init__(self, hooks) -> None:
        self.hooks, self.updates = hooks, []
        self.phase, self.params = hooks.phase, hooks.params

    @hookimpl
    def compute_scores(self, model, context):
        return self.hooks.compute_scores(model, context)

    @hookimpl
    def update_mask(self, model, mask, context):
        new = self.hooks.update_mask(model, mask, context)
        if new is not None:
            gradients = {name: parameter.grad.clone() for name, parameter in context.prunable(model)}
            self.updates.append((context.step, {name: kept.clone() for name, kept in mask.items()}, new, gradients))
        return new


@pytest.mark.parametrize(
    ("hooks", "params"),
    [
        (magnitude_rigl, RigLParams()),
        (random_rigl, RigLParams()),
        (snip_rigl, SnipRigLParams()),
        (SparseEvolution(), UpdateParams()),
    ],
)
def test_in_training_every_tensor_keeps_its_count_at_each_update(trajectory, hooks, params) -> None:
    watched = Watched(hooks)
    measured = trajectory(watched, [0.75], params=params).measure(0.75)
    assert measured.realised == 0.75
    assert [step for step, *_ in watched.updates] == [
        step for step in range(60) if is_update(step, 60, params.interval, params.end)
    ]
    changed = 0
    for _, old, new, _ in watched.updates:
        for name in old:
            assert int(old[name].sum()) == int(new[name].sum())
            changed += int((old[name] != new[name]).sum())
    assert changed > 0


def test_in_training_rigl_grows_the_largest_gradients_of_all_inactive_weights(trajectory) -> None:
    watched = Watched(random_rigl)
    trajectory(watched, [0.75], params=RigLParams()).measure(0.75)
    for _, old, new, gradients in watched.updates:
        for name in old:
            grown, idle = new[name] & ~old[name], ~new[name] & ~old[name]
            if grown.any() and idle.any():
                assert gradients[name][grown].abs().min() >= gradients[name][idle].abs().max()


@pytest.mark.parametrize("pattern", [NofM(1, 2), NofM(2, 4), Block(2, 2), Block(1, 4)])
@pytest.mark.parametrize(("hooks", "params"), [(magnitude_rigl, RigLParams()), (SparseEvolution(), UpdateParams())])
def test_updates_keep_to_a_pattern_and_move_something(trajectory, hooks, params, pattern) -> None:
    watched = Watched(hooks)
    walk = trajectory(watched, [0.5], params=params, structure=Structure(pattern=pattern))
    assert walk.measure(0.5).realised == pytest.approx(0.5, abs=0.05)
    assert all(broken(new, pattern) is None for _, _, new, _ in watched.updates)
    assert any((old[name] != new[name]).any() for _, old, new, _ in watched.updates for name in old)


@hookimpl
def half_of_each_row(model, mask, context):
    return {name: torch.arange(kept.shape[1]).expand_as(kept) < kept.shape[1] // 2 for name, kept in mask.items()}


def test_updates_that_break_a_pattern_are_an_error(trajectory) -> None:
    hooks = pruner_of("before", compute_scores=magnitude_rigl.compute_scores, update_mask=half_of_each_row)
    walk = trajectory(hooks, [0.5], params=RigLParams(), structure=Structure(pattern=NofM(1, 2)))
    with pytest.raises(PluginError, match="is not 1:2 at the end of the plan"):
        walk.measure(0.5)


def test_set_grows_anywhere_whatever_the_gradients(trajectory) -> None:
    watched = Watched(SparseEvolution())
    trajectory(watched, [0.75], params=UpdateParams()).measure(0.75)
    ranks = []
    for _, old, new, gradients in watched.updates:
        grown, idle = new["0.weight"] & ~old["0.weight"], ~new["0.weight"] & ~old["0.weight"]
        sizes = gradients["0.weight"].abs()
        smaller, equal = (compare(sizes[grown].unsqueeze(1), sizes[idle]).double() for compare in (torch.gt, torch.eq))
        ranks += (smaller + equal / 2).mean(1).tolist()  # many gradients are zero, behind a unit that is off
    # uniform on [0, 1]: mean 1/2, standard deviation 0.29 over the root of their number
    assert len(ranks) > 40 and abs(sum(ranks) / len(ranks) - 0.5) < 4 * 0.29 / len(ranks) ** 0.5


def test_set_starts_from_a_random_mask() -> None:
    talk, model = talk_of(SparseEvolution())
    model[0].weight.data.copy_(torch.arange(96.0).view(16, 6))
    kept = mask_of(talk, model, 0.5)["0.weight"].flatten()
    assert 0.3 < float(kept[:48].double().mean()) / float(kept.double().mean()) / 2 < 0.7


def test_the_first_mask_is_that_of_the_pruner_it_starts_from() -> None:
    ours = mask_of(*talk_of(snip_rigl), 0.7)
    theirs = mask_of(*talk_of(snip), 0.7)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("settings", [{"drop": "1.5"}, {"interval": "0"}, {"compat": "smc-bench", "end": "0.5"}])
def test_values_that_make_no_sense_are_one_line(settings) -> None:
    with pytest.raises(UsageError, match="rigl: .* given; .* would work|rigl: compat=smc-bench has end=1.0"):
        build(RigLParams, settings, "rigl")
