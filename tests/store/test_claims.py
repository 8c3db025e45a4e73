"""Claims, between processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from smc_harness.store import claims
from smc_harness.store.claims import Claims

fcntl = pytest.importorskip("fcntl")

KEYS = [f"{number:040x}" for number in (3, 2**150, 16**40 - 1)]
OTHER = """\
import sys
from pathlib import Path
from smc_harness.store.claims import Claims

claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2:]), flush=True)
sys.stdin.read()
"""


@contextmanager
def another(folder: Path, *keys: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has tried to take these claims, and ends with the block."""
    words = [sys.executable, "-c", OTHER, str(folder), *keys]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Claims]:
    with closing(Claims(tmp_path)) as found:
        yield found


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_another_process_has_is_not_to_be_had_until_it_is_gone(mine: Claims, tmp_path: Path) -> None:
    with another(tmp_path, KEYS[1]) as process:
        assert answer(process) == "True"
        assert not mine.take(KEYS)
        assert mine.take([KEYS[0], KEYS[2]])
        process.kill()
        process.wait()
        assert mine.take(KEYS)


def test_a_refusal_leaves_nothing_taken(mine: Claims, tmp_path: Path) -> None:
    mine.take([KEYS[2]])
    with another(tmp_path, *KEYS) as process:
        assert answer(process) == "False"
        mine.release([KEYS[2]])
        assert mine.take(KEYS)


@pytest.mark.parametrize("end", [lambda mine: mine.release([KEYS[0]]), lambda mine: mine.close()], ids=["one", "all"])
def test_what_was_given_up_can_be_had(mine: Claims, tmp_path: Path, end) -> None:
    mine.take([KEYS[0]])
    end(mine)
    with another(tmp_path, KEYS[0]) as process:
        assert answer(process) == "True"


def test_nothing_is_written(mine: Claims, tmp_path: Path) -> None:
    mine.take(KEYS)
    assert (tmp_path / claims.FILE).stat().st_size == 0


def test_where_a_system_has_no_locks_everyone_may_work(
    mine: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another(tmp_path, KEYS[0]) as process:
        assert answer(process) == "True"
        monkeypatch.setattr(claims, "fcntl", None)
        assert mine.take(KEYS)
        mine.release(KEYS)
