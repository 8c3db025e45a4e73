"""The most memory that was held."""

from __future__ import annotations

import pytest

from smc_harness.execution import peak

MEGABYTE = 1 << 20


def test_what_was_held_and_given_back_counts() -> None:
    peak.forget("cpu")
    before = peak.held("cpu")
    block = bytearray(64 * MEGABYTE)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert peak.held("cpu") >= before + 60 * MEGABYTE


@pytest.mark.skipif(not peak._RESET.exists(), reason="this system cannot begin anew")
def test_what_was_held_before_is_forgotten() -> None:
    block = bytearray(256 * MEGABYTE)
    block[::4096] = b"x" * len(block[::4096])
    high = peak.held("cpu")
    del block
    peak.forget("cpu")
    assert peak.held("cpu") < high - 128 * MEGABYTE


def test_where_the_system_tells_nothing_the_process_s_own_record_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_STATUS", peak._STATUS / "nowhere")
    assert peak.held("cpu") > MEGABYTE
