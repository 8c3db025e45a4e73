"""SynFlow: the law of conservation, by hand and on every kind of layer that the tasks have."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise, product
from types import SimpleNamespace

import pytest
import torch
from smc_pruners import synflow
from smc_pruners._flow import FlowRules, synaptic_flow
from torch import Tensor, nn
from torch.nn import functional

from smc_harness import Prune, Train
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import PluginError, UsageError
from tests.tasks.conversing import SMALL
from tests.toys import plugin


def mini(name: str) -> Conversation:
    task = load(discover().installed["task"][name], {key: str(value) for key, value in SMALL[name].items()})
    pruner = plugin("pruner", "synflow", synflow, synflow.Params())
    return Conversation(task, pruner, [], RunOptions(), 0)


def flow_of(model: nn.Module, batch: object) -> dict[str, Tensor]:
    """Scores of all parameters, for the sum of the model's outputs."""
    names = [name for name, _ in model.named_parameters()]
    return synaptic_flow(model, names, batch, lambda network, given: network(given).sum())


def totals(model: nn.Module, batch: object) -> dict[str, float]:
    """{name without .weight: sum of the scores}."""
    return {name.removesuffix(".weight"): float(score.sum()) for name, score in flow_of(model, batch).items()}


def perceptron(activation: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(3, 5, bias=False), nn.Linear(5, 4, bias=False), nn.Linear(4, 2, bias=False)
    act = activation or nn.ReLU()
    return nn.Sequential(layers[0], act, layers[1], act, layers[2])


class Wired(nn.Module):
    """A perceptron whose forward pass is a function of its layers and the inputs."""

    def __init__(self, wiring: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layers, self.wiring = perceptron(), wiring

    def forward(self, inputs: Tensor) -> Tensor:
        return self.wiring(self.layers, inputs)


def under_rules(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What the function gives under the rules, and the flow out of each input."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    with FlowRules():
        value = function(*(leaf + 0 for leaf in leaves))
    gradients = torch.autograd.grad(value.sum(), leaves)
    return value.detach(), [leaf.detach() * gradient for leaf, gradient in zip(leaves, gradients, strict=True)]


# -- the plan ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounds", "level", "levels"),
    [(4, 0.9375, [0.5, 0.75, 0.875, 0.9375]), (2, 0.75, [0.5, 0.75]), (1, 0.3, [0.3]), (100, 0.0, [0.0])],
)
def test_every_round_keeps_the_same_share_of_the_rest(rounds: int, level: float, levels: list[float]) -> None:
    plan = synflow.plan(level, SimpleNamespace(params=synflow.Params(rounds)))
    assert plan == [*map(Prune, levels), Train()]


def test_a_hundred_rounds_end_exactly_at_the_level() -> None:
    plan = synflow.plan(0.893, SimpleNamespace(params=synflow.Params()))
    assert len(plan) == 101 and plan[-2:] == [Prune(0.893), Train()]


@pytest.mark.parametrize("settings", [{"rounds": 0}, {"examples": 0}])
def test_no_rounds_and_no_examples_are_usage_errors(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="from 1 on would work"):
        synflow.Params(**settings)


# -- scores of linear layers ------------------------------------------------------------------------------------


def test_the_scores_of_a_linear_chain_are_those_worked_out_by_hand() -> None:
    """Into the hidden units flow 1 + 2 = 3 and 3 + 0 = 3; out of them, times 5 and times 1, R = 15 + 3 = 18."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    model[0].weight.data = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    model[1].weight.data = torch.tensor([[-5.0, 1.0]])
    scores = flow_of(model, torch.zeros(1, 2))
    assert scores["0.weight"].tolist() == [[5.0, 10.0], [3.0, 0.0]]
    assert scores["1.weight"].tolist() == [[15.0, 3.0]]


def test_a_score_is_the_sum_over_all_paths_through_the_weight() -> None:
    model = perceptron()
    weights = [model[index].weight.detach().double().abs() for index in (0, 2, 4)]
    expected = [torch.zeros_like(weight) for weight in weights]
    for path in product(range(3), range(5), range(4), range(2)):
        steps = [(after, before) for before, after in pairwise(path)]
        flow = torch.stack([weight[step] for weight, step in zip(weights, steps, strict=True)]).prod()
        for total, step in zip(expected, steps, strict=True):
            total[step] += flow
    torch.testing.assert_close(list(flow_of(model, torch.zeros(1, 3)).values()), expected)


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.SiLU(), nn.ReLU(inplace=True)]
)
def test_every_layer_holds_the_whole_flow_and_every_unit_hands_on_what_it_gets(activation: nn.Module) -> None:
    model = perceptron(activation)
    first, second, third = flow_of(model, torch.zeros(1, 3)).values()
    torch.testing.assert_close(first.sum(1), second.sum(0))
    torch.testing.assert_close(second.sum(1), third.sum(0))
    network = copy.deepcopy(model).double().requires_grad_(False)
    for parameter in network.parameters():
        parameter.abs_()
    total = float(network(torch.ones(1, 3).double()).sum())
    assert [float(layer.sum()) for layer in (first, second, third)] == pytest.approx([total] * 3)


def test_biases_are_no_source_of_flow() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    nn.init.ones_(model[1].bias)
    before = flow_of(model, torch.zeros(1, 3))
    assert float(before["0.weight"].sum()) == pytest.approx(float(before["2.weight"].sum()))
    assert not before["0.bias"].any() and not before["1.bias"].any()


def test_a_weight_that_the_forward_pass_never_uses_scores_zero() -> None:
    scores = flow_of(Wired(lambda layers, inputs: layers[0](inputs)), torch.zeros(1, 3))
    assert scores["layers.0.weight"].any() and not scores["layers.2.weight"].any()


def test_a_pruned_weight_scores_zero_and_the_rest_still_conserve() -> None:
    model = perceptron(nn.Sigmoid())
    model[0].weight.data[:, 1:] = 0.0
    model[2].weight.data[0] = 0.0  # a unit that nothing reaches
    scores = flow_of(model, torch.zeros(1, 3))
    assert not scores["0.weight"][:, 1:].any() and not scores["2.weight"][0].any()
    torch.testing.assert_close(scores["2.weight"].sum(1)[1:], scores["4.weight"].sum(0)[1:])


# -- scores of other layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        functional.relu, torch.relu, Tensor.relu, functional.gelu, functional.silu, functional.elu, functional.mish,
        functional.leaky_relu, functional.softplus, torch.tanh, functional.tanh, Tensor.tanh, torch.sigmoid,
        Tensor.sigmoid,
        lambda x: functional.softmax(x, dim=-1), lambda x: torch.softmax(x, -1), lambda x: x.softmax(-1),
        lambda x: functional.softmax(x, dim=-1, dtype=torch.float32).to(torch.float32),
        lambda x: x * 0.5 * (1.0 + torch.erf(x / 2**0.5)),
        lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)),
        lambda x: functional.rms_norm(x, (3,)),
    ],
)  # fmt: skip
def test_a_nonlinear_function_keeps_its_value_and_hands_on_all_of_it(function: Callable[[Tensor], Tensor]) -> None:
    inputs = torch.tensor([[0.1, 2.0, 5.0]], dtype=torch.float64)
    value, (flow,) = under_rules(function, inputs)
    torch.testing.assert_close(value, function(inputs), check_dtype=False, rtol=1e-6, atol=0)
    torch.testing.assert_close(flow, value)


def test_at_zero_a_function_keeps_its_value_and_hands_on_nothing() -> None:
    value, (flow,) = under_rules(torch.sigmoid, torch.zeros(1, dtype=torch.float64))
    assert value.tolist() == [0.5] and flow.tolist() == [0.0]


def test_masked_energies_and_rows_masked_throughout_have_no_attention() -> None:
    away = float("-inf")
    energies = torch.tensor([[1.0, away, 1.0], [away, away, away]], dtype=torch.float64)
    value, _ = under_rules(lambda x: (x + energies).softmax(-1), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(value.tolist(), [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("function", [torch.mul, torch.matmul, torch.bmm, lambda a, b: a * b, lambda a, b: a @ b])
def test_the_factors_of_a_product_share_its_flow(function: Callable[..., Tensor]) -> None:
    value, flows = under_rules(function, torch.tensor([[[2.0]]]), torch.tensor([[[3.0]]]))
    assert [value.item(), *map(float, flows)] == [6.0, 3.0, 3.0]


def test_rotary_positions_turn_no_flow_negative() -> None:
    angles = torch.tensor([[0.0, 2.0, 4.0]], dtype=torch.float64)

    def turned(x: Tensor) -> Tensor:
        return x.float() * angles.cos() + torch.cat((-x[:, 1:], x[:, :1]), -1) * angles.sin()

    value, (flow,) = under_rules(turned, torch.ones(1, 3, dtype=torch.float64))
    assert (flow > 0).all() and float(flow.sum()) == pytest.approx(float(value.sum()))


def test_a_weight_matrix_that_is_multiplied_by_hand_is_a_linear_layer() -> None:
    model = Wired(lambda layers, inputs: inputs @ layers[0].weight.T @ layers[2].weight.mT @ layers[4].weight.mT)
    found = list(totals(model, torch.zeros(2, 3)).values())
    assert found == pytest.approx([found[0]] * 3)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_an_lstm_under_the_rules_computes_what_it_computes_without(
    layers: int, bidirectional: bool, batch_first: bool
) -> None:
    torch.manual_seed(0)
    model = nn.LSTM(3, 4, layers, bias=False, bidirectional=bidirectional, batch_first=batch_first).double()
    inputs = torch.rand(5, 2, 3, dtype=torch.float64)
    with FlowRules():
        states, ends = model(inputs)
    torch.testing.assert_close((states, ends), model(inputs))


class Reader(nn.Module):
    """Embedding, LSTM, linear."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.lstm, self.head = nn.Embedding(6, 3), nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(words))[0])


def test_every_unit_of_an_lstm_hands_on_what_its_four_gates_get() -> None:
    scores = flow_of(Reader(), torch.zeros(2, 5, dtype=torch.long))
    into, across = scores["lstm.weight_ih_l0"], scores["lstm.weight_hh_l0"]
    gets = (into.sum(1) + across.sum(1)).view(4, 4).sum(0)
    torch.testing.assert_close(gets, across.sum(0) + scores["head.weight"].sum(0))
    entering, _, content, leaving = (into.sum(1) + across.sum(1)).view(4, 4)
    torch.testing.assert_close(entering, content)
    torch.testing.assert_close(leaving, gets / 2)


def test_the_input_weights_of_an_lstm_hold_the_whole_flow() -> None:
    found = totals(Reader(), torch.zeros(2, 5, dtype=torch.long))
    assert found["words"] == found["lstm.weight_ih_l0"] == pytest.approx(found["head"])


class Attention(nn.Module):
    """Embedding, one block of attention with its norm, linear; eager: softmax and products written out."""

    def __init__(self, eager: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.eager, self.words, self.norm = eager, nn.Embedding(6, 4), nn.LayerNorm(4)
        self.query, self.key, self.value, self.out = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, words: Tensor) -> Tensor:
        states = self.norm(self.words(words))
        query, key, value = self.query(states), self.key(states), self.value(states)
        if self.eager:
            mixed = torch.softmax(query @ key.transpose(-1, -2) / 2, -1) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed)


@pytest.mark.parametrize("eager", [False, True])
def test_values_carry_half_of_the_flow_through_attention_queries_and_keys_a_quarter(eager: bool) -> None:
    found = totals(Attention(eager), torch.zeros(2, 5, dtype=torch.long))
    whole = found["out"]
    shares = {"words": 1.0, "norm": 1.0, "value": 0.5, "query": 0.25, "key": 0.25}
    assert {name: found[name] / whole for name in shares} == pytest.approx(shares, rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.tensor([[True, False, True]] * 3)},
        {"attn_mask": torch.tensor([[0.0, float("-inf"), 0.0]] * 3, dtype=torch.float64)},
        {"attn_mask": torch.tensor([[0.0, torch.finfo(torch.float64).min, 0.0]] * 3, dtype=torch.float64)},
        {"enable_gqa": True},
    ],
)
def test_attention_under_the_rules_computes_what_it_computes_without(settings: dict[str, object]) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.rand(1, 2, 3, 4, dtype=torch.float64) for _ in range(3))
    if settings.get("enable_gqa"):
        key, value = key[:, :1], value[:, :1]

    def attend(*parts: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(*parts, **settings)

    found, flows = under_rules(attend, query, key, value)
    torch.testing.assert_close(found, attend(query, key, value))
    shares = [float(flow.sum() / found.sum()) for flow in flows]
    assert shares == pytest.approx([0.25, 0.25, 0.5])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (functional.cross_entropy, torch.tensor([0, 2])),
        (lambda x, t, **given: functional.nll_loss(x.log_softmax(-1), t, **given), torch.tensor([0, 2])),
        (functional.binary_cross_entropy_with_logits, torch.ones(2, 3, dtype=torch.float64)),
        (functional.mse_loss, torch.ones(2, 3, dtype=torch.float64)),
    ],
)
def test_a_loss_is_the_sum_of_the_outputs_that_no_mask_took_out(
    loss: Callable[..., Tensor], target: Tensor, reduction: str
) -> None:
    mask = torch.tensor([[0.0, 0.0, float("-inf")], [0.0, -1e9, 0.0]], dtype=torch.float64)
    outputs = torch.tensor([[1.0, 2.0, 9.0], [3.0, 9.0, 4.0]], dtype=torch.float64)
    value, (flow,) = under_rules(lambda x: loss(x + mask, target, reduction=reduction), outputs)
    assert value.shape == loss(outputs, target, reduction=reduction).shape
    assert float(value.sum()) == 10.0
    assert flow.tolist() == [[1.0, 2.0, 0.0], [3.0, 0.0, 4.0]]


