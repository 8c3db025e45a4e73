"""Tasks with one fault each. What the kit says of them is in test_bad_tasks.py."""

from __future__ import annotations

import itertools
import random
import socket
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from smc_harness import Outcomes, Recipe, hookimpl


class Good:
    """Without a fault; the others are this one with one more."""

    name = "good-task"
    description = "whether a product of two numbers is positive"
    metric, unit, chance = "accuracy", "fraction", 0.5

    @hookimpl
    def prepare_data(self, context):
        features = torch.randn(200, 6, generator=context.generator)
        labels = (features[:, 0] * features[:, 1] > 0).long()
        rows = list(zip(features, labels.tolist(), strict=True))
        return {"train": rows[:120], "test": rows[120:]}

    @hookimpl
    def prepare_model(self, context):
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))

    @hookimpl
    def recipe(self, context):
        return Recipe(steps=20, batch_size=16, optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02))

    @hookimpl
    def collate(self, examples, context):
        return {"x": torch.stack([x for x, _ in examples]), "y": torch.tensor([y for _, y in examples])}

    @hookimpl
    def compute_loss(self, model, batch, context):
        return cross_entropy(model(batch["x"]), batch["y"])

    @hookimpl
    def evaluate(self, model, split, context):
        right = [(model(batch["x"]).argmax(1) == batch["y"]).float() for batch in context.batches(split, 32)]
        return Outcomes(torch.cat(right))


class NoMetric(Good):
    name = "no-metric"
    metric = ""


class DrawsElsewhere(Good):
    name = "draws-elsewhere"

    @hookimpl
    def prepare_data(self, context):
        draw = torch.Generator()
        draw.seed()
        features = torch.randn(200, 6, generator=draw)
        rows = [(x, int(x[0] > 0)) for x in features]
        return {"train": rows[:120], "test": rows[120:]}


class OtherOrder(Good):
    """All but the first examples in an order of their own."""

    name = "other-order"

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        first, *others = splits["train"]
        random.SystemRandom().shuffle(others)
        return {**splits, "train": [first, *others]}


class OtherNumber(Good):
    """One example less each time."""

    name = "other-number"
    numbers = itertools.count(80, -1)

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        return {**splits, "test": splits["test"][: next(self.numbers)]}


class BreaksWhilePreparing(Good):
    name = "breaks-while-preparing"

    @hookimpl
    def prepare_data(self, context):
        raise KeyError("train.csv")


class BreaksWhileCollating(Good):
    name = "breaks-while-collating"

    @hookimpl
    def collate(self, examples, context):
        raise KeyError("x")


class TrainsOnTest(Good):
    name = "trains-on-test"

    @hookimpl
    def prepare_data(self, context):
        splits = super().prepare_data(context)
        return {**splits, "train": [*splits["train"], *splits["test"]]}


class UsesNetwork(Good):
    name = "uses-network-task"

    @hookimpl
    def prepare_model(self, context):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().prepare_model(context)


class FetchesData(Good):
    name = "fetches-data"

    @hookimpl
    def prepare_data(self, context):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().prepare_data(context)


class NeedsNetwork(Good):
    name = "needs-network"

    @hookimpl
    def prepare_data(self, context):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().prepare_data(context)


class WritesFile(Good):
    name = "writes-file-task"

    @hookimpl
    def evaluate(self, model, split, context):
        Path("predictions.txt").write_text("")
        return super().evaluate(model, split, context)


class WritesData(Good):
    name = "writes-data"

    @hookimpl
    def prepare_data(self, context):
        Path("examples.txt").write_text("")
        return super().prepare_data(context)


class OtherWeights(Good):
    name = "other-weights"
    numbers = itertools.count()

    @hookimpl
    def prepare_model(self, context):
        torch.manual_seed(next(self.numbers))
        return super().prepare_model(context)


class DetachedLoss(Good):
    name = "detached-loss"

    @hookimpl
    def compute_loss(self, model, batch, context):
        return super().compute_loss(model, batch, context).detach()


