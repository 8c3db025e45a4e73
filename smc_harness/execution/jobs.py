"""What the driver sends to a worker, and what it hears back. All of it pickles; none of it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smc_harness.cells import Measurement, Verdict
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator, Plugin, control_of, load
from smc_harness.verdict.rule import Rule, Tolerance


@dataclass(frozen=True)
class PluginRef:
    """A plugin in a form that another process can load: its place, parameter settings, and name; for a control, the
    pruner's and the kind.
    """

    locator: Locator
    settings: Mapping[str, str]
    name: str
    control: str = ""

    @classmethod
    def of(cls, plugin: Plugin) -> PluginRef:
        own = plugin.own or plugin
        return cls(plugin.locator, dict(plugin.settings), own.name, plugin.control)

    def load(self) -> Plugin:
        plugin = load(self.locator, self.settings, self.name)
        return control_of(plugin, self.control) if self.control else plugin


@dataclass(frozen=True)
class Job:
    """A trajectory to walk, or, without a pruner, the dense training and its evaluation.

    known: verdicts of levels that need not be measured. dense: of the dense model, against which the worker judges to
    know which level comes next. store: folder of the store. chains: of every level to measure, the keys of the states
    on its way, the start weights first. read: keys of outcomes that it may ask for.
    """

    task: PluginRef
    pruner: PluginRef | None
    listeners: tuple[PluginRef, ...]
    options: RunOptions
    seed: int
    store: str
    levels: tuple[float, ...] = ()
    known: Mapping[float, Verdict] = field(default_factory=dict)
    dense: Measurement | None = None
    rule: Rule = field(default_factory=Tolerance)
    search: str = "until-fail"
    chains: tuple[tuple[str, ...], ...] = ()
    read: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """Work on a level began. level: None for the dense training."""

    level: float | None


@dataclass(frozen=True)
class Progress:
    """Something to show: `what`, at `step` of `of`."""

    what: str
    step: int
    of: int


@dataclass(frozen=True)
class Measured:
    """A level has its number. outcomes: what it was for each example, to be kept with it."""

    level: float | None
    measurement: Measurement
    outcomes: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """A level could not be measured. error: one line. trace: the traceback. skipped: the pruner does not apply here.
    store: the store could not be written, for which no plugin is to blame.
    """

    level: float | None
    error: str
    trace: str = ""
    output: str = ""
    skipped: bool = False
    store: bool = False


@dataclass(frozen=True)
class Died:
    """The worker is gone, in the middle of `level`; the rest of the job was not done. tries: how often this may happen
    to a level before it is named.
    """

    level: float | None
    error: str
    output: str = ""
    tries: int = 2


@dataclass(frozen=True)
class Finished:
    """The job is over; its worker is free."""


Event = Started | Progress | Measured | Failed | Died | Finished
Emit = Callable[[Any], None]
