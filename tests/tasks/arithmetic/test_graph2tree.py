"""Graph2Tree against a loop over nodes, and in batches against one problem at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from smc_tasks.arithmetic.batching import collate
from smc_tasks.arithmetic.expressions import is_well_formed
from smc_tasks.arithmetic.graph2tree import BRANCHES, Graph2Tree, GraphTransformer
from smc_tasks.arithmetic.graphs import CELL, COMPARISON
from smc_tasks.arithmetic.problems import Example, encode
from smc_tasks.arithmetic.words import ScratchWords
from torch import Tensor

from tests.tasks.arithmetic.test_gts import EQUATIONS, VOCABULARY, example


def with_graphs(equation: str, length: int = 9) -> Example:
    return encode(replace(example(equation, length).problem, numbers=(3.0, 4.0)), VOCABULARY, with_graphs=True)


def model_of(hidden: int = 8) -> Graph2Tree:
    torch.manual_seed(0)
    return Graph2Tree(ScratchWords(VOCABULARY.n_words, 5), len(VOCABULARY.shared), hidden=hidden).double().eval()


def by_node(layer: GraphTransformer, nodes: Tensor, graphs: Tensor) -> Tensor:
    """Section 3.3 of the paper for one problem, a node at a time: nodes [T, H], graphs [2, T, T]."""
    n = len(nodes)

    def gather(graph: Tensor, states: list[Tensor]) -> list[Tensor]:
        return [sum((graph[i, j] * states[j] for j in range(n)), torch.zeros_like(states[0])) for i in range(n)]

    parts = []
    for index, branch in enumerate(layer.branches):
        graph = graphs[0] if index < BRANCHES // 2 else graphs[1]
        inner = [torch.relu(branch.inner(state)) for state in gather(graph, list(nodes))]
        parts.append([branch.outer(state) for state in gather(graph, inner)])
    states = [nodes[i] + layer.branch_norm(torch.cat([part[i] for part in parts])) for i in range(n)]
    return torch.stack([state + layer.norm(layer.narrow(torch.relu(layer.wide(state)))) for state in states])


def test_the_graph_transformer_equals_a_loop_over_nodes() -> None:
    torch.manual_seed(1)
    layer = GraphTransformer(8, 0.0).double().eval()
    graphs = torch.rand(3, 2, 5, 5, dtype=torch.float64)
    nodes = torch.randn(3, 5, 8, dtype=torch.float64)
    expected = torch.stack([by_node(layer, nodes[i], graphs[i]) for i in range(3)])
    assert torch.allclose(layer(nodes, graphs), expected, atol=1e-12)


def test_a_problem_in_a_batch_is_what_it_is_alone() -> None:
    examples = [with_graphs(equation, 6 + 2 * index) for index, equation in enumerate(EQUATIONS)]
    model = model_of()
    together = model(collate(examples))
    alone = torch.cat([model(collate([one])) for one in examples])
    assert torch.allclose(together, alone, atol=1e-10)


@pytest.mark.parametrize("kind", [CELL, COMPARISON])
def test_either_graph_changes_what_is_read(kind: int) -> None:
    batch = collate([with_graphs(EQUATIONS[1])])
    model = model_of()
    words, _ = model.encoder(batch)
    graphs = batch["graphs"].double()
    before = model.graph(words, graphs)
    graphs[:, kind] = torch.eye(graphs.shape[-1])
    changed = (model.graph(words, graphs) - before).abs().sum(-1)[0] > 1e-3
    first, second = (int(place) for place in batch["positions"][0])
    if kind == COMPARISON:  # 4 points to 3, and nothing else points anywhere
        assert changed.nonzero().flatten().tolist() == [second]
    else:
        assert {first - 1, first, first + 1} <= set(changed.nonzero().flatten().tolist())


def test_every_prediction_is_a_well_formed_expression() -> None:
    examples = [with_graphs(equation) for equation in EQUATIONS]
    symbols, _ = model_of().predict(collate(examples), 3, VOCABULARY.longest)
    for row in symbols.tolist():
        assert is_well_formed([VOCABULARY.symbol(symbol) for symbol in row if symbol >= 0])


def test_a_width_that_the_branches_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden=6: expected a multiple of 4"):
        model_of(6)


def test_every_matrix_of_the_graph_has_a_gradient() -> None:
    model = model_of().train()
    model(collate([with_graphs(EQUATIONS[1])])).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.graph.parameters())
