"""What pytest loads of us in every run: two options and a fixture. All else is imported when one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from smc_harness.testing.harness import Harness


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smc-harness", "cells of smc-harness")
    group.addoption("--smc", action="append", default=[], metavar="PATH", help="run the cells of the plugins in this "
        "file or folder as tests; without other paths, nothing else")  # fmt: skip
    group.addoption("--smc-options", action="append", default=[], metavar="WORDS", help="options of smc-harness for "
        "them, as on its command line: --smc-options='--levels 0.2,0.36 --strict'")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.option.smc:
        from smc_harness.testing.cells import Cells

        config.pluginmanager.register(Cells(config), "smc-harness-cells")
    elif config.option.smc_options:
        raise pytest.UsageError("--smc-options without --smc; --smc PATH, a plugin file or folder, would work")


@pytest.fixture(scope="session")
def smc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Runs smc-harness: `smc.run(pruners=my_pruner, tasks="protein-mini", levels=[0.2, 0.36])`.

    What was measured is kept in pytest's cache (`pytest --cache-clear` empties it), so that a test that changed nothing
    takes no time.
    """
    from smc_harness.testing.harness import Harness

    cache = getattr(request.config, "cache", None)  # pytest may run without one
    folder = tmp_path_factory.mktemp("smc-harness") if cache is None else cache.mkdir("smc-harness")
    return Harness(folder / "store", alone=not hasattr(request.config, "workerinput"))
