from __future__ import annotations

import pytest
import torch
from smc_pruners.snip import SnipParams, snip
from torch import nn
from torch.nn.functional import cross_entropy

from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.parameters import build
from smc_harness.errors import UsageError
from tests.pruners.pruning import talk_of


def test_equals_finite_differences_of_the_loss_in_float64() -> None:
    """|w dL/dw| is the rate at which the loss changes when the weight's factor c leaves 1 (SNIP, eq. 4)."""
    talk, model = talk_of(snip, SnipParams(batches=3))
    scores = compute_scores(talk, model)
    model.eval().double()
    batches = [(batch["x"].double(), batch["y"]) for batch in talk.pruner.batches("train", 3 * 32)]

    def loss_at(name: str, index: tuple[int, int], factor: float) -> float:
        weight = dict(model.named_parameters())[name]
        kept = weight.data[index].item()
        weight.data[index] = kept * factor
        with torch.no_grad():
            total = sum(cross_entropy(model(x), y).item() for x, y in batches)
        weight.data[index] = kept
        return total

    step = 1e-6
    for name, index in [("0.weight", (0, 0)), ("0.weight", (7, 3)), ("3.weight", (1, 5)), ("3.weight", (0, 15))]:
        slope = (loss_at(name, index, 1 + step) - loss_at(name, index, 1 - step)) / (2 * step)
        assert scores[name][index].item() == pytest.approx(abs(slope), rel=1e-3, abs=1e-6)


def test_a_tensor_outside_the_graph_scores_zero() -> None:
    talk, model = talk_of(snip, SnipParams(batches=1))
    model.register_parameter("unused", nn.Parameter(torch.ones(2, 2)))
    talk._names.append("unused")
    assert compute_scores(talk, model)["unused"].tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("params", "read"), [(SnipParams(batches=2), 2), (SnipParams(compat="smc-bench"), 1)])
def test_reads_as_many_batches_as_it_is_told(params: SnipParams, read: int) -> None:
    talk, model = talk_of(snip, params)
    lengths = []
    collate = talk.collate
    talk.collate = lambda examples: lengths.append(len(examples)) or collate(examples)
    compute_scores(talk, model)
    assert lengths == [32] * read


def test_the_original_scores_with_dropout_on() -> None:
    talk, model = talk_of(snip, SnipParams(compat="smc-bench"))
    model[2].p = 0.9
    scores = compute_scores(talk, model)
    # with 9 of 10 hidden units dropped for every example, other units carry the gradient than without
    talk_still, same = talk_of(snip, SnipParams(batches=1))
    same[2].p = 0.9
    assert not torch.allclose(scores["3.weight"], compute_scores(talk_still, same)["3.weight"])
    assert not model.training or model[2].training  # the mode is as before


def test_compat_does_not_go_with_another_number_of_batches() -> None:
    with pytest.raises(UsageError, match="snip: compat=smc-bench has batches=1; batches=4 cannot be had with it"):
        build(SnipParams, {"compat": "smc-bench", "batches": "4"}, "snip")
