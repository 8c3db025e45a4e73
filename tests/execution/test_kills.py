"""Runs that are killed again and again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.execution.kills import Storm, finished
from tests.workshop import Workshop

RUN = ("--collect", "plugins", "--search", "grid", "--seeds", "3", "-n", "2")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_fifty_kills_lose_nothing_and_repeat_nothing(workshop: Workshop, seed: int) -> None:
    workshop.toy()
    for name, phase in (("one", "after"), ("two", "iterative"), ("three", "before")):
        workshop.pruner(name, phase)
    storm = Storm(RUN, workshop.folder, 3.0, random.Random(seed))
    storm.rage(50, finished(RUN, workshop.folder, workshop.folder / "undisturbed"))
    assert storm.dealt.total() >= 50
    assert min(storm.dealt.values()) >= 10
