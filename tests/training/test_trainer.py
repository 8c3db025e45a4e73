"""The training loop against a plain loop written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from smc_harness import Outcomes, Recipe, Selection, hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.recipe import LinearWarmup, StepDecay
from smc_harness.errors import PluginError
from smc_harness.training import optimizer as optimizers
from smc_harness.training.trainer import Training
from tests.toys import plugin, pruner_of, toy_task


@pytest.fixture
def task():
    return toy_task()


def talk_of(task, pruner=None, seed: int = 0) -> Conversation:
    return Conversation(
        plugin("task", "toy", task), plugin("pruner", "mine", pruner) if pruner else None, [], RunOptions(), seed
    )


def training_of(talk: Conversation, model, recipe: Recipe, **changes) -> Training:
    given = {
        "turn": 0,
        "mask": None,
        "schedule": None,
        "prune_to": lambda level: {},
        "follow_mask": False,
        "progress": lambda step, of: None,
    }
    return Training(talk, model, recipe, **(given | changes))


def half_mask(talk: Conversation, model) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {name: torch.rand(p.shape, generator=draw) < 0.5 for name, p in talk.prunable(model)}


def recipe_of(steps: int = 30, clip: float | None = 0.5, **changes) -> Recipe:
    return Recipe(
        steps=steps,
        batch_size=32,
        optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02, weight_decay=0.1),
        schedule=LinearWarmup(0.1),
        clip=clip,
        **changes,
    )


def test_masked_training_equals_a_loop_that_masks_gradients_and_moments_by_hand(task) -> None:
    talk, recipe = talk_of(task), recipe_of()
    model = talk.build_model()
    mask = half_mask(talk, model)
    reference = talk_of(task).build_model()
    training_of(talk, model, recipe, mask=mask).run(0.0, 1.0)

    # the reference: weights that are dead are not parameters of anything, only a factor on the way forward
    live = {name: p.detach().clone().requires_grad_() for name, p in reference.named_parameters()}
    factors = {name: mask.get(name, torch.ones_like(p)).float() for name, p in live.items()}
    adam = torch.optim.AdamW(live.values(), lr=0.02, weight_decay=0.1)
    reference.train()
    order = []
    for epoch in range(4):
        draw = torch.Generator().manual_seed(talk.task.seed_for("order", 0, epoch))
        shuffled = torch.randperm(320, generator=draw).tolist()
        order += [shuffled[i : i + 32] for i in range(0, 320, 32)]
    for step in range(30):
        torch.default_generator.manual_seed(talk.task.seed_for("step", 0, step))
        rows = [talk.data["train"][i] for i in order[step]]
        weights = {name: p * factors[name] for name, p in live.items()}
        logits = torch.func.functional_call(reference, weights, torch.stack([x for x, _ in rows]))
        adam.zero_grad()
        cross_entropy(logits, torch.tensor([y for _, y in rows])).backward()
        torch.nn.utils.clip_grad_norm_(live.values(), 0.5)
        adam.param_groups[0]["lr"] = 0.02 * ((step + 1) / 3 if step < 3 else (30 - step) / 27)
        adam.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), (live[name] * factors[name]).detach(), atol=1e-6, rtol=1e-5)


def test_gradients_and_moments_of_dead_weights_are_zero(task) -> None:
    talk = talk_of(task)
    model = talk.build_model()
    mask = half_mask(talk, model)
    training = training_of(talk, model, recipe_of(), mask=mask)
    training.run(0.0, 1.0)
    for name, parameter in talk.prunable(model):
        assert not parameter.grad[~mask[name]].any()
        for moment in ("exp_avg", "exp_avg_sq"):
            assert not training.optimizer.state[parameter][moment][~mask[name]].any()
        assert parameter.detach()[mask[name]].all()


def test_moments_that_exist_when_a_weight_dies_are_zeroed(task) -> None:
    talk = talk_of(task)
    model = talk.build_model()
    training = training_of(talk, model, recipe_of(clip=None))
    training.run(0.0, 0.5)
    mask = half_mask(talk, model)
    training._enforce(mask)
    for name, parameter in talk.prunable(model):
        assert not training.optimizer.state[parameter]["exp_avg"][~mask[name]].any()
        assert training.optimizer.state[parameter]["exp_avg"][mask[name]].any()


def test_data_order_and_dropout_do_not_depend_on_the_pruner(task) -> None:
    batches = []
    collate = task.collate

    @hookimpl
    def recording(examples, context):
        batch = collate(examples, context)
        batches.append((batch["x"], torch.rand(3)))
        return batch

    task.collate = recording
    for name in ("one", "two"):
        talk = Conversation(plugin("task", "toy", task), plugin("pruner", name, pruner_of()), [], RunOptions(), 0)
        training_of(talk, talk.build_model(), recipe_of(5)).run(0.0, 1.0)
    for (x, drawn), (other, drawn_too) in zip(batches[:5], batches[5:], strict=True):
        assert torch.equal(x, other) and torch.equal(drawn, drawn_too)


def test_another_seed_is_another_draw(task) -> None:
    first, second = (talk_of(task, seed=seed).build_model() for seed in (0, 1))
    assert not torch.equal(first[0].weight, second[0].weight)


def test_a_scheduled_training_prunes_upwards_and_ends_at_its_level(task) -> None:
    talk = talk_of(task)
    model = talk.build_model()
    asked = []

    def prune_to(level: float) -> dict[str, torch.Tensor]:
        asked.append(level)
        return {name: torch.arange(p.numel()).view(p.shape) >= level * p.numel() for name, p in talk.prunable(model)}

    schedule = lambda fraction: min(0.75, round(fraction * 4) / 4)  # noqa: E731
    training_of(talk, model, recipe_of(), schedule=schedule, prune_to=prune_to).run(0.0, 1.0)
    assert asked == [0.25, 0.5, 0.75]
    assert int((model[0].weight == 0).sum()) == 72


def test_selection_keeps_the_best_weights(task) -> None:
    scores = iter([0.2, 0.9, 0.5])
    kept = []

    @hookimpl
    def evaluate(model, split, context):
        from smc_harness import Outcomes

        kept.append((split, model[0].weight.detach().clone()))
        return Outcomes(torch.full((len(context.data[split]),), next(scores)))

    task.evaluate = evaluate
    task.recipe = hookimpl(lambda: recipe_of(30, selection=Selection("valid", 10)))
    talk = talk_of(task)
    model = talk.build_model()
    training_of(talk, model, recipe_of(30, selection=Selection("valid", 10))).run(0.0, 1.0)
    assert [split for split, _ in kept] == ["valid"] * 3
    assert torch.equal(model[0].weight, kept[1][1])


def test_a_valid_split_is_carved_from_train_where_the_task_has_none(task) -> None:
    task.recipe = hookimpl(lambda: recipe_of(selection=Selection("valid", 10)))
    data = talk_of(task).data
    assert (len(data["train"]), len(data["valid"]), len(data["test"])) == (288, 32, 160)
    rows = {tuple(x.tolist()) for x, _ in data["train"]}
    assert not rows & {tuple(x.tolist()) for x, _ in data["valid"]}


def test_weights_below_the_final_level_are_not_selected(task) -> None:
    evaluated = []

    @hookimpl
    def evaluate(model, split, context):
        from smc_harness import Outcomes

        evaluated.append(int((model[0].weight == 0).sum()))
        return Outcomes(torch.ones(len(context.data[split])))

    task.evaluate = evaluate
    talk = talk_of(task)
    model = talk.build_model()

    def prune_to(level: float) -> dict[str, torch.Tensor]:
        return {name: torch.arange(p.numel()).view(p.shape) >= level * p.numel() for name, p in talk.prunable(model)}

    schedule = lambda fraction: 0.5 if fraction >= 0.5 else 0.25  # noqa: E731
    training_of(talk, model, recipe_of(40, selection=Selection("test", 10)), schedule=schedule, prune_to=prune_to).run(
        0.0, 1.0
    )
    assert evaluated == [48, 48]  # at steps 30 and 40; step 20 is scored before the pruning to 0.5 takes effect


def test_packed_optimizer_state_goes_back_into_its_like() -> None:
    model = torch.nn.Linear(3, 2)
    names = {parameter: name for name, parameter in model.named_parameters()}
    first = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    first.step()
    packed = optimizers.pack(first, names)
    assert set(packed) == {f"{n}/{k}" for n in ("weight", "bias") for k in ("step", "exp_avg", "exp_avg_sq")}
    second = torch.optim.AdamW(model.parameters(), lr=0.1)
    optimizers.unpack(second, packed, names)
    for parameter in model.parameters():
        for key, value in first.state[parameter].items():
            assert torch.equal(second.state[parameter][key], value)


@pytest.mark.parametrize("fused", [True, False])
def test_the_step_count_goes_where_the_kernel_wants_it(fused: bool) -> None:
    model = torch.nn.Linear(3, 2).to("meta")
    names = {parameter: name for name, parameter in model.named_parameters()}
    packed = {"weight/step": torch.ones(()), "weight/exp_avg": torch.ones(2, 3), "bias/exp_avg": torch.ones(2)}
    optimizer = torch.optim.SGD(model.parameters())
    optimizer.param_groups[0]["fused"] = fused
    optimizers.unpack(optimizer, packed, names)
    places = {key: value.device.type for key, value in optimizer.state[model.weight].items()}
    assert places == {"step": "meta" if fused else "cpu", "exp_avg": "meta"}


def test_schedules_meet_their_closed_forms() -> None:
    warm = LinearWarmup(0.2)
    assert [warm(step, 10) for step in range(10)] == pytest.approx([0.5, 1.0, *[(10 - s) / 8 for s in range(2, 10)]])
    decay = StepDecay(every=4, factor=0.5)
    assert [decay(step, 9) for step in (0, 3, 4, 8)] == [1.0, 1.0, 0.5, 0.25]


def test_a_best_epoch_before_an_interruption_is_not_forgotten(task) -> None:
    scores = iter([0.9, 0.2, 0.5])
    task.evaluate = hookimpl(lambda model, split, context: Outcomes(torch.full((160,), next(scores))))
    talk, recipe = talk_of(task), recipe_of(30, selection=Selection("test", 10))
    model = talk.build_model()
    packed = training_of(talk, model, recipe).run(0.0, 0.5)
    best = packed["best:weights:0.weight"].clone()
    training_of(talk, model, recipe).run(0.5, 1.0, packed)
    assert torch.equal(model[0].weight, best)


def test_an_order_without_batches_is_an_error(task) -> None:
    talk = talk_of(task)
    with pytest.raises(PluginError, match="batch_order gave no batch of 320 examples"):
        training_of(talk, talk.build_model(), recipe_of(batch_order=lambda count, size, generator: [])).run(0.0, 1.0)


def test_unmasked_gradients_and_moments_of_dead_weights_live_on_and_the_weights_stay_zero(task) -> None:
    talk = talk_of(task)
    model = talk.build_model()
    mask = half_mask(talk, model)
    training = training_of(talk, model, recipe_of(10), mask=mask, dead="unmasked")
    training.run(0.0, 1.0)
    for name, parameter in talk.prunable(model):
        assert not parameter.detach()[~mask[name]].any()
        assert parameter.grad[~mask[name]].any()
        assert training.optimizer.state[parameter]["exp_avg"][~mask[name]].any()


def test_unmasked_gradients_enter_the_clipping_norm(task) -> None:
    """With plain gradient descent nothing else tells the two apart."""
    trained = {}
    for dead in ("masked", "unmasked"):
        for clip in (None, 0.05):
            talk = talk_of(task)
            model = talk.build_model()
            recipe = Recipe(5, 32, lambda groups: torch.optim.SGD(groups, lr=0.1), clip=clip)
            training_of(talk, model, recipe, mask=half_mask(talk, model), dead=dead).run(0.0, 1.0)
            trained[dead, clip] = model[0].weight.detach().clone()
    assert torch.equal(trained["masked", None], trained["unmasked", None])
    assert not torch.equal(trained["masked", 0.05], trained["unmasked", 0.05])


@hookimpl
def dies_for_three_steps(model, mask, context):
    """The first weight is dead from step 2 to step 5."""
    if context.step not in (2, 5):
        return None
    new = {name: kept.clone() for name, kept in mask.items()}
    new["0.weight"][0, 0] = context.step == 5
    return new


@pytest.mark.parametrize(("dead", "comes_back"), [("masked", False), ("kept", True)])
@pytest.mark.parametrize("pause", [None, 0.25])
def test_a_revived_weight_has_its_old_value_where_it_was_kept_and_zero_where_not(task, dead, comes_back, pause) -> None:
    pruner = pruner_of("before", update_mask=dies_for_three_steps)
    seen: list[tuple[float, float]] = []
    talk = talk_of(task, pruner)
    model = talk.build_model()
    full = {name: torch.ones_like(p, dtype=torch.bool) for name, p in talk.prunable(model)}
    recipe = Recipe(12, 32, lambda groups: torch.optim.SGD(groups, lr=0.1))

    def training(mask):
        made = training_of(talk, model, recipe, mask=mask, follow_mask=True, dead=dead)
        step = made._step

        def stepping(number, indices, final):
            before = model[0].weight[0, 0].item()
            step(number, indices, final)
            seen.append((before, model[0].weight[0, 0].item()))

        made._step = stepping
        return made

    if pause is None:
        training(full).run(0.0, 1.0)
    else:
        first = training(full)
        packed = first.run(0.0, pause)  # it stops while the weight is dead
        training(first.mask).run(pause, 1.0, packed)
    at_death = seen[2][0]
    assert seen[3] == (0.0, 0.0) and seen[4] == (0.0, 0.0)
    gradient_step = seen[5][1] - (at_death if comes_back else 0.0)
    assert abs(gradient_step) < 0.05 < abs(at_death)


def test_the_best_weights_are_given_back_as_they_were_where_values_are_kept(task) -> None:
    """The first weight is dead in the end, but alive, at another value than it died with, in the best weights."""
    scores = iter([0.9, 0.1, 0.1, 0.1])
    task.aggregate = hookimpl(lambda outcomes: next(scores))
    talk = talk_of(task, pruner_of("before", update_mask=dies_for_three_steps))
    model = talk.build_model()
    full = {name: torch.ones_like(p, dtype=torch.bool) for name, p in talk.prunable(model)}
    recipe = recipe_of(4, selection=Selection("test", 1))
    training = training_of(talk, model, recipe, mask=full, follow_mask=True, dead="kept")
    training.run(0.0, 1.0)
    value, weights, _ = training._best
    assert value == 0.9
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