# -- whole tasks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_on_every_mini_task_each_prunable_tensor_has_finite_flow(name: str) -> None:
    talk = mini(name)
    model = talk.build_model()
    scores = compute_scores(talk, model)
    assert list(scores) == [name for name, _ in talk.prunable(model)]
    for tensor, score in scores.items():
        assert score.dtype == torch.float64 and score.isfinite().all(), tensor
        assert (score >= 0).all() and score.any(), tensor


@pytest.mark.parametrize("name", ["commonsense-mini", "protein-mini", "translation-mini"])
def test_scores_do_not_depend_on_the_words_and_labels(name: str) -> None:
    talk = mini(name)
    model = talk.build_model()
    names = [name for name, _ in talk.prunable(model)]
    batch = next(talk.batches_drawn("train", 2, 2))
    words = {key: torch.where(ids > 3, 4 + (ids + 1) % 5, ids) for key, ids in batch.items() if key != "labels"}
    others = words | {"labels": torch.where(batch["labels"] < 0, batch["labels"], (batch["labels"] + 1) % 4)}
    scores, again = (synaptic_flow(model, names, given, talk.loss) for given in (batch, others))
    assert not torch.equal(batch["input_ids"], others["input_ids"])
    assert all(torch.equal(scores[name], again[name]) for name in names)


