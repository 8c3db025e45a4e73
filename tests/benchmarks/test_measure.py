"""What benchmarks measure with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.measure import Ratio

SPENT = 0.2
_CHILD = f"""import time
while time.process_time() < {SPENT}:
    pass"""
_PARENT = f"""import subprocess, sys
subprocess.Popen([sys.executable, "-c", {_CHILD!r}])"""
_MEASURED = f"""import sys
from benchmarks.measure import commands_in_turn
print(commands_in_turn({{"it": [sys.executable, "-c", {_PARENT!r}]}}, 1, "cpu", warm_up=0)["it"][0])"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody becomes the parent of orphans")
def test_what_a_process_left_behind_spends_is_counted() -> None:
    """A server of workers outlives its driver by a moment. In a process of its own, which becomes their parent."""
    done = subprocess.run([sys.executable, "-c", _MEASURED], capture_output=True, text=True, check=True)
    assert float(done.stdout) >= SPENT


@pytest.mark.parametrize(
    ("values", "at_least", "holds"), [((1, 9, 2), False, True), ((3, 1, 3), False, False), ((3, 1, 3), True, True)]
)
def test_a_claim_holds_for_the_median(values: tuple[float, ...], at_least: bool, holds: bool) -> None:
    assert Ratio("this", "that", values, limit=2.0, at_least=at_least).holds is holds