class SummedLoss(Good):
    name = "summed-loss"

    @hookimpl
    def compute_loss(self, model, batch, context):
        return cross_entropy(model(batch["x"]), batch["y"], reduction="sum")


class Unused(Good):
    """A layer that the forward pass does not come by."""

    name = "unused-layer"

    @hookimpl
    def prepare_model(self, context):
        model = super().prepare_model(context)
        model[0].unused = nn.Linear(3, 3)
        return model


class NotTrained(Good):
    name = "not-trained"

    @hookimpl
    def recipe(self, context):
        return Recipe(
            steps=20,
            batch_size=16,
            optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02),
            parameter_groups=lambda model: [{"params": list(model[0].parameters())}],
        )


class BiasesNotTrained(Good):
    name = "biases-not-trained"

    @hookimpl
    def recipe(self, context):
        return Recipe(
            steps=20,
            batch_size=16,
            optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02),
            parameter_groups=lambda model: [{"params": [p for p in model.parameters() if p.dim() == 2]}],
        )


class LosesExamples(Good):
    name = "loses-examples"

    @hookimpl
    def recipe(self, context):
        return Recipe(
            steps=20,
            batch_size=16,
            optimizer=lambda groups: torch.optim.AdamW(groups, lr=0.02),
            batch_order=lambda n, size, draw: [list(range(i, i + size)) for i in range(0, n - size, size)],
        )


class DoesNotLearn(Good):
    name = "does-not-learn"

    @hookimpl
    def recipe(self, context):
        return Recipe(steps=20, batch_size=16, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.0))


class Diverges(Good):
    """Without the clipping that its rate would need."""

    name = "diverges"

    @hookimpl
    def recipe(self, context):
        return Recipe(steps=20, batch_size=16, optimizer=lambda groups: torch.optim.SGD(groups, lr=1e6))


class OneIdForAll(Good):
    name = "one-id-for-all"

    @hookimpl
    def evaluate(self, model, split, context):
        outcomes = super().evaluate(model, split, context)
        return Outcomes(outcomes.values, ids=["question"] * len(outcomes))


class DrawnAnswers(Good):
    name = "drawn-answers"

    @hookimpl
    def evaluate(self, model, split, context):
        draw = torch.Generator()
        draw.seed()
        return Outcomes(torch.rand(len(context.data[split]), generator=draw))


class AsksNoModel(Good):
    """Half of its answers are right, whatever the model."""

    name = "asks-no-model"

    @hookimpl
    def evaluate(self, model, split, context):
        return Outcomes(torch.arange(len(context.data[split])).remainder(2).float())


class NeverRight(Good):
    name = "never-right"

    @hookimpl
    def evaluate(self, model, split, context):
        return Outcomes(torch.zeros(len(context.data[split])))


class ComparesLabels(Good):
    """It asks the model, and then compares the labels with themselves."""

    name = "compares-labels"

    @hookimpl
    def evaluate(self, model, split, context):
        right = []
        for batch in context.batches(split, 32):
            model(batch["x"])
            right.append((batch["y"] == batch["y"]).float())
        return Outcomes(torch.cat(right))


class ShowsNoNumber(Good):
    name = "shows-no-number"

    @hookimpl
    def aggregate(self, outcomes, context):
        return outcomes.values.mean() if len(outcomes) == 48 else "half of them"


class WholeOnly(Good):
    """A metric that knows how many examples there are."""

    name = "whole-only"

    @hookimpl
    def aggregate(self, outcomes, context):
        return float(outcomes.values.sum()) / 48 if len(outcomes) == 48 else float("nan")


class KnowsItsProcess(Good):
    """Data that follow from how a process was started."""

    name = "knows-its-process"

    @hookimpl
    def prepare_data(self, context):
        import multiprocessing

        away = multiprocessing.parent_process() is not None
        rows = super().prepare_data(context)
        return {split: [(x + away, y) for x, y in examples] for split, examples in rows.items()}
