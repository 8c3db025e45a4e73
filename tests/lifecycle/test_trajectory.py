"""Trajectories: exact levels, shared work, enforced masks, contained faults."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from smc_harness import Outcomes, Prune, Recipe, Rewind, Selection, Train, hookimpl
from smc_harness.declarations.structure import NofM, Structure
from smc_harness.errors import LeakError, PluginError
from smc_harness.lifecycle.trajectory import InapplicableError, Trajectory
from tests.toys import pruner_of

Make = Callable[..., Trajectory]


@hookimpl
def magnitude(model, context):
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


@pytest.mark.parametrize("phase", ["before", "after", "during"])
@pytest.mark.parametrize("level", [0.0, 0.3, 0.893])
def test_realised_is_the_exact_count(trajectory: Make, phase: str, level: float) -> None:
    measured = trajectory(pruner_of(phase, compute_scores=magnitude), (level,)).measure(level)
    assert measured.realised == int(level * 128 + 0.5) / 128
    assert measured.n == 160


def test_iterative_pruning_lands_on_its_own_ladder(trajectory: Make) -> None:
    measured = trajectory(pruner_of("iterative", compute_scores=magnitude), (0.59,)).measure(0.59)
    assert measured.realised == int((1 - 0.8**4) * 128 + 0.5) / 128


def test_pruned_weights_are_zero_in_the_end_and_others_are_not(trajectory: Make) -> None:
    walk = trajectory(pruner_of("after", compute_scores=magnitude))
    walk.measure(0.5)
    model, now = walk._live()
    assert now.mask is not None
    for name, parameter in walk.talk.prunable(model):
        assert torch.equal(parameter != 0, now.mask[name])


def test_a_level_has_the_same_value_whatever_other_levels_are_asked(trajectory: Make) -> None:
    pruner = pruner_of("iterative", compute_scores=magnitude)
    alone = trajectory(pruner, (0.488,), store="one").measure(0.488)
    several = trajectory(pruner, (0.2, 0.36, 0.488, 0.6), store="two")
    for level in (0.6, 0.2, 0.36):
        several.measure(level)
    again = several.measure(0.488)
    assert (alone.value, alone.densities) == (again.value, again.densities)


def test_the_dense_training_is_done_once_for_all(trajectory: Make, toy_module) -> None:
    steps = []
    loss = toy_module.compute_loss

    @hookimpl
    def counting(model, batch, context):
        steps.append(context.name)
        return loss(model, batch, context)

    toy_module.compute_loss = counting
    dense = trajectory().measure(None)
    assert (dense.steps, len(steps)) == (60, 60)
    after = trajectory(pruner_of("after", compute_scores=magnitude), (0.2, 0.5))
    assert after.measure(0.2).steps == after.measure(0.5).steps == 20
    assert len(steps) == 100


def test_one_scoring_serves_all_levels_of_a_one_shot_pruner(trajectory: Make) -> None:
    calls = []

    @hookimpl
    def compute_scores(model, context):
        calls.append(1)
        return magnitude(model, context)

    walk = trajectory(pruner_of("before", compute_scores=compute_scores), (0.2, 0.5, 0.8))
    for level in (0.2, 0.5, 0.8):
        walk.measure(level)
    assert len(calls) == 1


def test_a_failed_scoring_is_not_tried_again_for_the_next_level(trajectory: Make) -> None:
    calls = []

    @hookimpl
    def compute_scores(model, context):
        calls.append(1)
        raise RuntimeError("no luck")

    walk = trajectory(pruner_of("after", compute_scores=compute_scores), (0.2, 0.5))
    for level in (0.2, 0.5):
        with pytest.raises(RuntimeError, match="no luck"):
            walk.measure(level)
    assert len(calls) == 1


def test_rewinding_gives_the_surviving_weights_their_start_values(trajectory: Make) -> None:
    seen = {}

    @hookimpl
    def plan(level):
        return [Train(), Prune(level), Rewind(0.0), Prune(level)]

    @hookimpl
    def compute_scores(model, context):
        seen[context.mask is not None] = {n: p.detach().clone() for n, p in context.prunable(model)}
        return magnitude(model, context)

    walk = trajectory(pruner_of("after", plan=plan, compute_scores=compute_scores))
    walk.measure(0.5)
    start = dict(trajectory(store="other").talk.build_model().named_parameters())
    _, now = walk._live()
    for name, rewound in seen[True].items():
        assert torch.equal(rewound, start[name] * now.mask[name])
        assert not torch.equal(rewound, seen[False][name])


def test_rewinding_to_a_fraction_gives_the_values_the_dense_training_had_there(trajectory: Make) -> None:
    seen = {}

    def plan_of(*stages):
        @hookimpl
        def plan(level):
            return list(stages)

        return plan

    @hookimpl
    def record(model, context):
        seen[len(seen)] = {n: p.detach().clone() for n, p in context.prunable(model)}
        return magnitude(model, context)

    early = pruner_of("after", plan=plan_of(Train(until=0.5), Prune(0.5)), compute_scores=record)
    trajectory(early, store="a").measure(0.5)
    late = pruner_of(
        "after", plan=plan_of(Train(), Prune(0.5), Rewind(0.5), Prune(0.5), Train()), compute_scores=record
    )
    measured = trajectory(late, store="b").measure(0.5)
    at_half, _, rewound = seen[0], seen[1], seen[2]
    assert all(torch.equal(rewound[name], at_half[name] * (rewound[name] != 0)) for name in at_half)
    assert measured.steps == 60 + 30 + 30


def test_a_training_in_two_parts_equals_one_in_a_single_part(trajectory: Make) -> None:
    @hookimpl
    def halves(level):
        return [Train(until=0.3), Train(until=1.0), Prune(level)]

    @hookimpl
    def whole(level):
        return [Train(), Prune(level)]

    one = trajectory(pruner_of("after", plan=whole, compute_scores=magnitude), store="a")
    two = trajectory(pruner_of("after", plan=halves, compute_scores=magnitude), store="b")
    one.measure(0.5), two.measure(0.5)
    left, right = one._live()[0].state_dict(), two._live()[0].state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_a_resumed_trajectory_equals_an_undisturbed_one(trajectory: Make) -> None:
    pruner = pruner_of("iterative", compute_scores=magnitude)
    levels = (0.2, 0.36, 0.488)
    undisturbed = trajectory(pruner, levels, store="a")
    expected = [undisturbed.measure(level).value for level in levels]
    first = trajectory(pruner, levels, store="b")
    first.measure(0.2), first.measure(0.36)
    resumed = trajectory(pruner, levels, store="b")
    again = resumed.measure(0.488)
    assert again.value == expected[2]
    assert again.steps == 60


def test_a_weight_that_a_plugin_moves_off_zero_is_an_error_that_names_the_tensor(trajectory: Make) -> None:
    @hookimpl
    def update_mask(model, context):
        with torch.no_grad():
            model[3].weight.add_(0.01)

    walk = trajectory(pruner_of("before", compute_scores=magnitude, update_mask=update_mask))
    with pytest.raises(LeakError, match=r"'3.weight' are not zero at training step 59"):
        walk.measure(0.5)


def test_a_weight_moved_during_evaluation_is_an_error(trajectory: Make, toy_module) -> None:
    evaluate = toy_module.evaluate

    @hookimpl
    def leaking(model, split, context):
        model[0].weight.data.fill_(1.0)
        return evaluate(model, split, context)

    toy_module.evaluate = leaking
    with pytest.raises(LeakError, match=r"'0.weight' are not zero after evaluation"):
        trajectory(pruner_of("before", compute_scores=magnitude)).measure(0.5)


def test_a_weight_moved_by_a_forward_hook_left_behind_does_not_survive_scoring(trajectory: Make) -> None:
    @hookimpl
    def compute_scores(model, context):
        model[0].register_forward_pre_hook(lambda module, _: module.weight.data.fill_(1.0))
        return magnitude(model, context)

    measured = trajectory(pruner_of("after", compute_scores=compute_scores)).measure(0.5)
    assert measured.realised == 0.5


def test_scores_of_none_are_an_error(trajectory: Make) -> None:
    @hookimpl
    def compute_scores(model):
        return None

    with pytest.raises(PluginError, match="mine: compute_scores returned None"):
        trajectory(pruner_of("after", compute_scores=compute_scores)).measure(0.5)


def test_a_pruner_may_choose_its_own_mask_and_move_surviving_weights(trajectory: Make) -> None:
    @hookimpl
    def apply_mask(model, level, context):
        mask = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in context.prunable(model)}
        mask["3.weight"][:] = True
        model[3].weight.data.mul_(2.0)
        return mask

    @hookimpl
    def plan(level):
        return [Prune(level)]

    walk = trajectory(pruner_of("before", plan=plan, apply_mask=apply_mask))
    measured = walk.measure(0.5)
    start = dict(trajectory(store="other").talk.build_model().named_parameters())
    assert torch.equal(walk._live()[0][3].weight, 2.0 * start["3.weight"])
    assert measured.densities == {"0.weight": 0.0, "3.weight": 1.0}
    assert measured.diagnosis[0].startswith("predicts one class for 160 of 160")
    assert measured.diagnosis[1:] == ["0.weight is 100 % pruned"]


def test_a_regrown_weight_starts_at_zero_and_is_trained(trajectory: Make) -> None:
    at_growth = {}

    @hookimpl
    def update_mask(model, mask, context):
        if context.step == 30:
            dead = ~mask["0.weight"]
            at_growth["gradient"] = model[0].weight.grad[dead].abs().sum()
            at_growth["weight"] = model[0].weight[dead].abs().sum()
            return {name: torch.ones_like(tensor) for name, tensor in mask.items()}
        return None

    walk = trajectory(pruner_of("before", compute_scores=magnitude, update_mask=update_mask))
    measured = walk.measure(0.5)
    assert at_growth["gradient"] > 0 and at_growth["weight"] == 0
    assert measured.realised == 0.0
    assert bool((walk._live()[0][0].weight != 0).all())


def test_the_state_of_a_plugin_goes_with_the_trajectory(trajectory: Make) -> None:
    @hookimpl
    def plan(level):
        return [Train(until=0.5, prune=lambda fraction: 0.0), Prune(level), Train()]

    @hookimpl
    def update_mask(context):
        context.state["steps"] = context.state.get("steps", torch.zeros(())) + 1

    @hookimpl
    def compute_scores(model, context):
        context.log("steps", float(context.state["steps"]))
        return magnitude(model, context)

    pruner = pruner_of("during", plan=plan, compute_scores=compute_scores, update_mask=update_mask)
    assert trajectory(pruner).measure(0.5).logged == {"steps": 30.0}


def test_a_pruner_of_linear_layers_is_not_applicable_to_a_scope_with_others(trajectory: Make, toy_module) -> None:
    from torch import nn

    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(2, 2), nn.Linear(2, 2)

    toy_module.prepare_model = hookimpl(lambda context: Embedded())
    pruner = SimpleNamespace(phase="before", prunes="linear", compute_scores=magnitude)
    with pytest.raises(InapplicableError, match=r"mine prunes linear layers only; scope 'paper' also has 'embedding"):
        trajectory(pruner).measure(0.5)


def test_a_loss_that_is_not_finite_is_an_error(trajectory: Make, toy_module) -> None:
    toy_module.compute_loss = hookimpl(lambda model, batch: next(model.parameters()).sum() * float("nan"))
    with pytest.raises(PluginError, match="toy: the training loss is nan at step 0"):
        trajectory().measure(None)


def test_a_session_plugin_may_wrap_the_hooks_of_tasks_and_pruners(trajectory: Make) -> None:
    heard = []

    class Listener:
        @hookimpl(wrapper=True)
        def compute_scores(self, context):
            scores = yield
            heard.append((context.name, sorted(scores)))
            return scores

        @hookimpl(wrapper=True)
        def evaluate(self, split):
            outcomes = yield
            heard.append(split)
            return outcomes

    trajectory(pruner_of("before", compute_scores=magnitude), listeners=[Listener()]).measure(0.5)
    assert heard == [("mine", ["0.weight", "3.weight"]), "test"]


@hookimpl
def chooses_itself(scores, level):
    return {name: tensor > tensor.median() for name, tensor in scores.items()}


@hookimpl
def asks_the_harness(scores, level, context):
    return context.select(scores, level)


def test_a_pruner_is_pruned_under_its_allocation(trajectory) -> None:
    measured = trajectory(pruner_of(compute_scores=magnitude), structure=Structure("uniform")).measure(0.5)
    assert measured.densities == {"0.weight": 0.5, "3.weight": 0.5}


def test_a_pattern_holds_at_the_end_and_its_level_is_exact(trajectory) -> None:
    # rows of six: two of the first four go, and one of the last two
    walk = trajectory(pruner_of(compute_scores=magnitude), structure=Structure(pattern=NofM(1, 2)))
    assert walk.measure(0.5).realised == 0.5


def test_an_apply_mask_of_its_own_has_an_allocation_by_asking_for_it(trajectory) -> None:
    hooks = pruner_of(compute_scores=magnitude, apply_mask=asks_the_harness)
    measured = trajectory(hooks, structure=Structure("uniform")).measure(0.5)
    assert measured.densities == {"0.weight": 0.5, "3.weight": 0.5}


def test_an_allocation_that_would_have_no_effect_is_an_error(trajectory) -> None:
    walk = trajectory(pruner_of(compute_scores=magnitude, apply_mask=chooses_itself), structure=Structure("erk"))
    with pytest.raises(PluginError, match=r"so erk has no effect; context.select\(scores, level\) there would work"):
        walk.measure(0.5)


def test_an_unknown_way_to_treat_dead_weights_is_refused(trajectory) -> None:
    hooks = pruner_of("before", compute_scores=magnitude, plan=hookimpl(lambda level: [Prune(level), Train(dead="x")]))
    with pytest.raises(PluginError, match="dead may be 'masked', 'unmasked', 'kept'"):
        trajectory(hooks)


def test_the_output_layers_that_the_task_names_are_diagnosed(trajectory, toy_module) -> None:
    toy_module.head = ("3.*",)
    hooks = pruner_of(
        compute_scores=hookimpl(
            lambda model, context: {n: p.detach().abs() - float(n == "3.weight") for n, p in context.prunable(model)}
        )
    )
    found = trajectory(hooks, [0.25], task=toy_module).measure(0.25).diagnosis
    assert "output layer 3.weight is 100 % pruned" in found


# -- values that are kept -----------------------------------------------------------------------------------------


@hookimpl
def kept_magnitude(model, context):
    return {name: values.abs() for name, values in context.unmasked(model)}


@hookimpl
def with_regrowth(scores, level, context):
    return context.select(scores, level, regrow=True)


def rising(fraction: float) -> float:
    return 0.3 if fraction < 0.5 else 0.6


def regrowing(*stages, **hooks):
    plan = hookimpl(lambda level: list(stages))
    return pruner_of("during", compute_scores=kept_magnitude, apply_mask=with_regrowth, plan=plan, **hooks)


def test_values_of_pruned_weights_are_seen_in_scoring_without_an_update_mask(trajectory) -> None:
    seen = []

    @hookimpl
    def watched(model, context):
        seen.append({name: values.clone() for name, values in context.unmasked(model)})
        return {name: values.abs() for name, values in context.unmasked(model)}

    hooks = regrowing(Train(prune=rising, dead="kept"))
    hooks.compute_scores = watched
    trajectory(hooks, [0.6]).measure(0.6)
    assert len(seen) == 2 and all(bool(values.all()) for values in seen[1].values())


def test_kept_values_of_one_level_are_not_seen_by_the_next(trajectory) -> None:
    @hookimpl
    def plan(level):
        return [Train(prune=lambda fraction: level * fraction, dead="kept")]

    hooks = regrowing()
    hooks.plan = plan
    both = trajectory(hooks, [0.3, 0.5], store="a")
    both.measure(0.3)
    alone = trajectory(hooks, [0.3, 0.5], store="b")
    assert both.measure(0.5).value == alone.measure(0.5).value


def test_a_training_that_keeps_values_does_not_meet_the_state_of_one_that_does_not(trajectory) -> None:
    """Both begin with the same half of a dense training; while nothing is pruned, there is nothing to be kept."""
    keeping = regrowing(Train(until=0.5, dead="kept"), Train(prune=rising, dead="kept"))
    masked = pruner_of(
        "during", compute_scores=magnitude, plan=hookimpl(lambda level: [Train(0.5), Train(prune=rising)])
    )
    cold = trajectory(keeping, [0.6], store="cold", name="keeping").measure(0.6)
    trajectory(masked, [0.6], store="warm", name="masked").measure(0.6)
    assert trajectory(keeping, [0.6], store="warm", name="keeping").measure(0.6).value == cold.value


def test_kept_values_are_left_behind_by_a_stage_that_does_not_keep_them(trajectory) -> None:
    everything = hookimpl(lambda mask: {name: torch.ones_like(kept) for name, kept in mask.items()})

    def measured(first: str, store: str) -> float:
        plan = hookimpl(lambda level: [Train(until=0.5, dead=first), Prune(level), Train()])
        hooks = pruner_of("after", compute_scores=magnitude, plan=plan, update_mask=everything)
        return trajectory(hooks, store=store).measure(0.5).value

    assert measured("kept", "a") == measured("masked", "b")


def test_kept_values_are_not_seen_in_a_stage_that_does_not_keep_them(trajectory) -> None:
    seen = []

    @hookimpl
    def watched(model, mask, context):
        values = dict(context.unmasked(model))
        seen.append(sum(int(values[name][~mask[name]].count_nonzero()) for name in mask))

    plan = hookimpl(lambda level: [Train(until=0.5, prune=rising, dead="kept"), Train(dead="masked")])
    hooks = pruner_of("during", compute_scores=magnitude, plan=plan, update_mask=watched)
    trajectory(hooks, [0.6]).measure(0.6)
    assert seen[20] == 38 and seen[-1] == 0  # 38 of 128 weights are 30 %


@pytest.mark.parametrize("dead", ["unmasked", "kept"])
@pytest.mark.parametrize("scheduled", [False, True])
def test_what_becomes_of_dead_weights_is_part_of_the_key(trajectory, dead, scheduled) -> None:
    def key(dead: str) -> str:
        stages = [Train(prune=rising, dead=dead)] if scheduled else [Prune(0.5), Train(dead=dead)]
        walk = trajectory(pruner_of("before", compute_scores=magnitude, plan=hookimpl(lambda level: stages)))
        return walk._chain(walk.plan(0.5), 0.5)[-1]

    assert key("masked") != key(dead)


@pytest.mark.parametrize("rung", [0.735, 0.7378, 0.7385])
def test_a_rung_beside_the_level_of_a_pattern_stands_for_the_whole_pattern(trajectory, rung) -> None:
    hooks = pruner_of(compute_scores=magnitude, plan=hookimpl(lambda level: [Train(), Prune(rung), Train()]))
    pattern = NofM(5, 19)  # 0.7368
    assert trajectory(hooks, [pattern.level], structure=Structure(pattern=pattern)).measure(pattern.level)


@pytest.mark.parametrize(
    "plan",
    [
        [Train(until=0.5), Prune(0.5), Train()],
        [Train(), Prune(0.5), Rewind(to=0.5), Train()],
    ],
    ids=["pruned", "rewound"],
)
def test_the_best_weights_from_before_a_pruning_do_not_count(trajectory: Make, toy_module, plan) -> None:
    falling = iter(range(100, 0, -1))

    @hookimpl
    def recipe(context):
        return Recipe(20, 32, lambda groups: torch.optim.SGD(groups, lr=0.01), selection=Selection("test", 5))

    @hookimpl
    def evaluate(model, split, context):
        return Outcomes(torch.full((len(context.data[split]),), next(falling) / 100))

    toy_module.recipe, toy_module.evaluate = recipe, evaluate

    @hookimpl(specname="plan")
    def staged(level):
        return plan

    measured = trajectory(pruner_of(plan=staged, compute_scores=magnitude)).measure(0.5)
    assert measured.realised == 0.5
