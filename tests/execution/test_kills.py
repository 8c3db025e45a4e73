"""Runs that are killed again and again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.execution.kills import Storm, finished
from tests.workshop import Workshop

RUN = ("--collect", "plugins", "--search", "grid", "--seeds", "3", "-n", "2")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_hundred_kills_lose_nothing_and_repeat_nothing(workshop: Workshop) -> None:
    workshop.toy()
    for name, phase in (("one", "after"), ("two", "iterative"), ("three", "before")):
        workshop.pruner(name, phase)
    storm = Storm(RUN, workshop.folder, 3.0, random.Random(0))
    storm.rage(100, finished(RUN, workshop.folder, workshop.folder / "undisturbed"))
    assert storm.dealt.total() >= 100
    assert min(storm.dealt.values()) > 20
