"""Tasks without a fault, each with something that a careless check would take for one."""

from __future__ import annotations

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from smc_harness import Outcomes, Recipe, hookimpl
from tests.conformance.bad_tasks import Good


class Frozen(Good):
    """A layer that is left as it was drawn, and pruned."""

    name = "frozen"

    @hookimpl
    def prepare_model(self, context):
        model = super().prepare_model(context)
        model[0].requires_grad_(False)
        return model


class Clipped(Good):
    """A rate that only clipping and the schedule make a usable one."""

    name = "clipped"

    @hookimpl
    def recipe(self, context):
        return Recipe(
            steps=200,
            batch_size=16,
            optimizer=lambda groups: torch.optim.SGD(groups, lr=100.0, momentum=0.9),
            schedule=lambda step, total: 1e-4,
            clip=1.0,
        )


class Row:
    """An example without a `__dict__`."""

    __slots__ = ("label", "x")

    def __init__(self, x, label):
        self.x, self.label = x, label


class Slotted(Good):
    name = "slotted"

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        return {split: [Row(x, y) for x, y in rows] for split, rows in splits.items()}

    @hookimpl
    def collate(self, examples, context):
        return {
            "x": torch.stack([row.x for row in examples]),
            "y": torch.tensor([row.label for row in examples]),
        }


class LooksLikeAnAddress(Good):
    """Its texts are of memory."""

    name = "looks-like-an-address"

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        return {split: [(x, y, "a fault at 0x7f") for x, y in rows] for split, rows in splits.items()}

    @hookimpl
    def collate(self, examples, context):
        batch = super().collate([(x, y) for x, y, _ in examples], context)
        return {**batch, "texts": [text for *_, text in examples]}


class Masked(Good):
    """It hides some features anew whenever it collates."""

    name = "masked"

    @hookimpl
    def collate(self, examples, context):
        batch = super().collate(examples, context)
        shown = torch.rand(6) > 0.1
        return {**batch, "x": batch["x"] * shown}


class Box:
    """What a batch may hold beside tensors, such as a graph."""

    def __init__(self, features):
        self.features = features


class Boxed(Good):
    """Of its batches only the labels lie open."""

    name = "boxed"

    @hookimpl
    def collate(self, examples, context):
        batch = super().collate(examples, context)
        return {"x": Box(batch["x"]), "y": batch["y"]}

    @hookimpl
    def compute_loss(self, model, batch, context):
        return cross_entropy(model(batch["x"].features), batch["y"])

    @hookimpl
    def evaluate(self, model, split, context):
        batches = context.batches(split, 32)
        return Outcomes(torch.cat([(model(b["x"].features).argmax(1) == b["y"]).float() for b in batches]))


class Locked(Good):
    """With something in its batches that has no content to be compared."""

    name = "locked"

    @hookimpl
    def collate(self, examples, context):
        return {**super().collate(examples, context), "read": lambda: examples}


class OwnNumber(Good):
    """Its metric is a number of numpy's."""

    name = "own-number"

    @hookimpl
    def aggregate(self, outcomes, context):
        return numpy.float32(outcomes.values.mean())


class SomeInBoth(Good):
    """Real data hold some examples twice."""

    name = "some-in-both"

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        return {**splits, "train": [*splits["train"], *splits["test"][:40]]}


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.squared = nn.Parameter(torch.full((2,), 1e-4), requires_grad=False)

    def forward(self, logits):
        return logits * self.squared.sqrt()


class Rooted(Good):
    """It takes the root of a weight that is positive, and stays so."""

    name = "rooted"
    metric, unit, chance, higher_is_better = "loss", "nats", 0.7, False

    @hookimpl
    def prepare_model(self, context):
        return super().prepare_model(context).append(Scale())

    @hookimpl
    def evaluate(self, model, split, context):
        losses = [cross_entropy(model(b["x"]), b["y"], reduction="none") for b in context.batches(split, 32)]
        return Outcomes(torch.cat(losses))


class Exacting(Good):
    """Right is a row of twelve numbers, all of them, which no untrained model writes."""

    name = "exacting"
    chance = 0.0

    @hookimpl
    def prepare_data(self, context):
        draw = context.generator
        rows = [(torch.randn(6, generator=draw), torch.randint(50, (12,), generator=draw)) for _ in range(200)]
        return {"train": rows[:120], "test": rows[120:]}

    @hookimpl
    def prepare_model(self, context):
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 600), nn.Unflatten(1, (50, 12)))

    @hookimpl
    def collate(self, examples, context):
        xs, ys = zip(*examples, strict=True)
        return {"x": torch.stack(xs), "y": torch.stack(ys)}

    @hookimpl
    def compute_loss(self, model, batch, context):
        return cross_entropy(model(batch["x"]), batch["y"])

    @hookimpl
    def evaluate(self, model, split, context):
        right = [(model(batch["x"]).argmax(1) == batch["y"]).all(1) for batch in context.batches(split, 32)]
        return Outcomes(torch.cat(right).float())
