"""Trajectories of plugins that a test defines inline, without the command line around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smc_harness.conversation.options import RunOptions
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts
from tests.toys import plugin, toy_task


@pytest.fixture
def toy_module() -> ModuleType:
    return toy_task()


@pytest.fixture
def trajectory(tmp_path: Path, toy_module: ModuleType) -> Callable[..., Trajectory]:
    def make(
        pruner: Any = None,
        levels: Sequence[float] = (0.5,),
        *,
        task: Any = None,
        seed: int = 0,
        store: str = "store",
        listeners: Sequence[Any] = (),
        name: str = "mine",
        params: Any = None,
        **options: Any,
    ) -> Trajectory:
        return Trajectory(
            plugin("task", "toy", task or toy_module),
            plugin("pruner", name, pruner, params) if pruner is not None else None,
            [plugin("session", f"listener{i}", listener) for i, listener in enumerate(listeners)],
            RunOptions(**options),
            seed,
            Artifacts(tmp_path / store),
            lambda what, step, of: None,
            levels,
        )

    return make
