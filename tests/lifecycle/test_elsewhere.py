"""On a device beside the CPU everything is where it is needed, and comes out as on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from smc_harness import Prune, Recipe, Rewind, Selection, Train, hookimpl
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, control_of, load
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts
from tests.elsewhere import Elsewhere, watched
from tests.pruners.stacks import stack_task
from tests.toys import plugin, pruner_of, toy_task

INSTALLED = discover().installed
OTHERS = {"llm-compressor", "torch-pruning"}
"""Libraries that make tensors where they like."""

PRUNERS = sorted(
    name for name, locator in INSTALLED["pruner"].items() if not load(locator).lacking and name not in OTHERS
)
BY_BLOCKS = {"sparsegpt", "wanda"}
FEW = {"synflow": {"rounds": "3"}, "obert": {"gradients": "4"}}


@hookimpl
def recipe(context):
    def adam(groups):
        return torch.optim.AdamW(groups, lr=0.02)

    return Recipe(steps=12, batch_size=32, optimizer=adam, clip=1.0, selection=Selection("valid", 3))


@pytest.fixture
def task() -> Plugin:
    """A toy that is trained briefly and keeps its best weights."""
    module = toy_task()
    module.recipe = recipe  # type: ignore[attr-defined]
    return plugin("task", "toy", module)


@hookimpl
def magnitude(model, context):
    return {name: parameter.detach().abs() for name, parameter in context.prunable(model)}


def walk(folder: Path, device: str, pruner: Plugin | None, task: Plugin, **options: Any) -> Trajectory:
    options |= {"device": device}
    return Trajectory(task, pruner, [], RunOptions(**options), 0, Artifacts(folder), lambda *_: None, (0.5, 0.75))


def measured(folder: Path, device: str, pruner: Plugin, task: Plugin) -> tuple[list[float], dict, dict]:
    """Two levels, each in a process that finds what the other kept: values, weights and mask."""
    values = [walk(folder, device, pruner, task).measure(0.5).value]
    second = walk(folder, device, pruner, task)
    values.append(second.measure(0.75).value)
    model, now = second._live()
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return values, weights, dict(now.mask or {})


def check(tmp_path: Path, pruner: Plugin, task: Plugin) -> None:
    with watched():
        values, weights, mask = measured(tmp_path / "here", "cpu", pruner, task)
        others, elsewhere, masked = measured(tmp_path / "there", "lazy", pruner, task)
    assert values == others
    for here, there in ((weights, elsewhere), (mask, masked)):
        assert all(isinstance(there[name], Elsewhere) for name in here)
        assert all(torch.equal(there[name].inner, here[name]) for name in here)


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner(tmp_path: Path, name: str, task: Plugin) -> None:
    if name in BY_BLOCKS:  # the toy has none
        module = stack_task()
        module.recipe = recipe  # type: ignore[attr-defined]
        task = plugin("task", "toy", module)
    check(tmp_path, load(INSTALLED["pruner"][name], FEW.get(name, {})), task)


@pytest.mark.parametrize("name", ["magnitude-after", "random-before", "obert", "snip-rigl"])
def test_what_the_original_did(tmp_path: Path, name: str, task: Plugin) -> None:
    check(tmp_path, load(INSTALLED["pruner"][name], {"compat": "smc-bench"}), task)


@pytest.mark.parametrize("name", ["lth", "snip-rigl", "set"])
@pytest.mark.parametrize("settings", [{"allocation": "erk"}, {"pattern": "1:4"}, {"pattern": "2x2"}], ids=str)
def test_every_allocation_and_pattern(tmp_path: Path, name: str, settings: dict[str, str], task: Plugin) -> None:
    check(tmp_path, load(INSTALLED["pruner"][name], settings), task)


@pytest.mark.parametrize("kind", ["random", "own-ratios"])
def test_controls(tmp_path: Path, kind: str, task: Plugin) -> None:
    check(tmp_path, control_of(load(INSTALLED["pruner"]["gmp"]), kind), task)


def test_rewinds_into_a_training(tmp_path: Path, task: Plugin) -> None:
    @hookimpl
    def plan(level):
        return [Train(until=0.5), Prune(level / 2), Train(), Prune(level), Rewind(to=0.25), Train(until=0.5), Train()]

    check(tmp_path, plugin("pruner", "mine", pruner_of(plan=plan, compute_scores=magnitude)), task)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["commonsense-mini", "arithmetic-mini", "protein-mini", "translation-mini"])
def test_every_mini_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """To be computed at all; attention takes other kernels there, so that the last bits differ."""
    for module in [module for key, module in sys.modules.items() if key.startswith(("torch.optim", "torch.utils."))]:
        if hasattr(module, "_get_fused_kernels_supported_devices"):
            monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: ["cpu", "lazy"])
    task, pruner = load(INSTALLED["task"][name], {"steps": "6"}), load(INSTALLED["pruner"]["snip-rigl"])
    with watched():
        measurement = walk(tmp_path, "lazy", pruner, task, limit=100).measure(0.5)
    assert measurement.n == 100