def test_the_embeddings_and_the_head_of_a_transformer_hold_the_same_flow() -> None:
    talk = mini("commonsense-mini")
    found = {name: float(score.sum()) for name, score in compute_scores(talk, talk.build_model()).items()}
    embedded = sum(flow for name, flow in found.items() if ".embeddings." in name)
    # the epsilon of each norm takes no part: flow is divided by a constant, whatever it is
    assert embedded == pytest.approx(found["classifier.weight"])


def test_neither_the_model_nor_the_global_generator_is_touched() -> None:
    talk = mini("translation-mini")
    model = talk.build_model()
    before, randomness = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    compute_scores(talk, model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), randomness) and torch.get_default_dtype() == torch.float32


def test_a_tied_tensor_gets_the_flow_of_both_its_uses() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    model[1].weight = model[0].weight
    model[0].weight.data = torch.tensor([[-3.0]])
    scores = synaptic_flow(model, ["1.weight"], torch.ones(1, 1), lambda network, given: network(given).sum())
    assert scores["1.weight"].tolist() == [[18.0]]


# -- what has no rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [nn.GRU(3, 3), nn.RNN(3, 3), nn.LSTM(3, 3, proj_size=2), nn.EmbeddingBag(3, 3)])
def test_a_layer_without_a_rule_is_refused(layer: nn.Module) -> None:
    words = torch.zeros(2, 3, dtype=torch.long) if isinstance(layer, nn.EmbeddingBag) else torch.ones(2, 3)
    with pytest.raises(PluginError, match="synflow: no rule for .*; .* would work"):
        synaptic_flow(layer, [], words, lambda network, given: network(given)[0].sum())


def test_a_packed_sequence_and_fused_attention_are_refused() -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(2, 1, 3, dtype=torch.float64), [2])
    with pytest.raises(PluginError, match="a packed sequence; a padded one would work"):
        synaptic_flow(nn.LSTM(3, 3), [], None, lambda network, _: network(packed)[0].data.sum())
    with pytest.raises(PluginError, match="the fused multi_head_attention_forward"):
        synaptic_flow(nn.MultiheadAttention(4, 2), [], torch.ones(2, 4), lambda network, x: network(x, x, x)[0].sum())


def test_flow_beyond_float64_is_an_error() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)).double()
    for layer in model:
        nn.init.constant_(layer.weight, 1e150)
    with pytest.raises(PluginError, match="the flow through the model is inf"):
        flow_of(model, torch.ones(1, 1))


def test_flow_that_is_subtracted_is_an_error() -> None:
    model = Wired(lambda layers, inputs: layers[2](layers[0](inputs)) @ torch.tensor([9.0, 9.0, 9.0, -1.0]).double())
    with pytest.raises(PluginError, match=r"some flow through 'layers\.2\.weight' is negative"):
        synaptic_flow(model, ["layers.2.weight"], torch.zeros(1, 3), lambda network, given: network(given).sum())
