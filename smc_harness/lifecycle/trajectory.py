"""One trajectory: all levels of one (task, pruner, seed), walked as chains of stages.

Every stage has a key, hash(parent key, stage, who acts in it). A state is looked for under its key before it is
computed, in the store and in memory: this one mechanism shares the dense training, the scores and the rounds of
iterative pruners between levels, and lets a killed run go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from smc_harness.cells import AGREEMENT, Measurement
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements
from smc_harness.conversation.scoring import compute_scores, restored
from smc_harness.declarations.outcomes import Outcomes
from smc_harness.declarations.plans import Prune, Rewind, Stage, Train
from smc_harness.declarations.structure import Structure
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError
from smc_harness.lifecycle import keys, state
from smc_harness.lifecycle.checkpoints import Checkpoint, Checkpoints
from smc_harness.lifecycle.controls import control_mask
from smc_harness.lifecycle.diagnosis import diagnose
from smc_harness.lifecycle.state import State
from smc_harness.sparsity import mask as masks
from smc_harness.sparsity.patterns import broken
from smc_harness.sparsity.scope import not_linear
from smc_harness.sparsity.select import turn
from smc_harness.store import per_example
from smc_harness.store.artifacts import Artifacts
from smc_harness.training.trainer import Training, without_best

Progress = Callable[[str, int, int], None]
"""(what is being done, step, of)"""


class InapplicableError(PluginError):
    """The pruner says that it cannot prune what is in this scope: a reason to skip, not an error."""


@dataclass(frozen=True)
class _Scored:
    """One scoring and all that it left, for every level that prunes from the state with key `at`."""

    at: str
    scores: dict[str, Tensor] | None
    state: dict[str, Tensor]
    logged: dict[str, Any]


class Trajectory:
    """Measures one level after another. pruner: None for the dense model.

    levels: every level that may be asked for; states from which more than one plan goes on are kept in the store.
    dense: key of the dense model's outcomes, where there are any.
    """

    def __init__(
        self,
        task: Plugin,
        pruner: Plugin | None,
        listeners: Sequence[Plugin],
        options: RunOptions,
        seed: int,
        artifacts: Artifacts,
        progress: Progress,
        levels: Sequence[float] = (),
        dense: str | None = None,
    ) -> None:
        self.talk = Conversation(task, pruner, listeners, options, seed)
        self.artifacts = artifacts
        self.dense = dense
        self.progress = progress
        self.root = keys.root(task, options, seed)
        self._model: nn.Module | None = None
        self._state: State | None = None
        self._scored: _Scored | None = None
        self._failures: dict[str, Exception] = {}
        self._checkpoints = Checkpoints(artifacts)
        self._plans = {level: self.plan(level) for level in levels} if pruner else {}
        self._continued = self._continued_keys()
        self._steps = 0
        self._level: float | None = None
        self._chosen: list[tuple[int, ...]] = []
        self._replayed: tuple[tuple[int, ...], ...] = ()
        self._own: Trajectory | None = None
        if pruner is not None and pruner.own is not None:
            self._own = Trajectory(task, pruner.own, listeners, options, seed, artifacts, progress, levels)

    # -- one level ----------------------------------------------------------------------------------------------

    def measure(self, level: float | None) -> Measurement:
        """Run the plan of a level (None: the dense training alone) and evaluate on `test`.

        Raises whatever a plugin raises; a stage that failed once raises the same again for every level that needs it.
        """
        started = time.perf_counter()
        self._steps = 0
        self.talk.pruner.logged.clear()
        self.talk.task.logged.clear()
        plan: Sequence[Stage] = [Train()] if level is None else self._plans[level]
        key = self.walk(plan, level)
        model, now = self._live()
        prunable = self.talk.prunable(model)
        self.progress("evaluate", 0, 1)
        outcomes, value = self._evaluate(model, dense=level is None)
        masks.audit(now.mask, prunable, "after evaluation")
        self._check_pattern(now.mask, level)
        declared = self.talk.task_plugin.declared
        kept = keys.cell(key, self.talk.task_plugin, self.talk.options)
        per_example.hand_over(self.artifacts, kept, outcomes, self.dense, {"history": now.history})
        self._checkpoints.clear()
        pruned = masks.pruned(now.mask)
        in_scope = sum(parameter.numel() for _, parameter in prunable)
        realised = pruned / in_scope if in_scope else 0.0
        densities = masks.densities(now.mask, prunable)
        return Measurement(
            value=value,
            n=len(outcomes),
            seconds=time.perf_counter() - started,
            steps=self._steps,
            realised=realised,
            realised_model=pruned / sum(parameter.numel() for parameter in model.parameters()),
            densities=densities,
            diagnosis=diagnose(densities, outcomes, realised, declared("head", ()), declared("prediction", "class")),
            logged=dict(self.talk.pruner.logged | self.talk.task.logged),
            outcomes=kept,
        )

    def _evaluate(self, model: nn.Module, dense: bool) -> tuple[Outcomes, float]:
        """Outcomes and metric on `test`; of a dense model also what the precision of the evaluation makes of them."""
        apart = self.talk.options.evaluated_apart
        if apart is None or not dense:
            return self.talk.evaluate(model, "test", apart)
        plain, score = self.talk.evaluate(model, "test")
        outcomes, value = self.talk.evaluate(model, "test", apart)
        for name, found in zip(AGREEMENT, (apart, plain.agreement(outcomes), value - score), strict=True):
            self.talk.task.log(name, found)
        return outcomes, value

    def plan(self, level: float) -> Sequence[Stage]:
        assert self.talk.pruner_plugin is not None
        return keys.plan_of(self.talk.hook, self.talk.pruner_plugin, level, self.talk.pruner)

    # -- chains of stages ---------------------------------------------------------------------------------------

    def walk(self, plan: Sequence[Stage], level: float | None) -> str:
        """Bring the model to the end of a plan, from the furthest state that exists. Returns the last key."""
        self.talk.pruner._level = self._level = level
        self._check_applicable()
        chain = self._chain(plan, level)
        self._replayed = self._own.history(plan, level) if self._own is not None else ()
        present = len(chain)
        while present > 0 and not self._restore(chain[present - 1]):
            present -= 1
        if present == 0:
            self._start()
        for index in range(present, len(plan)):
            self._run(plan[index], chain[index], level)
        return chain[-1] if chain else self.root

    def history(self, plan: Sequence[Stage], level: float | None) -> tuple[tuple[int, ...], ...]:
        """How many weights of each tensor every pruning of a plan kept: from its measurement, or by walking so far."""
        measured = keys.cell(self._chain(plan, level)[-1], self.talk.task_plugin, self.talk.options)
        if (kept := self.artifacts.load(measured)) is not None:
            found = state.read_history(kept[1])
            if found is not None:
                return found
        pruning = [i for i, stage in enumerate(plan) if isinstance(stage, Prune) or getattr(stage, "prune", None)]
        self.walk(plan[: max(pruning, default=-1) + 1], level)
        return self._live()[1].history

    def _chain(self, plan: Sequence[Stage], level: float | None) -> list[str]:
        return keys.chain(self.root, plan, level, self.talk.pruner_plugin, self.talk.options.scope)

    def _follows_mask(self) -> bool:
        return self._own is None and implements(self.talk.pruner_plugin, "update_mask")

    def _continued_keys(self) -> set[str]:
        """Keys of trained states from which some plan goes on."""
        found = set()
        for level, plan in self._plans.items():
            chain = self._chain(plan, level)
            found |= {key for key, stage in zip(chain[:-1], plan[:-1], strict=True) if isinstance(stage, Train)}
        return found

    def _run(self, stage: Stage, key: str, level: float | None) -> None:
        self._raise_again(key)
        model, now = self._live()
        self._state = None  # whatever happens below, the model no longer is at the old state
        self._chosen = list(now.history)
        try:
            match stage:
                case Train():
                    after = self._train(stage, now, key, level)
                case Prune():
                    after = self._prune(stage.level, now, key)
                case Rewind():
                    after = self._rewind(stage, now, key)
                case _:
                    raise PluginError(
                        f"{self.talk.pruner.name}: {stage!r} in a plan; Train, Prune or Rewind would work"
                    )
        except Exception as error:
            self._failures[key] = error.with_traceback(None)
            raise
        after = replace(after, plugin=_own(after.plugin), history=tuple(self._chosen))
        self._state = after
        masks.audit(after.mask, self.talk.prunable(model), f"after {type(stage).__name__.lower()}")
        if key in self._continued or (level is None and isinstance(stage, Train)):
            self.artifacts.save(key, *state.pack(after, model))

    def _raise_again(self, what: str) -> None:
        if what in self._failures:
            raise self._failures[what]

    # -- stages -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """The start weights; built once per process, then copied back from the store."""
        if self._model is not None and self._restore(self.root):
            return
        self._model = self.talk.build_model()
        self._state = State(self.root)
        if (kept := self.artifacts.load(self.root)) is None:
            self.artifacts.save(self.root, *state.pack(self._state, self._model))
        else:
            state.check_same(kept[0], self._model)

    def _train(self, stage: Train, before: State, key: str, level: float | None) -> State:
        model, pruner, task = self._model, self.talk.pruner, self.talk.task
        assert model is not None
        start = 0.0 if before.progress >= 1.0 else before.progress
        recipe = self.talk.recipe(retraining=before.turn > 0)
        steps = round(stage.until * recipe.steps) - round(start * recipe.steps)
        dense = before.mask is None and stage.prune is None
        point = self._checkpoints.take_up(key, model)
        if point is not None:
            before, start = point.state, point.state.progress
            self._chosen = list(before.history)
            pruner.logged |= point.logged[0]
            task.logged |= point.logged[1]
        turn = before.turn

        def keep(step: int) -> None:
            if self._checkpoints.due:
                now = State(key, training.mask, step / recipe.steps, turn, _own(pruner.state), training.packed())
                now.history = tuple(self._chosen)
                logs = dict(pruner.logged), dict(task.logged)
                self._checkpoints.save(key, Checkpoint(now, training.level, logs), model)

        pruner.mask, pruner.state = before.mask, dict(before.plugin)
        what = "train" if turn == 0 else "retrain"
        training = Training(
            self.talk,
            model,
            recipe,
            turn=turn,
            mask=before.mask,
            schedule=stage.prune,
            prune_to=self._reprune,
            follow_mask=self._follows_mask() and not dense,
            dead=stage.dead,
            level=point.level if point is not None else None,
            epoch_ended=keep,
            progress=partial(self.progress, what if level is not None else "train dense"),
        )
        self._checkpoints.begin()
        packed = training.run(start, stage.until, before.optimizer)
        self._steps += steps
        done = stage.until >= 1.0
        return State(key, training.mask, stage.until, turn + 1 if done else turn, dict(pruner.state), packed)

    def _prune(self, level: float, before: State, key: str) -> State:
        pruner = self.talk.pruner
        if self._own is not None:
            return State(key, self._replay(), before.progress, before.turn, {}, without_best(before.optimizer))
        pruner.mask, pruner.state = before.mask, dict(before.plugin)
        if self._scored is None or self._scored.at != before.key:
            self._raise_again(failure := f"scores at {before.key}")
            try:
                scores = self._score(before.turn, masks.pruned(before.mask))
            except Exception as error:
                self._failures[failure] = error.with_traceback(None)
                raise
            self._scored = _Scored(before.key, scores, dict(pruner.state), dict(pruner.logged))
        pruner.state = dict(self._scored.state)
        pruner.logged |= self._scored.logged
        mask = self._choose(self._scored.scores, level)
        return State(key, mask, before.progress, before.turn, dict(pruner.state), without_best(before.optimizer))

    def _reprune(self, level: float) -> dict[str, Tensor]:
        """Score and prune within a training stage."""
        if self._own is not None:
            return self._replay()
        self.talk.pruner.mask = mask = self._choose(self._score("scheduled", level), level)
        return mask

    def _replay(self) -> dict[str, Tensor]:
        """The control's mask in place of the one that the pruner's own run had at this pruning."""
        model = self._model
        assert model is not None and self.talk.pruner_plugin is not None
        prunable = self.talk.prunable(model)
        kept = self._replayed[len(self._chosen)]
        plugin, seed = self.talk.pruner_plugin, self.talk.pruner.seed_for("control")
        mask = control_mask(plugin.control, kept, prunable, plugin.structure, seed, self.talk.turned)
        masks.put_on(mask, prunable)
        self._chosen.append(masks.kept(mask))
        return mask

    def _rewind(self, stage: Rewind, before: State, key: str) -> State:
        sparse = before.mask
        if stage.to > 0.0:
            prefix = [Train(until=stage.to)]
            (rewound,) = self._chain(prefix, None)
            if not self._restore(rewound):
                self._start()
                self._run(prefix[0], rewound, None)
            _, now = self._live()
        else:
            self._start()
            now = State(self.root)
        model, _ = self._live()
        if sparse is not None:
            masks.put_on(sparse, self.talk.prunable(model))
        return State(key, sparse, now.progress, now.turn, before.plugin, without_best(now.optimizer))

    def _score(self, *purpose: object) -> dict[str, Tensor] | None:
        assert self._model is not None
        self.progress("score", 0, 1)
        with self._without_level():
            return compute_scores(self.talk, self._model, *purpose)

    def _choose(self, scores: dict[str, Tensor] | None, level: float) -> dict[str, Tensor]:
        """Let the pruner choose the mask for a level, and zero what is pruned."""
        model, pruner = self._model, self.talk.pruner
        assert model is not None
        prunable = self.talk.prunable(model)
        own = scores
        if scores is not None and implements(self.talk.pruner_plugin, "apply_mask"):
            own = {name: tensor.clone() for name, tensor in scores.items()}  # it may write on them; other levels follow
        with self._without_level(), restored(model), torch.no_grad(), self.talk.seeded(pruner, "mask", level):
            model.eval()
            self.talk.selected = False
            given = self.talk.hook.apply_mask(model=model, scores=own, level=level, context=pruner)
        mask = masks.check_mask(given, prunable, pruner.name)
        self._check_structure()
        masks.put_on(mask, prunable)
        self._chosen.append(masks.kept(mask))
        return mask

    def _check_structure(self) -> None:
        """Raise PluginError if the pruner was told an allocation or a pattern and did not use it."""
        plugin = self.talk.pruner_plugin
        if plugin is not None and plugin.structure != Structure() and not self.talk.selected:
            raise PluginError(
                f"{plugin.name}: its apply_mask chooses the weights itself, so {plugin.structure} has no effect; "
                "context.select(scores, level) there would work"
            )

    def _check_pattern(self, mask: dict[str, Tensor] | None, level: float | None) -> None:
        """Raise PluginError if the complete pattern was asked for and is not there."""
        plugin = self.talk.pruner_plugin
        pattern = plugin.structure.pattern if plugin is not None else None
        if plugin is None or pattern is None or mask is None or (plugin.levels and level not in plugin.levels):
            return
        if (name := broken(turn(mask, self.talk.turned), pattern)) is not None:
            raise PluginError(f"{self.talk.pruner.name}: the mask of {name!r} is not {pattern} at the end of the plan")

    @contextmanager
    def _without_level(self) -> Iterator[None]:
        """Hide the cell's level: what is computed here serves other levels, too."""
        self.talk.pruner._level = None
        try:
            yield
        finally:
            self.talk.pruner._level = self._level

    # -- keeping and finding states -----------------------------------------------------------------------------

    def _live(self) -> tuple[nn.Module, State]:
        assert self._model is not None and self._state is not None
        return self._model, self._state

    def _restore(self, key: str) -> bool:
        """Bring the model to a kept state, if there is one."""
        if self._state is not None and self._state.key == key:
            return True
        if not self.artifacts.has(key) or (kept := self.artifacts.load(key)) is None:
            return False
        if self._model is None:
            self._model = self.talk.build_model()
        self._state = None
        self._state = state.unpack(key, *kept, self._model)
        masks.audit(self._state.mask, self.talk.prunable(self._model), "after loading")
        return True

    def _check_applicable(self) -> None:
        """Raise InapplicableError if the pruner can prune linear layers only and the scope has other tensors."""
        plugin = self.talk.pruner_plugin
        if plugin is None or plugin.declared("prunes", "all") != "linear":
            return
        if self._model is None:
            self._start()
        assert self._model is not None
        names = [name for name, _ in self.talk.prunable(self._model)]
        if others := not_linear(self._model, names):
            raise InapplicableError(
                f"{plugin.name} prunes linear layers only; scope {self.talk.options.scope!r} also has {others[0]!r}"
            )


def _own(plugin: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a pruner's state, which may hold views of weights that go on changing."""
    return {name: tensor.detach().clone() for name, tensor in plugin.items()}
