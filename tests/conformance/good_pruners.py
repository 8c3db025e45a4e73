"""Pruners without a fault that do what few do. That they conform is in test_good_pruners.py."""

from __future__ import annotations

import numpy
import torch
from scipy import stats

from smc_harness import Prune, Rewind, Train, hookimpl


class Magnitude:
    name = "good-magnitude"
    phase = "after"

    @hookimpl
    def compute_scores(self, model, context):
        return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


class LinearSchedule(Magnitude):
    """Its schedule is a function made anew for each plan."""

    name = "linear-schedule"
    phase = "during"

    @hookimpl
    def plan(self, level, context):
        return [Train(prune=lambda fraction: level * min(1.0, fraction / 0.8))]


class FromStateAlone(Magnitude):
    """It scores by what it gathered, and has gathered nothing before training."""

    name = "from-state-alone"
    phase = "during"

    @hookimpl
    def update_mask(self, model, context):
        for name, parameter in context.prunable(model):
            step = -parameter.detach() * parameter.grad
            context.state[name] = context.state[name] + step if name in context.state else step

    @hookimpl
    def compute_scores(self, model, context):
        return {name: context.state[name].clone() for name, _ in context.prunable(model)}


class OfScipy(Magnitude):
    """It draws with another library, by the seed that the context gives."""

    name = "of-scipy"
    phase = "before"

    @hookimpl
    def compute_scores(self, model, context):
        draw = numpy.random.default_rng(context.seed_for("scores"))
        return {
            name: torch.from_numpy(stats.uniform.rvs(size=tuple(parameter.shape), random_state=draw)).to(
                parameter.device
            )
            for name, parameter in context.prunable(model)
        }


class StartsAnywhere(Magnitude):
    """Its draws are where an iteration starts, and do not matter in the end."""

    name = "starts-anywhere"

    @hookimpl
    def compute_scores(self, model, context):
        scores = {}
        for name, parameter in context.prunable(model):
            weight = parameter.detach().double()
            vector = torch.rand(weight.shape[1], 1, generator=context.generator, dtype=torch.float64).to(weight.device)
            for _ in range(3):
                vector = torch.nn.functional.normalize(weight.T @ (weight @ vector) + 1e-30, dim=0)
            scores[name] = weight.abs()
        return scores


class OneRung(Magnitude):
    """Iterative, at a level so low that there is but one round."""

    name = "one-rung"
    phase = "iterative"
    levels = (0.2,)


class PartWay(Magnitude):
    """Scored after some training, then sent back there."""

    name = "part-way"
    phase = "after"

    @hookimpl
    def plan(self, level, context):
        return [Train(until=0.5), Prune(level), Rewind(0.25), Train()]


class ApplyOnly:
    name = "apply-only"
    phase = "after"

    @hookimpl
    def apply_mask(self, model, level, context):
        return context.select({name: parameter.detach().abs() for name, parameter in context.prunable(model)}, level)


class HooksAndTakesThemOff(Magnitude):
    """Wanda's criterion on linear layers, by hooks that it removes."""

    name = "hooks-and-takes-them-off"
    prunes = "linear"

    @hookimpl
    def compute_scores(self, model, context):
        norms, handles = {}, []
        layers = {f"{name}.weight": module for name, module in model.named_modules() if hasattr(module, "in_features")}
        for name, layer in layers.items():

            def note(module, inputs, output, name=name):
                norms[name] = inputs[0].detach().double().reshape(-1, module.in_features).norm(dim=0)

            handles.append(layer.register_forward_hook(note))
        try:
            for batch in context.batches("train", 16, 16):
                context.loss(model, batch)
        finally:
            for handle in handles:
                handle.remove()
        return {
            name: parameter.detach().abs().double() * norms.get(name, torch.ones_like(parameter[0]))
            for name, parameter in context.prunable(model)
        }
