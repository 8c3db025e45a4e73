"""Pruners with one fault each. What the kit says of them is in test_bad_pruners.py."""

from __future__ import annotations

import multiprocessing
import random
import socket
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from smc_harness import Prune, Train, hookimpl


class Good:
    """Without a fault; the others are this one with one more."""

    name = "good"
    phase = "after"
    description = "magnitude"

    @hookimpl
    def compute_scores(self, model, context):
        return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


class MutatesWeights(Good):
    name = "mutates-weights"

    @hookimpl
    def compute_scores(self, model, context):
        for _, parameter in context.prunable(model):
            parameter.data.clamp_(-0.1, 0.1)
        return super().compute_scores(model, context)


class LeaksHook(Good):
    name = "leaks-hook"

    @hookimpl
    def compute_scores(self, model, context):
        seen = []
        model.blocks[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
        (batch,) = context.batches("train", 4, 4)
        context.loss(model, batch)
        return super().compute_scores(model, context)


class IgnoresSeed(Good):
    name = "ignores-seed"
    phase = "before"

    @hookimpl
    def compute_scores(self, model, context):
        draw = torch.Generator().manual_seed(42)
        return {
            name: torch.rand(parameter.shape, generator=draw).to(parameter.device)
            for name, parameter in context.prunable(model)
        }


class WrongCountOnTies(Good):
    name = "wrong-count-on-ties"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        joined = torch.cat([tensor.reshape(-1).float() for tensor in scores.values()])
        count = int(level * joined.numel() + 0.5)
        if not count:
            return {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in scores.items()}
        threshold = joined.sort().values[count - 1]
        return {name: tensor > threshold for name, tensor in scores.items()}


class ChangesDtype(Good):
    name = "changes-dtype"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        mask = context.select(scores, level)
        for _, parameter in context.prunable(model):
            parameter.data = parameter.data.double()
        return mask


class ReturnsNan(Good):
    name = "returns-nan"

    @hookimpl
    def compute_scores(self, model, context):
        scores = super().compute_scores(model, context)
        return {name: tensor / tensor.max() for name, tensor in scores.items()}


class LeavesTrainMode(Good):
    name = "leaves-train-mode"

    @hookimpl
    def compute_scores(self, model, context):
        model.train()
        return super().compute_scores(model, context)


class UsesNetwork(Good):
    name = "uses-network"

    @hookimpl
    def compute_scores(self, model, context):
        with suppress(OSError):  # as if nothing had been asked
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().compute_scores(model, context)


class WritesFile(Good):
    name = "writes-file"

    @hookimpl
    def compute_scores(self, model, context):
        Path("scores.log").write_text("scored")
        return super().compute_scores(model, context)


class GlobalRandom(Good):
    name = "global-random"
    phase = "before"

    @hookimpl
    def compute_scores(self, model, context):
        return {name: torch.rand_like(parameter) for name, parameter in context.prunable(model)}


class TiedWeight(Good):
    name = "tied-weight"

    @hookimpl
    def compute_scores(self, model, context):
        modules = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        names = {name for name, _ in context.prunable(model)}
        for name in modules:
            if name not in names:
                raise KeyError(name)
        return super().compute_scores(model, context)


class LiesAboutNesting(Good):
    name = "lies-about-nesting"
    phase = "before"
    nested = True

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        draw = torch.Generator().manual_seed(int(1000 * level) + context.seed)
        drawn = {
            name: torch.rand(tensor.shape, generator=draw).to(tensor.device) if level else tensor
            for name, tensor in scores.items()
        }
        return context.select(drawn, level)


# beyond the twelve


class LiesAboutPhase(Good):
    name = "lies-about-phase"

    @hookimpl
    def plan(self, level, context):
        return [Prune(level), Train()]


class KeepsState(Good):
    """What it gathers lies in the object, where a resumed run does not find it."""

    name = "keeps-state"
    phase = "during"

    def __init__(self) -> None:
        self.moved: dict[str, torch.Tensor] = {}

    @hookimpl
    def update_mask(self, model, context):
        for name, parameter in context.prunable(model):
            step = (parameter.detach() * parameter.grad).abs()
            self.moved[name] = self.moved.get(name, torch.zeros_like(step)) + step

    @hookimpl
    def compute_scores(self, model, context):
        return {
            name: self.moved.get(name, parameter.detach().abs()).clone() for name, parameter in context.prunable(model)
        }


class ForCpuOnly(Good):
    name = "for-cpu-only"

    @hookimpl
    def compute_scores(self, model, context):
        return {
            name: torch.from_numpy(abs(parameter.detach().numpy()))
            if parameter.dtype == torch.float32
            else parameter.abs()
            for name, parameter in context.prunable(model)
        }


class GrowsFast(Good):
    name = "grows-fast"

    @hookimpl
    def compute_scores(self, model, context):
        scores = {}
        for name, parameter in context.prunable(model):
            rows = parameter.detach().float()
            # the distance of every row to every weight
            scores[name] = (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().sum(0).to(parameter.dtype)
        return scores


class SetsDefaultDtype(Good):
    name = "sets-default-dtype"

    @hookimpl
    def compute_scores(self, model, context):
        torch.set_default_dtype(torch.float64)
        return super().compute_scores(model, context)


class SeedsPython(Good):
    name = "seeds-python"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        random.seed(0)
        return context.select(scores, level)


class BreaksElsewhere(Good):
    """It finds in the environment of one process what the next one lacks."""

    name = "breaks-elsewhere"

    @hookimpl
    def compute_scores(self, model, context):
        if multiprocessing.parent_process() is not None:
            raise KeyError("MY_TABLE")
        return super().compute_scores(model, context)


class Revives(Good):
    """It forgets what was pruned, and so prunes too few."""

    name = "revives"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        alive = context.mask or {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in scores.items()}
        total = sum(tensor.numel() for tensor in scores.values())
        living = sum(int(tensor.sum()) for tensor in alive.values())
        return (
            context.select(scores, level * living / total, regrow=False)
            if context.mask
            else context.select(scores, level)
        )


class ReplacesForward(Good):
    name = "replaces-forward"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        block = model.blocks[0]
        forward = block.forward
        block.forward = lambda x: 1.5 * forward(x)
        return context.select(scores, level)


class HooksParameter(Good):
    name = "hooks-parameter"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        model.head.weight.register_hook(lambda gradient: gradient * 0.1)
        return context.select(scores, level)


class AddsBuffer(Good):
    name = "adds-buffer"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        model.register_buffer("levels", torch.tensor([level]))
        return context.select(scores, level)


class LooksAtTheTest(Good):
    name = "looks-at-the-test"

    @hookimpl
    def compute_scores(self, model, context):
        for batch in context.batches("test", 32):
            context.loss(model, batch).backward()
        return {name: (p.detach() * p.grad).abs() for name, p in context.prunable(model)}


class FollowsTheOtherLevels(Good):
    """The scores follow from the last level that a plan was asked for."""

    name = "follows-the-other-levels"

    def __init__(self) -> None:
        self.level = 0.0

    @hookimpl
    def plan(self, level, context):
        self.level = level
        return [Train(), Prune(level), Train()]

    @hookimpl
    def compute_scores(self, model, context):
        return {name: (p.detach().abs() - self.level).abs() for name, p in context.prunable(model)}


class SetsDefaultDevice(Good):
    name = "sets-default-device"

    @hookimpl
    def apply_mask(self, model, scores, level, context):
        mask = context.select(scores, level)
        torch.set_default_device("meta")
        return mask
