"""For authors of plugins: the conformance kit, and cells as tests of pytest.

Names are resolved on first use: pytest loads this package in every run, of whatever project.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smc_harness.conformance.check import Checked, Fault, Outcome, Report
    from smc_harness.conformance.examine import check_pruner, check_task
    from smc_harness.testing.parametrize import parametrize_with_checks

_HOME = {
    "Checked": "smc_harness.conformance.check",
    "Fault": "smc_harness.conformance.check",
    "Outcome": "smc_harness.conformance.check",
    "Report": "smc_harness.conformance.check",
    "check_pruner": "smc_harness.conformance.examine",
    "check_task": "smc_harness.conformance.examine",
    "parametrize_with_checks": "smc_harness.testing.parametrize",
}

__all__ = ["Checked", "Fault", "Outcome", "Report", "check_pruner", "check_task", "parametrize_with_checks"]


if not TYPE_CHECKING:  # a type checker must see what is not there

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
