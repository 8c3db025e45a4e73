"""A cell is a conversation between one task and one pruner, overheard by every session plugin.

One small plugin manager per conversation holds the harness's defaults, the task, the pruner, and the session plugins
that wrap. Everything that a hook may ask for through its context is answered here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from smc_harness import hookspecs
from smc_harness.conversation.context import Context, PrunerContext, TaskContext
from smc_harness.conversation.device import forward_pass
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import relay
from smc_harness.conversation.splits import Kept, checked, with_valid
from smc_harness.conversation.walk import Keeper, Walk
from smc_harness.declarations.outcomes import Outcomes
from smc_harness.declarations.recipe import Recipe
from smc_harness.declarations.structure import Structure
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError
from smc_harness.sparsity import scope
from smc_harness.sparsity.select import select, shares

_splits = Kept()
"""Of this process: the cells of a task share its data."""


class Conversation:
    """One task, one pruner (or none: the dense model), one seed."""

    def __init__(
        self, task: Plugin, pruner: Plugin | None, listeners: Sequence[Plugin], options: RunOptions, seed: int
    ) -> None:
        self.task_plugin = task
        self.pruner_plugin = pruner
        self.options = options
        self.device = torch.device(options.device)
        common = {"seed": seed, "session_seed": options.session_seed, "training": task.training, "conversation": self}
        self.task = TaskContext(
            name=task.name,
            params=task.params,
            data_dir=Path(options.data_dir) if options.data_dir else None,
            pretrained=options.pretrained,
            limit=options.limit,
            **common,  # type: ignore[arg-type]
        )
        self.pruner = PrunerContext(
            name=pruner.name if pruner else "dense",
            params=pruner.params if pruner else None,
            structure=pruner.structure if pruner else Structure(),
            **common,  # type: ignore[arg-type]
        )
        self.hook = relay(task, pruner, listeners)
        self.keeper: Keeper | None = None  # of blocks, for walks
        self.selected = False  # whether the pruner left the choice of the weights to `select`
        self._data: Mapping[str, Sequence[Any]] | None = None
        self._names: list[str] | None = None
        self.turned: frozenset[str] = frozenset()  # names of weights that are [inputs, outputs]
        self._batch_size: int | None = None

    # -- what the task provides ---------------------------------------------------------------------------------

    @property
    def data(self) -> Mapping[str, Sequence[Any]]:
        if self._data is not None:
            return self._data
        read = (self.options.data_identity(), self.options.data_dir, self.options.pretrained)
        key = (self.task_plugin.identity, self.task.session_seed, self.task.seed, *read)
        self._data = _splits.get(key)
        if self._data is None:
            with self.seeded(self.task, "data"):
                given = self._required("prepare_data", self.hook.prepare_data(context=self.task))
            self._data = checked(given, self.options.limit, self.task.name)
            # before anyone sees the splits, so that a vocabulary is built from the same examples in every process
            selection = self.recipe(retraining=False).selection
            if selection is not None and selection.split == "valid" and "valid" not in given:
                self._data = with_valid(self._data, self.task.seed_for("valid"))
            _splits.put(key, self._data)
        return self._data

    def build_model(self) -> nn.Module:
        """The model with its start weights, on the device."""
        self.data  # noqa: B018  the splits exist, and their own seeding is over, before the model is drawn
        self.batch_size  # noqa: B018  asked now, so that no later hook call finds the recipe's draws before it
        with self.seeded(self.task, "model"):
            model = self._required("prepare_model", self.hook.prepare_model(context=self.task))
        if not isinstance(model, nn.Module):
            raise PluginError(f"{self.task.name}: prepare_model returned {type(model).__name__}; a Module would work")
        with self.seeded(self.task, "prunable"):
            presets = self._required("prunable", self.hook.prunable(model=model, context=self.task))
        self.adopt(model, scope.resolve(presets, self.options.scope, model, self.task.name))
        return model.to(self.device)

    def adopt(self, model: nn.Module, names: Sequence[str]) -> None:
        """Take these parameters of a model for what is prunable from now on."""
        self._names = list(names)
        self.turned = scope.turned(model, names)

    def recipe(self, retraining: bool) -> Recipe:
        self.task.retraining = retraining
        with self.seeded(self.task, "recipe"):
            found = self._required("recipe", self.hook.recipe(context=self.task))
        if not isinstance(found, Recipe):
            raise PluginError(f"{self.task.name}: recipe returned {type(found).__name__}; a Recipe would work")
        return found

    def evaluate(self, model: nn.Module, split: str, precision: str | None = None) -> tuple[Outcomes, float]:
        """Outcomes and metric of the model on a split. Raises PluginError unless there is one outcome per example.

        precision: where it is another than the run's.
        """
        was_training = model.training
        model.eval()
        with torch.inference_mode(), self.seeded(self.task, "evaluate"):
            with forward_pass(self.device, precision or self.options.precision):
                outcomes = self._required("evaluate", self.hook.evaluate(model=model, split=split, context=self.task))
            if not isinstance(outcomes, Outcomes):
                raise PluginError(f"{self.task.name}: evaluate returned {type(outcomes).__name__}; Outcomes would work")
            outcomes = _on_cpu(outcomes)
            if len(outcomes) != len(self.data[split]):
                raise PluginError(
                    f"{self.task.name}: evaluate gave {len(outcomes)} outcomes for {len(self.data[split])} examples of "
                    f"{split!r}; one per example would work"
                )
            value = float(self._required("aggregate", self.hook.aggregate(outcomes=outcomes, context=self.task)))
        model.train(was_training)
        if not torch.isfinite(outcomes.values).all() or value != value:
            raise PluginError(f"{self.task.name}: evaluate gave a NaN or infinite outcome on {split!r}")
        return outcomes, value

    # -- what a pruner may ask for ------------------------------------------------------------------------------

    def prunable(self, model: nn.Module) -> list[tuple[str, nn.Parameter]]:
        if self._names is None:
            raise PluginError(f"{self.pruner.name}: there is no model yet")
        parameters = dict(model.named_parameters(remove_duplicate=False))
        return [(name, parameters[name]) for name in self._names]

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        with forward_pass(self.device, self.options.precision):
            loss = self._required("compute_loss", self.hook.compute_loss(model=model, batch=batch, context=self.task))
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise PluginError(f"{self.task.name}: compute_loss must return a scalar tensor, the mean over the batch")
        return loss

    def select(self, scores: Mapping[str, Tensor], level: float, regrow: bool) -> dict[str, Tensor]:
        assert self.pruner_plugin is not None
        self.selected = True
        alive = None
        if self.pruner.mask is not None and not regrow:
            alive = {name: self.pruner.mask[name].to(tensor.device) for name, tensor in scores.items()}
        return select(scores, level, self.pruner_plugin.structure, alive, self.turned)

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        found: Sequence[nn.Module] = self._required("blocks", self.hook.blocks(model=model, context=self.task))
        return found

    def walk(self, model: nn.Module, examples: int) -> Walk:
        names = [name for name, _ in self.prunable(model)]
        batches = partial(self.batches_drawn, "train", examples, None)
        return Walk(model, self.blocks(model), names, self.loss, batches, self.keeper)

    def shares(self, model: nn.Module, level: float, densities: Mapping[str, float] | None) -> dict[str, float]:
        self.selected = True
        shapes = {name: parameter.shape for name, parameter in self.prunable(model)}
        return shares(shapes, level, self.pruner.structure, densities, self.pruner.name)

    def collate(self, examples: list[Any]) -> Any:
        batch = self._required("collate", self.hook.collate(examples=examples, context=self.task))
        return _to_device(batch, self.device)

    def batches_in_order(self, split: str, size: int) -> Iterator[Any]:
        examples = self.split(split)
        for start in range(0, len(examples), size):
            yield self.collate([examples[i] for i in range(start, min(start + size, len(examples)))])

    @property
    def batch_size(self) -> int:
        if self._batch_size is None:
            self._batch_size = self.recipe(retraining=False).batch_size
        return self._batch_size

    def batches_drawn(self, split: str, n: int, size: int | None) -> Iterator[Any]:
        examples = self.split(split)
        size = size or self.batch_size
        order: list[int] = []
        turn = 0
        while len(order) < n:
            generator = torch.Generator().manual_seed(self.pruner.seed_for("batches", split, turn))
            order += torch.randperm(len(examples), generator=generator).tolist()
            turn += 1
        for start in range(0, n, size):
            yield self.collate([examples[i] for i in order[start : min(start + size, n)]])

    def split(self, split: str) -> Sequence[Any]:
        if split not in self.data:
            raise PluginError(f"{self.task.name}: no split {split!r}; it has {', '.join(self.data)}")
        return self.data[split]

    # -- manners ------------------------------------------------------------------------------------------------

    @contextmanager
    def seeded(self, context: Context, *purpose: object) -> Iterator[None]:
        """Seed the context's generator and the global ones; restore the global ones afterwards.

        Where the pruner is called, the task is seeded as well: the pruner may ask it for batches and losses.
        """
        who = (context.name,) if context is self.pruner else ()
        with isolated_random(context.seed_for(*who, *purpose)):
            self.task.reseed(*purpose)
            context.reseed(*who, *purpose)
            yield

    def _required(self, hook: str, result: Any) -> Any:
        if result is None:
            side = self.pruner.name if hook in hookspecs.PRUNER_HOOKS else self.task.name
            raise PluginError(f"{side}: {hook} returned None")
        return result


@contextmanager
def isolated_random(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python; restore what they were on the way out."""
    python, numbers = random.getstate(), numpy.random.get_state()
    # left to itself, fork_rng would start CUDA for a run on the CPU
    gpus = range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(gpus, device_type="cuda"):
        seed_globally(seed)
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(numbers)


def seed_globally(seed: int) -> None:
    """Seed the global generators. Cheap enough for every training step, which `torch.manual_seed` is not."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)


def _on_cpu(outcomes: Outcomes) -> Outcomes:
    """The same outcomes where statistics and reports want them, in float32 or wider."""
    values, predictions = outcomes.values, outcomes.predictions
    return replace(
        outcomes,
        values=values.to("cpu", torch.promote_types(values.dtype, torch.float32)),
        predictions=predictions.cpu() if predictions is not None else None,
    )


def _to_device(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return type(batch)({key: _to_device(value, device) for key, value in batch.items()})  # type: ignore[call-arg]
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(_to_device(value, device) for value in batch)
    return batch
