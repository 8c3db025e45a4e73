"""The script that benchmarks compare us with does what we do, cell by cell."""

from __future__ import annotations

import pytest

from benchmarks.plain import Script
from tests.workshop import Workshop


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["magnitude-after", "lth"])
def test_its_score_is_ours_but_for_what_rounding_makes_of_it(pruner: str, workshop: Workshop) -> None:
    ran = workshop.run("--tasks", "arithmetic-mini", "--pruners", pruner, "--levels", "0.488", "--search", "grid")
    (cell,) = ran.report["cells"]
    assert Script("arithmetic-mini", pruner, 0.488).run() == pytest.approx(cell["value"], abs=0.02)
