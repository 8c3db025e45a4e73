"""Tiny plugins for tests."""

from __future__ import annotations

from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

from smc_harness.declarations.structure import Structure
from smc_harness.discovery.loading import Locator, Plugin

TOY_TASK = '''
"""Two well separated clouds; a two-layer perceptron; trained in a second or less."""
from smc_harness import Outcomes, Recipe, hookimpl

name = "toy"
training = "toy"
metric, unit, chance, higher_is_better = "accuracy", "fraction", 0.5, True
default = True

@hookimpl
def prepare_data(context):
    import torch
    draw = torch.Generator().manual_seed(7)
    features = torch.randn(480, 6, generator=draw)
    labels = (features[:, 0] * features[:, 1] > 0).long()
    rows = [(x, int(y)) for x, y in zip(features, labels)]
    return {"train": rows[:320], "test": rows[320:]}

@hookimpl
def prepare_model(context):
    from torch import nn
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))

@hookimpl
def recipe(context):
    import torch
    steps = 20 if context.retraining else 60
    return Recipe(steps=steps, batch_size=32, optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02))

@hookimpl
def collate(examples, context):
    import torch
    return {"x": torch.stack([x for x, _ in examples]), "y": torch.tensor([y for _, y in examples])}

@hookimpl
def compute_loss(model, batch, context):
    from torch.nn.functional import cross_entropy
    return cross_entropy(model(batch["x"]), batch["y"])

@hookimpl
def evaluate(model, split, context):
    import torch
    predicted, right = [], []
    for batch in context.batches(split, 64):
        guess = model(batch["x"]).argmax(1)
        predicted.append(guess)
        right.append((guess == batch["y"]).float())
    return Outcomes(torch.cat(right), predictions=torch.cat(predicted))
'''

PRUNER = """
from smc_harness import hookimpl

name = {name!r}
phase = {phase!r}

@hookimpl
def compute_scores(model, context):
    return {{n: p.detach().abs() for n, p in context.prunable(model)}}
"""


_VERSIONS = count()


def toy_task() -> ModuleType:
    """The task `toy` as a fresh module, whose hooks a test may replace."""
    module = ModuleType("toy_task")
    # an identity of its own: its data is not that of another test's toy
    module.__dict__["version"] = next(_VERSIONS)
    exec(TOY_TASK, module.__dict__)
    return module


def plugin(kind: str, name: str, hooks: Any, params: Any = None, structure: Structure | None = None) -> Plugin:
    """A loaded plugin made of any object with hooks."""
    return Plugin(kind, name, hooks, Locator(kind, name, "inline"), params=params, structure=structure or Structure())


def pruner_of(phase: str = "after", **hooks: Any) -> SimpleNamespace:
    """A pruner from functions marked with @hookimpl."""
    return SimpleNamespace(phase=phase, **hooks)
