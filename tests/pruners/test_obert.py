"""oBERT against brute force on losses whose gradients are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy
import pytest
import torch
from smc_pruners import obert
from torch import Tensor, nn

from smc_harness import hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import PluginError, UsageError
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts
from tests.tasks.conversing import SMALL
from tests.toys import plugin, toy_task

FIVE = obert.Params(block=5, damping=1e-3)


class Weights(nn.Module):
    """Prunable tensors `a`, `b`, ... that hold the given numbers in rows of two."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        for name, tensor in zip("abc", tensors, strict=False):
            self.register_parameter(name, nn.Parameter(tensor.clone().view(-1, 2)))


def linear_task(gradients: Tensor, tensors: Sequence[Tensor], batch_size: int = 1):
    """A loss that is linear in the weights: its gradient on an example is a row of `gradients`."""
    task = toy_task()
    recipe = task.recipe
    task.prepare_data = hookimpl(lambda context: {"train": list(gradients), "test": [gradients[0]]})
    task.prepare_model = hookimpl(lambda context: Weights(tensors))
    task.recipe = hookimpl(lambda context: replace(recipe(context), batch_size=batch_size))
    task.collate = hookimpl(lambda examples, context: torch.stack(examples))
    task.compute_loss = hookimpl(
        lambda model, batch, context: (batch @ torch.cat([tensor.flatten() for tensor in model.parameters()])).mean()
    )
    return task


def talk_of(task, params: obert.Params = FIVE) -> tuple[Conversation, Weights]:
    talk = Conversation(plugin("task", "toy", task), plugin("pruner", "obert", obert, params), [], RunOptions(), 0)
    return talk, talk.build_model()


def drawn(params: obert.Params = FIVE, dtype: torch.dtype = torch.float64) -> tuple[Conversation, Weights, Tensor]:
    """Tensors of 12 and of 6 weights, hence blocks of 5, 5, 2, 5 and 1, and 32 gradients of them."""
    draw = torch.Generator().manual_seed(3)
    gradients = torch.randn(32, 18, generator=draw, dtype=torch.float64).to(dtype)
    weights = torch.randn(18, generator=draw, dtype=torch.float64).to(dtype)
    return *talk_of(linear_task(gradients, weights.split([12, 6])), params), gradients


