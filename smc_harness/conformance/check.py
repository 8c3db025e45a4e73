"""A check, what came of it, and the report on a plugin."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import torch

from smc_harness.conformance.surroundings import secluded
from smc_harness.errors import HarnessError, UsageError, nearest, one_line

if TYPE_CHECKING:
    from smc_harness.conformance.subject import Subject


class Fault(AssertionError):  # noqa: N818  a finding, as a failed assertion is
    """What a plugin does wrong, in one line: what was seen, what would work."""


class NotApplicableError(Exception):
    """Why a check has nothing to say of a plugin."""


class NotReadyError(NotApplicableError):
    """Why the plugin cannot be asked yet: the checks that need this one have nothing to say, either."""


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPECTED = "expected failure"
    UNEXPECTED = "unexpected pass"

    @property
    def conforms(self) -> bool:
        return self not in (Outcome.FAILED, Outcome.UNEXPECTED)


@dataclass(frozen=True)
class Check:
    """One thing that a plugin is held to.

    name: by which it is chosen, and expected to fail. run: receives the subject; raises Fault, or NotApplicableError;
    returns figures, if it measures any. needs: checks that must pass for this one to mean something.
    """

    name: str
    run: Callable[[Any], Mapping[str, float] | None]
    needs: tuple[str, ...] = ()

    @property
    def promise(self) -> str:
        """What holds of a plugin that passes, in one sentence."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Checked:
    """What came of one check.

    reason: of a failure, a skip, or the expectation; empty where it passed. seconds: it took. figures: what it
    measured, by name and unit. trace: of an error, for the author of the plugin.
    """

    check: str
    promise: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    trace: str = field(default="", repr=False)


@dataclass(frozen=True)
class Report:
    """What a plugin was held to, and whether it kept to it.

    plugin: its name. kind: `pruner` or `task`. harness: our version. results: one for each check, in order.
    """

    plugin: str
    kind: str
    harness: str
    results: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed that was not expected to, and none passed that was expected to fail."""
        return all(result.outcome.conforms for result in self.results)

    @property
    def counts(self) -> dict[str, int]:
        """{outcome: number of checks}; `run`, the number that were not skipped, first."""
        found = [result.outcome for result in self.results]
        counts = {outcome.value: found.count(outcome) for outcome in Outcome}
        return {"run": len(found) - found.count(Outcome.SKIPPED), **counts}

    @property
    def badge(self) -> str:
        """A line of Markdown for a README."""
        colour = "brightgreen" if self.ok else "red"
        parts = (f"smc-harness {self.harness}", self.summary)
        words = "-".join(quote(text.replace("-", "--"), safe="") for text in parts)
        return f"![smc-harness {self.harness}: {self.summary}](https://img.shields.io/badge/{words}-{colour})"

    def as_json(self) -> dict[str, Any]:
        """For programs: the counts, and every result with all its fields."""
        results = [
            {
                "check": result.check,
                "promise": result.promise,
                "outcome": result.outcome.value,
                "reason": result.reason,
                "seconds": result.seconds,
                "figures": dict(result.figures),
            }
            for result in self.results
        ]
        return {
            "plugin": self.plugin,
            "kind": self.kind,
            "harness": self.harness,
            "ok": self.ok,
            "counts": self.counts,
            "badge": self.badge,
            "results": results,
        }

    @property
    def summary(self) -> str:
        """How many checks ended in which way: `30 passed, 1 skipped`."""
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count and outcome != "run")

    def __str__(self) -> str:
        """The summary, and a line for each result that does not conform."""
        wrong = [f"{r.check}: {r.outcome.value}: {r.reason}" for r in self.results if not r.outcome.conforms]
        return "\n".join([f"{self.plugin}: {self.summary}", *wrong])


class Examination:
    """A plugin under its checks; each is made once, after those that it needs.

    expected: {check: why it fails}. Raises UsageError for a check that does not exist.
    """

    def __init__(self, subject: Subject, checks: Sequence[Check], expected: Mapping[str, str] | None = None) -> None:
        self.subject = subject
        self.checks = {check.name: check for check in checks}
        self.expected = dict(expected or {})
        self._settled: dict[str, Checked] = {}
        self._blocking: dict[str, str] = {}  # {check that others cannot do without: why they are not made}
        for name in self.expected:
            if name not in self.checks:
                near = nearest(name, self.checks)
                raise UsageError(f"no check named {name!r}{near}; one of {', '.join(self.checks)} would work")

    def results(self) -> Iterator[Checked]:
        """All of them, in order, each as soon as it is made."""
        for name in self.checks:
            yield self.settle(name)

    def settle(self, name: str) -> Checked:
        """What came of one check."""
        if name not in self._settled:
            check = self.checks[name]
            for needed in check.needs:
                self.settle(needed)
            blocked = next((self._blocking[needed] for needed in check.needs if needed in self._blocking), None)
            found, ready = _made(self.subject, check, blocked, self.expected.get(name))
            if found.outcome in (Outcome.FAILED, Outcome.EXPECTED):
                self._blocking[name] = f"nothing can be said before {name!r} passes"
            elif not ready:
                self._blocking[name] = found.reason
            self._settled[name] = found
        return self._settled[name]

    def report(self) -> Report:
        return Report(self.subject.name, self.subject.kind, version("smc-harness"), tuple(self.results()))


def _made(subject: Subject, check: Check, blocked: str | None, expected: str | None) -> tuple[Checked, bool]:
    """The check made, and whether those that need it can be made. blocked: why it cannot be."""
    began, ready = time.perf_counter(), True
    outcome, reason, trace = Outcome.PASSED, "", ""
    figures: dict[str, float] = {}
    try:
        if blocked is not None:
            raise NotReadyError(blocked)
        with secluded():  # what a plugin writes, or changes for all, must reach neither its user nor the next check
            torch.set_num_threads(1)  # as workers compute: two give other bits
            with redirect_stdout(sys.stderr):  # where results go to standard output, nothing else may
                figures = dict(check.run(subject) or {})
    except NotApplicableError as error:
        outcome, reason, ready = Outcome.SKIPPED, str(error), not isinstance(error, NotReadyError)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit and the skips of pytest among it
        outcome, reason = Outcome.FAILED, told(error, subject)
        trace = "" if isinstance(error, Fault) else traceback.format_exc()
    if expected is not None and outcome is Outcome.FAILED:
        outcome, reason = Outcome.EXPECTED, f"{expected} ({reason})"
    elif expected is not None and outcome is Outcome.PASSED:
        outcome, reason = Outcome.UNEXPECTED, f"it was expected to fail: {expected}"
    took = time.perf_counter() - began
    return Checked(check.name, check.promise, outcome, reason, took, figures, trace), ready


def told(error: BaseException, subject: Subject) -> str:
    """The error in one line; where the plugin's own code raised it, with the place."""
    if isinstance(error, Fault | HarnessError):
        return " ".join(str(error).split()).removeprefix(f"{subject.name}: ")
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == str(subject.file)
    ]
    place = f" ({Path(lines[-1][0]).name}, line {lines[-1][1]})" if lines else ""
    return one_line(error) + place
