"""Trainings that are under way, kept at the ends of epochs so that a killed run goes on from there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from smc_harness.lifecycle import state
from smc_harness.lifecycle.keys import under_way
from smc_harness.lifecycle.state import State
from smc_harness.store.artifacts import Artifacts


@dataclass
class Checkpoint:
    """A training that has not reached the end of its stage.

    state: as of its last step; `progress` is the fraction of the recipe. level: to which its schedule has pruned.
    logged: what the pruner and the task logged, in this order.
    """

    state: State
    level: float
    logged: tuple[dict[str, Any], dict[str, Any]]


@dataclass
class Checkpoints:
    """Those of one trajectory, one a stage.

    pause: seconds between two. share: the most of the time that writing them may take, which lengthens the pause of a
    large model.
    """

    artifacts: Artifacts
    pause: float = 30.0
    share: float = 0.05
    _written: set[str] = field(default_factory=set)
    _next: float = 0.0

    def begin(self) -> None:
        """A training begins: the first checkpoint is due after a pause."""
        self._next = time.monotonic() + self.pause

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    def save(self, stage: str, checkpoint: Checkpoint, model: nn.Module) -> None:
        """Replace the stage's checkpoint by this one. The weights are the model's."""
        began = time.monotonic()
        tensors, note = state.pack(checkpoint.state, model)
        key = under_way(stage)
        self._written.add(key)
        self.artifacts.save(key, tensors, note | {"level": checkpoint.level, "logged": checkpoint.logged})
        now = time.monotonic()
        self._next = now + max(self.pause, (now - began) / self.share)

    def take_up(self, stage: str, model: nn.Module) -> Checkpoint | None:
        """The checkpoint of a stage, its weights put into the model; None where there is none.

        Raises PluginError if they do not fit.
        """
        key = under_way(stage)
        if not self.artifacts.has(key) or (kept := self.artifacts.load(key)) is None:
            return None
        self._written.add(key)
        tensors, note = kept
        pruner, task = note["logged"]
        return Checkpoint(state.unpack(stage, tensors, note, model), note["level"], (pruner, task))

    def clear(self) -> None:
        """Remove the checkpoints that were written or taken up: what they led to is kept now."""
        while self._written:
            self.artifacts.drop(self._written.pop())