def prune(talk: Conversation, model: nn.Module, level: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The scores and the mask."""
    scores = compute_scores(talk, model)
    with torch.no_grad():
        return scores, obert.apply_mask(model, scores, level, talk.pruner)


def kill(talk: Conversation, model: Weights, places: Sequence[int]) -> None:
    """Prune the weights of `a` at these places beforehand."""
    talk.pruner.mask = {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in model.named_parameters()}
    talk.pruner.mask["a"].view(-1)[places] = False
    model.a.data.masked_fill_(~talk.pruner.mask["a"], 0.0)


BLOCKS = {"a": [(0, 5), (5, 10), (10, 12)], "b": [(12, 17), (17, 18)]}
"""Where the blocks of five begin and end among all weights of `drawn`."""


def fisher_of(gradients: Tensor, start: int, stop: int, damping: float = FIVE.damping) -> numpy.ndarray:
    part = gradients[:, start:stop].double().numpy()
    return damping * numpy.eye(stop - start) + part.T @ part / len(part)


def flat(model: Weights) -> numpy.ndarray:
    return numpy.concatenate([tensor.detach().double().numpy().ravel() for tensor in model.parameters()])


def growth(gradients: Tensor, moved: numpy.ndarray) -> float:
    """What the blocks of F say that the loss grows when the weights move."""
    parts = [bounds for blocks in BLOCKS.values() for bounds in blocks]
    return sum(moved[i:j] @ fisher_of(gradients, i, j) @ moved[i:j] / 2 for i, j in parts)


def least_growth(fisher: numpy.ndarray, weights: numpy.ndarray, pruned: Sequence[int]) -> numpy.ndarray:
    """The move that zeroes the pruned weights at the least growth, with one Lagrange multiplier for each of them."""
    n, rows = len(weights), numpy.eye(len(weights))[list(pruned)]
    system = numpy.block([[fisher, rows.T], [rows, numpy.zeros((len(rows), len(rows)))]])
    wanted = numpy.concatenate([numpy.zeros(n), -weights[list(pruned)]])
    return numpy.linalg.solve(system, wanted)[:n]


# -- scores -------------------------------------------------------------------------------------------------------


def test_the_state_keeps_the_mean_outer_product_of_each_block() -> None:
    talk, model, gradients = drawn()
    compute_scores(talk, model)
    assert sorted(talk.pruner.state) == ["fisher.a", "fisher.b"]
    for name, bounds in BLOCKS.items():
        for found, (i, j) in zip(talk.pruner.state[f"fisher.{name}"], bounds, strict=True):
            assert found[: j - i, : j - i].numpy() == pytest.approx(fisher_of(gradients, i, j, 0.0), rel=1e-12)
            assert not found[j - i :].any() and not found[:, j - i :].any()


def test_the_gradients_are_those_of_whole_mini_batches() -> None:
    gradients = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, -2.0], [-1.0, 4.0]])
    talk, model = talk_of(linear_task(gradients, [torch.ones(2)], batch_size=4))
    compute_scores(talk, model)
    assert talk.pruner.state["fisher.a"].tolist() == [[[4.0, 2.0], [2.0, 1.0]]]


def test_scores_equal_those_from_the_inverse_of_each_block() -> None:
    talk, model, gradients = drawn()
    scores = compute_scores(talk, model)
    found = numpy.concatenate([scores[name].numpy().ravel() for name in BLOCKS])
    weights = flat(model)
    for i, j in BLOCKS["a"] + BLOCKS["b"]:
        inverse = numpy.linalg.inv(fisher_of(gradients, i, j))
        assert found[i:j] == pytest.approx(weights[i:j] ** 2 / (2 * inverse.diagonal()), rel=1e-9)


def test_the_block_that_crosses_the_end_of_a_tensor_has_nothing_of_the_next_one() -> None:
    talk, model, gradients = drawn()
    scores = compute_scores(talk, model)
    gradients[:, 12:] *= 2.0
    again = compute_scores(talk, model)
    assert torch.equal(again["a"], scores["a"]) and (again["b"] > scores["b"]).all()


def test_a_score_is_the_least_growth_of_the_loss_when_that_weight_goes() -> None:
    talk, model, gradients = drawn()
    scores = compute_scores(talk, model)["a"].flatten()
    fisher, weights = fisher_of(gradients, 0, 5), flat(model)[:5]
    for one in range(5):
        move = least_growth(fisher, weights, [one])
        assert scores[one].item() == pytest.approx(move @ fisher @ move / 2, rel=1e-9)


def test_of_one_block_the_weight_whose_loss_costs_least_is_pruned() -> None:
    draw = torch.Generator().manual_seed(5)
    gradients = (
        torch.randn(8, 4, generator=draw, dtype=torch.float64) @ torch.diag(torch.tensor([9.0, 1, 3, 1])).double()
    )
    weights = torch.tensor([0.1, 0.5, -0.3, 0.8], dtype=torch.float64)
    talk, model = talk_of(linear_task(gradients, [weights]))
    _, mask = prune(talk, model, 0.25)
    fisher = fisher_of(gradients, 0, 4)
    moves = [least_growth(fisher, weights.numpy(), [one]) for one in range(4)]
    cheapest = min(range(4), key=lambda one: moves[one] @ fisher @ moves[one])
    assert mask["a"].flatten().logical_not().nonzero().tolist() == [[cheapest]]
    assert flat(model) == pytest.approx(weights.numpy() + moves[cheapest], rel=1e-9, abs=1e-12)


def test_blocks_of_one_weight_score_half_of_w_squared_times_the_damped_mean_square() -> None:
    """Gradients (1, 0) and (3, 2) have mean squares 5 and 2; with damping 1, F = diag(6, 3)."""
    gradients, weights = torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([2.0, -1.0])
    talk, model = talk_of(linear_task(gradients, [weights]), obert.Params(block=1, damping=1.0))
    assert compute_scores(talk, model)["a"].tolist() == [[12.0, 1.5]]


def test_without_gradients_the_order_is_that_of_magnitude() -> None:
    weights = torch.tensor([2.0, -1.0, 0.0, 4.0])
    talk, model = talk_of(linear_task(torch.zeros(3, 4), [weights]), obert.Params(damping=0.5))
    assert compute_scores(talk, model)["a"].flatten().tolist() == pytest.approx([1.0, 0.25, 0.0, 4.0])


def test_a_tensor_outside_the_graph_is_scored_as_one_without_gradients() -> None:
    talk, model, _ = drawn(replace(FIVE, damping=0.5))
    model.register_parameter("unused", nn.Parameter(torch.tensor([[2.0, -4.0]])))
    talk._names.append("unused")
    talk.loss = lambda model, batch: model.a.sum()
    assert compute_scores(talk, model)["unused"].flatten().tolist() == pytest.approx([1.0, 4.0])


def test_weights_that_are_dead_have_no_part_in_the_others_scores() -> None:
    talk, model, gradients = drawn()
    kill(talk, model, [2, 5])
    scores = compute_scores(talk, model)["a"].flatten()
    left = [0, 1, 3, 4]
    inverse = numpy.linalg.inv(fisher_of(gradients, 0, 5)[numpy.ix_(left, left)])
    assert scores[left].numpy() == pytest.approx(flat(model)[left] ** 2 / (2 * inverse.diagonal()), rel=1e-9)
    assert scores[[2, 5]].tolist() == [0.0, 0.0]


def test_no_score_is_below_that_of_the_damping_where_rounding_outweighs_it() -> None:
    """A sum of few large gradients is singular but for its damping, and in float32 has negative eigenvalues."""
    draw = torch.Generator().manual_seed(1)
    gradients, weights = 1e3 * torch.randn(2, 60, generator=draw), torch.randn(60, generator=draw)
    talk, model = talk_of(linear_task(gradients, [weights]), obert.Params(block=20))
    scores = compute_scores(talk, model)["a"].flatten()
    assert torch.linalg.eigvalsh(talk.pruner.state["fisher.a"].double()).min() < -1e-7
    assert (scores >= 1e-7 * weights.double().square() / 2 * (1 - 1e-6)).all()


@pytest.mark.parametrize(
    ("size", "most", "lengths"),
    [(4, 1024, [4, 4]), (4, 1, [4]), (10, 1024, [10]), (32, 1024, [10]), (1, 3, [1, 1, 1])],
)
def test_the_training_data_is_read_once_at_most_in_whole_mini_batches(size, most, lengths) -> None:
    talk, model = talk_of(linear_task(torch.ones(10, 2), [torch.ones(2)], size), obert.Params(gradients=most))
    seen = []
    collate = talk.collate
    talk.collate = lambda examples: seen.append(len(examples)) or collate(examples)
    compute_scores(talk, model)
    assert seen == lengths


def test_gradients_that_are_not_finite_are_an_error_that_names_the_tensor() -> None:
    talk, model, gradients = drawn()
    gradients[4, 15] = float("nan")
    with pytest.raises(PluginError, match="obert: the gradients of 'b' are not finite"):
        compute_scores(talk, model)


# -- the update ---------------------------------------------------------------------------------------------------


def test_the_pruned_weights_of_a_block_are_made_up_for_together() -> None:
    talk, model, gradients = drawn()
    before = flat(model)
    _, mask = prune(talk, model, 0.5)
    pruned = ~numpy.concatenate([mask[name].numpy().ravel() for name in BLOCKS])
    assert pruned.sum() == 9 and max(pruned[i:j].sum() for i, j in BLOCKS["a"]) > 1
    for i, j in BLOCKS["a"] + BLOCKS["b"]:
        move = least_growth(fisher_of(gradients, i, j), before[i:j], pruned[i:j].nonzero()[0])
        assert flat(model)[i:j] == pytest.approx(before[i:j] + move, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_with_the_update_the_loss_grows_less_than_without(level) -> None:
    talk, model, gradients = drawn()
    before = flat(model)
    _, mask = prune(talk, model, level)
    pruned = ~numpy.concatenate([mask[name].numpy().ravel() for name in BLOCKS])
    with_update, without = growth(gradients, flat(model) - before), growth(gradients, numpy.where(pruned, -before, 0.0))
    assert with_update < without


def test_weights_that_are_dead_stay_dead_and_move_no_other() -> None:
    talk, model, gradients = drawn()
    kill(talk, model, [2])
    before = flat(model)[:5]
    scores = compute_scores(talk, model)
    first_goes = {name: torch.ones_like(tensor) for name, tensor in scores.items()}
    first_goes["a"][0, 0] = 0.5
    with torch.no_grad():
        mask = obert.apply_mask(model, first_goes, 2 / 18, talk.pruner)
    assert mask["a"].flatten()[:5].tolist() == [False, True, False, True, True]
    left = [0, 1, 3, 4]
    move = least_growth(fisher_of(gradients, 0, 5)[numpy.ix_(left, left)], before[left], [0])
    assert flat(model)[left] == pytest.approx(before[left] + move, rel=1e-9, abs=1e-12)
    assert flat(model)[2] == 0.0


def test_nothing_moves_at_level_zero() -> None:
    talk, model, _ = drawn()
    before = flat(model)
    prune(talk, model, 0.0)
    assert (flat(model) == before).all()


@pytest.mark.parametrize("params", [replace(FIVE, update=False), replace(FIVE, block=1)])
def test_without_update_no_weight_moves_and_nothing_is_kept(params) -> None:
    talk, model, _ = drawn(params)
    before = flat(model)
    scores = compute_scores(talk, model)
    assert talk.pruner.state == {}
    obert.apply_mask(model, scores, 0.5, talk.pruner)
    assert (flat(model) == before).all()


def test_the_matrices_are_not_kept_after_the_mask() -> None:
    talk, model, _ = drawn()
    talk.pruner.state["other"] = torch.ones(1)
    prune(talk, model, 0.5)
    assert list(talk.pruner.state) == ["other"]


def test_small_chunks_give_the_same_scores_and_weights(monkeypatch) -> None:
    talk, model, _ = drawn()
    scores, _ = prune(talk, model, 0.5)
    monkeypatch.setattr(obert, "_CHUNK", 1)
    other, same = drawn()[:2]
    again, _ = prune(other, same, 0.5)
    assert all(torch.allclose(again[name], scores[name], rtol=1e-12) for name in scores)
    assert flat(same) == pytest.approx(flat(model), rel=1e-12)


def test_float32_weights_give_what_float64_weights_give() -> None:
    talk, model, _ = drawn()
    other, same, _ = drawn(dtype=torch.float32)
    scores, mask = prune(talk, model, 0.5)
    again, as_well = prune(other, same, 0.5)
    assert all(torch.allclose(again[name], scores[name], rtol=1e-4) for name in scores)
    assert all(torch.equal(as_well[name], mask[name]) for name in mask)
    assert flat(same) == pytest.approx(flat(model), rel=1e-4)


def test_an_update_beyond_the_range_of_the_weights_is_an_error_that_names_the_tensor() -> None:
    gradients, weights = torch.tensor([[1.0, 1e-2]]), torch.tensor([1e38, 1.0])
    talk, model = talk_of(linear_task(gradients, [weights]), obert.Params())
    compute_scores(talk, model)
    with torch.no_grad(), pytest.raises(PluginError, match="obert: the update of 'a' is not finite; more damping"):
        obert.apply_mask(model, {"a": torch.tensor([[0.0, 1.0]])}, 0.5, talk.pruner)


# -- in a run -----------------------------------------------------------------------------------------------------


def test_a_level_has_the_same_value_whatever_was_measured_before_it(tmp_path) -> None:
    def trajectory(store: str) -> Trajectory:
        pruner = plugin("pruner", "obert", obert, obert.Params(block=10))
        options, artifacts = RunOptions(), Artifacts(tmp_path / store)
        return Trajectory(
            plugin("task", "toy", task), pruner, [], options, 0, artifacts, lambda *_: None, levels=(0.5, 0.8)
        )

    task = toy_task()
    both, alone = trajectory("both"), trajectory("alone")
    first, second = both.measure(0.5), both.measure(0.8)
    assert (first.realised, second.realised) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.8, abs=0.01))
    assert alone.measure(0.8).value == second.value


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_mini_task_can_be_pruned(name: str) -> None:
    texts = {key: str(value) for key, value in SMALL[name].items()}
    task = load(discover().installed["task"][name], texts)
    pruner = plugin("pruner", "obert", obert, obert.Params(gradients=2))
    talk = Conversation(task, pruner, (), RunOptions(), 0)
    model = talk.build_model()
    before = {key: weight.detach().clone() for key, weight in talk.prunable(model)}
    _, mask = prune(talk, model, 0.5)
    for key, weight in talk.prunable(model):
        assert weight.isfinite().all() and not weight[~mask[key]].any()
    assert any((weight != before[key])[mask[key]].any() for key, weight in talk.prunable(model))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"block": 0}, "block=0, gradients=1024 given; numbers of at least 1 would work"),
        ({"gradients": 0}, "block=50, gradients=0 given; numbers of at least 1 would work"),
        ({"damping": 0.0}, "damping=0.0 given; a finite number above 0 would work"),
        ({"damping": float("nan")}, "damping=nan given; a finite number above 0 would work"),
        ({"damping": float("inf")}, "damping=inf given; a finite number above 0 would work"),
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong, message) -> None:
    with pytest.raises(UsageError, match=message):
        obert.Params(**wrong)


def test_the_original_is_diagonal_moves_nothing_reads_a_whole_epoch_and_has_dropout_on() -> None:
    params = obert.Params(compat="smc-bench")
    toy = toy_task()
    talk = Conversation(plugin("task", "toy", toy), plugin("pruner", "obert", obert, params), [], RunOptions(), 0)
    model = talk.build_model()
    modes, lengths = [], []
    collate = talk.collate
    talk.collate = lambda examples: lengths.append(len(examples)) or collate(examples)
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    _, mask = prune(talk, model, 0.5)
    assert sum(lengths) == 320 and modes == [True] * 10
    assert talk.pruner.state == {}
    assert sum(int(kept.sum()) for kept in mask.values()) == 63  # strictly above the 64th largest
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert {stage.dead for stage in obert.plan(0.5, talk.pruner) if hasattr(stage, "dead")} == {"unmasked"}
