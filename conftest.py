"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.toys import plugin, toy_task
from tests.workshop import Ran, Workshop

if TYPE_CHECKING:
    from smc_harness.lifecycle.trajectory import Trajectory

pytest_plugins = ["pytester"]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """The command line in this process, in an empty folder: quick, for what ends before a worker starts."""
    from smc_harness.cli import main

    monkeypatch.chdir(tmp_path)
    for name in ("SMC_HARNESS_ADDOPTS", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules), list(sys.path)

    def run(*arguments: str) -> Ran:
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Ran(int(code), captured.out, captured.err)

    yield run
    for name in set(sys.modules) - before[0]:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
    sys.path[:] = before[1]


@pytest.fixture
def toy_module() -> ModuleType:
    return toy_task()


@pytest.fixture
def trajectory(tmp_path: Path, toy_module: ModuleType) -> Callable[..., Trajectory]:
    """Trajectories of plugins that a test defines inline, without the command line around them."""
    from smc_harness.conversation.options import RunOptions
    from smc_harness.lifecycle.trajectory import Trajectory
    from smc_harness.store.artifacts import Artifacts

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
        structure: Any = None,
        **options: Any,
    ) -> Trajectory:
        return Trajectory(
            plugin("task", "toy", task or toy_module),
            plugin("pruner", name, pruner, params, structure) if pruner is not None else None,
            [plugin("session", f"listener{i}", listener) for i, listener in enumerate(listeners)],
            RunOptions(**options),
            seed,
            Artifacts(tmp_path / store),
            lambda what, step, of: None,
            levels,
        )

    return make
