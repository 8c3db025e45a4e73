"""What is to be checked is found by name, by path, or given as an object."""

from __future__ import annotations

import pytest
import smc_pruners.snip

from smc_harness.conformance.find import find, texts
from smc_harness.errors import UsageError
from tests.conformance import bad_pruners
from tests.workshop import Workshop


def test_by_the_name_of_an_installed_one() -> None:
    assert [(locator.kind, locator.name) for locator in find("snip")] == [("pruner", "snip")]
    assert [locator.kind for locator in find("protein-mini")] == ["task"]


def test_by_the_path_of_a_file_with_several(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    assert [(locator.kind, locator.name) for locator in find(workshop.folder / "plugins")] == [
        ("pruner", "mine"),
        ("task", "toy"),
    ]


def test_as_an_object() -> None:
    assert [locator.name for locator in find(bad_pruners.Good)] == ["good"]
    assert [locator.name for locator in find(smc_pruners.snip)] == ["snip"]


def test_a_name_that_is_not_there_is_one_line_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="snap: no such file, and no such plugin is installed; did you mean 'snip'"):
        find("snap")


def test_a_file_that_is_broken_is_one_line_with_the_reason(workshop: Workshop) -> None:
    file = workshop.write("broken.py", "from smc_harness import hookimpl\nimport nowhere_to_be_found")
    with pytest.raises(UsageError, match="broken.py: import failed: .*nowhere_to_be_found"):
        find(file)


def test_a_file_without_a_plugin_is_one_line(workshop: Workshop) -> None:
    file = workshop.write(
        "session.py",
        """
        from smc_harness import hookimpl
        name = "listener"
        @hookimpl
        def cell_finished(result): ...
    """,
    )
    with pytest.raises(UsageError, match="no pruner and no task there"):
        find(file)


def test_parameters_become_text() -> None:
    assert texts({"batches": 8, "levels": (0.1, 0.2), "plain": "x"}) == {
        "batches": "8",
        "levels": "0.1,0.2",
        "plain": "x",
    }
