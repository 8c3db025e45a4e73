"""A plugin under examination, and what several checks look at: computed once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from smc_harness.cells import Measurement
from smc_harness.conformance import example
from smc_harness.conformance.apart import Apart, chosen_apart
from smc_harness.conformance.check import NotApplicableError
from smc_harness.conformance.observing import Observer
from smc_harness.conformance.surroundings import Seen, put_back, watched
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements
from smc_harness.conversation.scoring import restored
from smc_harness.declarations.plans import Stage
from smc_harness.discovery.loading import Locator, Plugin, load
from smc_harness.errors import HarnessError
from smc_harness.lifecycle import keys
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts

Mask = Mapping[str, Tensor]

LEVELS = (0.05, 0.2, 0.36, 0.5, 0.734, 0.9)
"""Those at which masks are looked at, where a pruner has none of its own."""


@dataclass
class Subject:
    """locator: where the plugin is. settings: of its parameters, as text."""

    locator: Locator
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.locator.name

    @property
    def kind(self) -> str:
        return self.locator.kind

    @cached_property
    def plugin(self) -> Plugin:
        """Raises HarnessError where it cannot be loaded."""
        return self.loaded()

    def loaded(self) -> Plugin:
        """Anew: one that is a class as another object, which knows nothing of what was asked of the others."""
        return load(self.locator, self.settings)

    @property
    def file(self) -> Path | None:
        """The file with its source, as tracebacks name it; None where it could not be loaded."""
        return vars(self)["plugin"].file if "plugin" in vars(self) else None


@dataclass
class Overheard:
    """One run of a pruner, watched. measured: None where it broke, with `error`."""

    observer: Observer
    seen: Seen
    measured: Measurement | None = None
    error: Exception | None = None


class PrunerSubject(Subject):
    """A pruner, with the small task to run it on."""

    def task(self, shape: example.Shape = "plain", width: int = 4) -> Plugin:
        where = Locator("task", example.name, f"module {example.__name__}", module=example.__name__)
        return load(where, {"shape": shape, "width": str(width)})

    @property
    def options(self) -> RunOptions:
        linear = self.plugin.declared("prunes", "all") == "linear"
        return RunOptions(scope="linear" if linear else "paper")

    def levels(self, among: Sequence[float] = LEVELS) -> Sequence[float]:
        """Its own, else those given."""
        return self.plugin.levels or among

    def level(self, wanted: float = 0.5) -> float:
        """The level nearest to the one wanted that it has."""
        return min(self.levels((wanted,)), key=lambda own: abs(own - wanted))

    def plan(self, level: float) -> Sequence[Stage]:
        talk = Conversation(self.task(), self.plugin, [], self.options, 0)
        return keys.plan_of(talk.hook, self.plugin, level, talk.pruner)

    def talk(
        self, shape: example.Shape = "plain", seed: int = 0, width: int = 4, fill: str = "drawn"
    ) -> tuple[Conversation, nn.Module]:
        """A conversation, with the model at start weights of a kind. fill: see FILLS."""
        talk = Conversation(self.task(shape, width), self.loaded(), [], self.options, seed)
        model = talk.build_model()
        draw = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for _, parameter in talk.prunable(model):
                parameter.copy_(FILLS[fill](parameter, draw))
        if implements(self.plugin, "update_mask"):
            self._update(talk, model)
        return talk, model

    def _update(self, talk: Conversation, model: nn.Module) -> None:
        """Let a pruner gather what it gathers in training, as it would have before it is asked for scores."""
        prunable = talk.prunable(model)
        alive = {name: torch.ones_like(parameter, dtype=torch.bool) for name, parameter in prunable}
        talk.pruner.total_steps = example.STEPS
        for step, batch in enumerate(talk.batches_drawn("train", 32, 16)):
            talk.pruner.step = step
            with self._asked(talk, model, "update", step):
                talk.loss(model, batch).backward()  # type: ignore[no-untyped-call]
                talk.pruner._level = self.level()
                talk.hook.update_mask(model=model, mask=alive, context=talk.pruner)
                talk.pruner._level = None

    def scores(self, talk: Conversation, model: nn.Module) -> Mapping[str, Tensor] | None:
        """What `compute_scores` returns, unchecked; None where the pruner does not have it."""
        if not implements(self.plugin, "compute_scores"):
            return None
        with self._asked(talk, model, "scores"), torch.enable_grad():
            found: Mapping[str, Tensor] = talk.hook.compute_scores(model=model, context=talk.pruner)
        return found

    def mask(self, talk: Conversation, model: nn.Module, level: float) -> Mask:
        """What `apply_mask` returns, unchecked. Raises NotApplicableError for a pruner that chooses elsewhere."""
        return self.chosen(talk, model, self.scores(talk, model), level)

    def chosen(self, talk: Conversation, model: nn.Module, scores: Mapping[str, Tensor] | None, level: float) -> Mask:
        """The same, given the scores."""
        if not any(implements(self.plugin, hook) for hook in ("compute_scores", "apply_mask")):
            raise NotApplicableError("it has neither compute_scores nor apply_mask")
        own = {name: tensor.detach().clone() for name, tensor in scores.items()} if scores is not None else None
        with self._asked(talk, model, "mask", level), torch.no_grad():
            found: Mask = talk.hook.apply_mask(model=model, scores=own, level=level, context=talk.pruner)
        return found

    @contextmanager
    def _asked(self, talk: Conversation, model: nn.Module, *purpose: object) -> Iterator[None]:
        """As the harness asks, but without its judgement of what comes."""
        with put_back(), restored(model), talk.seeded(talk.pruner, *purpose):
            model.eval()
            model.zero_grad(set_to_none=True)
            yield

    @contextmanager
    def trajectory(
        self, levels: Sequence[float], listeners: Sequence[Plugin] = (), store: Path | None = None
    ) -> Iterator[Trajectory]:
        """In a store of its own."""
        with tempfile.TemporaryDirectory() as folder:
            yield Trajectory(
                self.task(),
                self.loaded(),
                listeners,
                self.options,
                0,
                Artifacts(store or Path(folder)),
                lambda what, step, of: None,
                levels,
            )

    @cached_property
    def overheard(self) -> Overheard:
        """One level, from start weights to evaluation."""
        observer, level = Observer(), self.level()
        listener = Plugin("session", "observer", observer, Locator("session", "observer", "conformance kit"))
        with watched() as seen:
            result = Overheard(observer, seen)
            try:
                with self.trajectory((level,), [listener]) as trajectory:
                    observer.listen(trajectory.talk)
                    result.measured = trajectory.measure(level)
            except (Exception, SystemExit) as error:
                result.error = error if isinstance(error, Exception) else HarnessError(f"SystemExit({error})")
        return result

    @cached_property
    def apart(self) -> Apart:
        """What it chooses in a process of its own, on the CPU and on another device."""
        return chosen_apart(self)

    @cached_property
    def undisturbed(self) -> dict[float, Measurement]:
        """{level: measurement} of a run in ascending order."""
        levels = self.levels((0.2, 0.5, 0.9))
        with self.trajectory(levels) as trajectory:
            return {level: trajectory.measure(level) for level in levels}


def _few(parameter: Tensor, draw: torch.Generator) -> Tensor:
    places = torch.randint(5, parameter.shape, generator=draw)
    return torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])[places]


FILLS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "drawn": lambda parameter, draw: torch.randn(parameter.shape, generator=draw) / 2,
    "few values": _few,
    "all equal": lambda parameter, draw: torch.full(parameter.shape, 0.5),
    "zeros": lambda parameter, draw: torch.zeros(parameter.shape),
}
"""Kinds of weights, by what is particular about them: drawn from a normal distribution, from five values, ..."""
