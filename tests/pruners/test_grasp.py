"""GraSP's scores against derivatives that are not computed by its own code."""

from __future__ import annotations

import pytest
import torch
from smc_pruners import grasp
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from smc_harness import hookimpl
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.tasks.conversing import SMALL
from tests.toys import plugin, toy_task


def talk_of(task, batches: int = 1) -> Conversation:
    return Conversation(
        plugin("task", "toy", task), plugin("pruner", "grasp", grasp, grasp.Params(batches)), [], RunOptions(), 0
    )


def smooth_task():
    """The toy in float64, with a smooth activation and no dropout."""
    task = toy_task()
    collate = task.collate
    task.prepare_model = hookimpl(
        lambda context: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2, bias=False)).double()
    )
    task.collate = hookimpl(lambda examples, context: {k: _wide(v) for k, v in collate(examples, context).items()})
    return task


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def quadratic_task(matrix: Tensor, offset: Tensor):
    """A loss w A w / 2 - b w of one row of weights, whatever the batch."""
    task = toy_task()
    task.prepare_model = hookimpl(lambda context: nn.Linear(len(offset), 1, bias=False))

    @hookimpl
    def compute_loss(model, batch, context):
        row = model.weight[0]
        return row @ matrix @ row / 2 - offset @ row

    task.compute_loss = compute_loss
    return task


def test_the_score_is_the_slope_of_half_the_squared_gradient_norm_in_a_factor_on_the_weight() -> None:
    talk = talk_of(smooth_task(), batches=3)
    model = talk.build_model()
    scores = compute_scores(talk, model)
    batches = list(talk.pruner.batches("train", 3 * 32))
    prunable = [model[0].weight, model[2].weight]

    def flow_at(weight: nn.Parameter, index: tuple[int, int], factor: float) -> float:
        kept = weight.data[index].item()
        weight.data[index] = kept * factor
        loss = sum(cross_entropy(model(batch["x"]), batch["y"]) for batch in batches) / 3
        norm = sum(gradient.square().sum().item() for gradient in torch.autograd.grad(loss, prunable))
        weight.data[index] = kept
        return norm / 2

    step = 1e-5
    for name, index in [("0.weight", (0, 0)), ("0.weight", (7, 3)), ("2.weight", (1, 5)), ("2.weight", (0, 7))]:
        weight = dict(model.named_parameters())[name]
        slope = (flow_at(weight, index, 1 + step) - flow_at(weight, index, 1 - step)) / (2 * step)
        assert scores[name][index].item() == pytest.approx(slope, rel=1e-6, abs=1e-12)


def test_on_a_quadratic_loss_the_score_is_what_pen_and_paper_say() -> None:
    """With A = [[2, 1], [1, 3]], b = (1, 0), w = (1, -2): g = Aw - b = (-1, -5), Hg = Ag = (-7, -16)."""
    talk = talk_of(quadratic_task(torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([1.0, 0.0])), batches=4)
    model = talk.build_model()
    model.weight.data = torch.tensor([[1.0, -2.0]])
    assert compute_scores(talk, model)["weight"].tolist() == [[-7.0, 32.0]]


def test_a_loss_without_curvature_scores_every_weight_zero() -> None:
    task = quadratic_task(torch.zeros(2, 2), torch.zeros(2))
    task.compute_loss = hookimpl(lambda model, batch, context: model.weight.sum())
    talk = talk_of(task)
    assert compute_scores(talk, talk.build_model())["weight"].tolist() == [[0.0, 0.0]]


def test_a_tensor_outside_the_graph_scores_zero() -> None:
    talk = talk_of(toy_task())
    model = talk.build_model()
    model.register_parameter("unused", nn.Parameter(torch.ones(2, 2)))
    talk._names.append("unused")
    assert compute_scores(talk, model)["unused"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_both_passes_read_the_same_batches() -> None:
    talk = talk_of(toy_task(), batches=2)
    model = talk.build_model()
    seen = []
    collate = talk.collate
    talk.collate = lambda examples: seen.append([label for _, label in examples]) or collate(examples)
    compute_scores(talk, model)
    assert [len(labels) for labels in seen] == [32] * 4
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_mini_task_can_be_scored(name: str) -> None:
    texts = {key: str(value) for key, value in SMALL[name].items()}
    task = load(discover().installed["task"][name], texts)
    talk = Conversation(task, plugin("pruner", "grasp", grasp, grasp.Params(batches=2)), (), RunOptions(), 0)
    scores = compute_scores(talk, talk.build_model())
    assert all(torch.isfinite(tensor).all() for tensor in scores.values())
    assert sum(int(tensor.count_nonzero()) for tensor in scores.values()) > 0


FLAGS = ("enabled", "deterministic", "allow_tf32")


def _switches() -> list[object]:
    cuda = torch.backends.cuda
    return [
        *(getattr(library, name) for library in (torch.backends.mkldnn, torch.backends.cudnn) for name in FLAGS),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
        torch.get_float32_matmul_precision(),
    ]


def test_global_switches_are_as_before_even_where_the_loss_fails() -> None:
    task = toy_task()
    seen = []

    @hookimpl
    def compute_loss(model, batch, context):
        seen.append(torch.backends.mkldnn.enabled)
        raise RuntimeError("no loss")

    task.compute_loss = compute_loss
    talk = talk_of(task)
    model = talk.build_model()
    before = _switches()
    with pytest.raises(RuntimeError, match="no loss"):
        compute_scores(talk, model)
    assert seen == [False]
    assert _switches() == before


def test_at_least_one_batch_is_needed() -> None:
    with pytest.raises(UsageError, match="batches=0 given; a number of at least 1 would work"):
        grasp.Params(batches=0)
