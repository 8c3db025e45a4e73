"""A task whose score a test can plant: every question is answered by a weight of its own."""

from __future__ import annotations

TASK = '''
"""2 000 questions, of which the dense model answers four of five; a weight that is pruned answers none."""
from smc_harness import Outcomes, Recipe, hookimpl

name = training = "memory"
metric, unit, chance, higher_is_better = "accuracy", "fraction", 0.0, True

@hookimpl
def prepare_data(context):
    return {"train": list(range(32)), "test": list(range(2000))}

@hookimpl
def prepare_model(context):
    from torch import nn
    model = nn.Linear(2000, 2, bias=False)
    nn.init.ones_(model.weight)
    return model

@hookimpl
def recipe(context):
    import torch
    return Recipe(steps=0, batch_size=32, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1))

@hookimpl
def collate(examples, context):
    import torch
    return torch.tensor(examples)

@hookimpl
def compute_loss(model, batch, context):
    return model.weight.sum()

@hookimpl
def evaluate(model, split, context):
    import torch
    answered = (model.weight[0] != 0) & (torch.arange(2000) % 5 != 0)
    return Outcomes(answered.double())
'''
"""With n=2000 and a score of 0.8."""

PRUNER = '''
from dataclasses import dataclass

from smc_harness import hookimpl

@dataclass(frozen=True)
class Params:
    lost: int = {lost}

name, phase, params = {name!r}, "after", Params

@hookimpl
def compute_scores(model, context):
    """Up to a level of one half, what nobody needs is pruned; and the first `lost` answers, each a 2 000th."""
    import torch
    scores = torch.ones(2, 2000)
    scores[1] = 0
    right = [number for number in range(2000) if number % 5 != 0]
    scores[0, right[: context.params.lost]] = -1
    return {{"weight": scores}}
'''
ERROR_RATE = (
    TASK.replace("True\n", "False\n", 1)
    .replace('"accuracy"', '"error rate"')
    .replace("chance", "floor")
    .replace("0.0, False", "0.9, False")
    .replace("answered.double()", "1 - answered.double()")
)
"""The same with a metric of which less is better."""

OWN_METRIC = (
    TASK.replace('"accuracy", "fraction"', '"own", "points"')
    + """
@hookimpl
def aggregate(outcomes, context):
    return 100 * float(outcomes.values.mean()) ** 0.5
"""
)
"""The same with a metric that is no mean, as BLEU is none."""
