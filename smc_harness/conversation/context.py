"""What a hook may ask of the harness: one context for the task's hooks, one for the pruner's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness.declarations.structure import Structure
from smc_harness.errors import PluginError
from smc_harness.store.identity import seed_from

if TYPE_CHECKING:
    import torch

    from smc_harness.conversation.conversation import Conversation
    from smc_harness.conversation.walk import Walk
    from smc_harness.declarations.pretrained import Pretrained
    from smc_harness.declarations.structure import Block, NofM


@dataclass
class Context:
    """Common to both sides.

    name: of the plugin (a variant's own name). params: the plugin's parameters, an instance of its `params` class.
    seed: the cell's seed, 0 to --seeds - 1. session_seed: --seed. training: the task's training id.
    """

    name: str
    params: Any
    seed: int
    session_seed: int
    training: str
    conversation: Conversation | None = field(default=None, repr=False)
    logged: dict[str, Any] = field(default_factory=dict, repr=False)
    _generator: Any = field(default=None, repr=False)
    _purpose: tuple[object, ...] = ("start",)

    @property
    def device(self) -> torch.device:
        """Where the model and the batches are."""
        return self._talk().device

    @property
    def generator(self) -> torch.Generator:
        """A seeded CPU generator. Every hook call finds it at the start of the same stream."""
        if self._generator is None:
            import torch

            self._generator = torch.Generator().manual_seed(self.seed_for(*self._purpose))
        generator: torch.Generator = self._generator
        return generator

    def reseed(self, *purpose: object) -> None:
        """Start a new stream; called by the harness before each hook call. Free until something is drawn."""
        self._purpose, self._generator = purpose, None

    def seed_for(self, *purpose: object) -> int:
        """A 63-bit seed that follows (session seed, seed, training id, purpose)."""
        return seed_from(self.session_seed, self.seed, self.training, *purpose)

    def log(self, key: str, value: Any) -> None:
        """Keep a number or a short text with the cell's result.

        value: int, float, bool, str, None, or a tensor or array with one element. Raises PluginError for others.
        """
        if not isinstance(value, int | float | str | None) and hasattr(value, "item"):
            with suppress(RuntimeError, ValueError):
                value = value.item()
        if not isinstance(value, int | float | str | None):
            raise PluginError(f"{self.name}: log({key!r}, {type(value).__name__}); a number or a text would work")
        self.logged[str(key)] = value

    def _talk(self) -> Conversation:
        if self.conversation is None:
            raise PluginError(f"{self.name}: this hook is called before there is a model; only params and seed are set")
        return self.conversation


@dataclass
class TaskContext(Context):
    """Given to the hooks of a task.

    data_dir: --data-dir, or None. limit: most examples that are scored, or None.
    retraining: in `recipe`, whether the weights to train were already trained to the end.
    pretrained: where the checkpoint is that the hook of this name declared: name and revision for `from_pretrained`.
    """

    data_dir: Path | None = None
    pretrained: Pretrained | None = None
    limit: int | None = None
    retraining: bool = False

    @property
    def data(self) -> Mapping[str, Sequence[Any]]:
        """The splits that `prepare_data` returned."""
        return self._talk().data

    def batches(self, split: str, size: int) -> Iterator[Any]:
        """All examples of a split in order, collated `size` at a time, on the device."""
        return self._talk().batches_in_order(split, size)

    def outputs(
        self,
        split: str,
        size: int | None,
        function: Callable[[Any], Sequence[Any] | torch.Tensor],
        length: Callable[[Any], int] | None = None,
    ) -> list[Any]:
        """What a function of a batch gives for every example of a split, in order.

        function: receives at most `size` examples, collated, on the device; returns a tensor or sequence with one entry
        per example. Where memory runs out it is called again with half as many. length: of an example in tokens, those
        of all its inputs, to batch those of similar length. size: None: with their padding, as many tokens as suit the
        device, which is the quickest where lengths vary.
        """
        from smc_harness.conversation.memory import outputs, tokens_at_once

        talk = self._talk()
        return outputs(talk.split(split), size, talk.collate, function, length, tokens_at_once(talk.device))


@dataclass
class PrunerContext(Context):
    """Given to the hooks of a pruner.

    mask: {name: bool} so far, or None while the model is dense. step, total_steps: in `update_mask`.
    level: the level asked of the cell; set in `update_mask` alone, since scores and masks may serve several levels (a
    mask's own level is an argument of `apply_mask`). state: tensors that are kept and resumed with the
    trajectory, on the model's device; change the dict in place. structure: the allocation and the pattern that the
    pruner was told, or declares; set in every hook. kept: the harness's, behind `unmasked`.
    """

    step: int = 0
    total_steps: int = 0
    mask: Mapping[str, torch.Tensor] | None = None
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    structure: Structure = field(default_factory=Structure)
    kept: Mapping[str, torch.Tensor] | None = field(default=None, repr=False)
    _level: float | None = None

    @property
    def level(self) -> float:
        if self._level is None:
            raise PluginError(
                f"{self.name}: context.level is set in update_mask alone, since scores serve every level; "
                "use the level that apply_mask receives"
            )
        return self._level

    def prunable(self, model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
        """(name, parameter) over the scope, in scope order; a tied tensor once."""
        return self._talk().prunable(model)

    def batches(self, split: str, n: int, size: int | None = None) -> Iterator[Any]:
        """`n` examples of a split in batches of `size` (default: the recipe's), on the device.

        The examples are a seeded draw without replacement (again from the start when the split is used up); every
        call yields the same ones.
        """
        return self._talk().batches_drawn(split, n, size)

    def select(self, scores: Mapping[str, torch.Tensor], level: float, regrow: bool = False) -> dict[str, torch.Tensor]:
        """The mask of the highest scores, exact, under this pruner's allocation and pattern.

        It is what happens where a pruner has no `apply_mask`; one that has its own calls it, so that
        `--variant NAME=PRUNER,allocation=erk` works for it, too.
        scores: as `compute_scores` returns them. level: share of the scope to prune, what is pruned already included.
        regrow: whether what is pruned already may live again. Returns {name: bool tensor, True = keep}.
        """
        return self._talk().select(scores, level, regrow)

    @property
    def pattern(self) -> NofM | Block | None:
        """The pattern that this pruner's masks keep to, for one that changes them in `update_mask`."""
        return self.structure.pattern

    def unmasked(self, model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
        """(name, values) over the scope; under `Train(dead="kept")` the values from before the mask, detached."""
        kept = self.kept or {}
        return [(name, kept.get(name, parameter.detach())) for name, parameter in self.prunable(model)]

    def examples(self, split: str) -> int:
        """How many examples a split has."""
        return len(self._talk().split(split))

    @property
    def batch_size(self) -> int:
        """Examples per optimiser step of the task's recipe."""
        return self._talk().batch_size

    @property
    def head(self) -> tuple[str, ...]:
        """Globs over the names of the parameters of the task's output layers; empty where the task does not say."""
        declared = self._talk().task_plugin.declared("head", ())
        return (declared,) if isinstance(declared, str) else tuple(declared)

    def loss(self, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        """The task's training loss: a scalar, the mean over the batch; in the precision of the run."""
        return self._talk().loss(model, batch)

    def blocks(self, model: torch.nn.Module) -> Sequence[torch.nn.Module]:
        """The model's blocks in forward order."""
        return self._talk().blocks(model)

    def walk(self, model: torch.nn.Module, examples: int) -> Walk:
        """Go over the model block by block, for a pruner that calibrates linear layers on what they read.

        For use in `apply_mask`. Each block reads what the ones before it give as they are left: pruned, where
        `block.prune` was called, and dense where not. examples: of the training split, to calibrate on, the same ones
        in every walk. The masks together are `walk.mask`.

            walk = context.walk(model, 128)
            for block in walk:
                block.observe(lambda names, inputs: ...)
                block.prune({name: ... for name, layer in block.layers.items()})
            return walk.mask
        """
        return self._talk().walk(model, examples)

    def shares(
        self, model: torch.nn.Module, level: float, densities: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """{name: level of that tensor} under this pruner's allocation, for a pruner that takes one after another.

        `context.select({name: scores}, shares[name])` then gives each its exact count, and all of them the level's.
        densities: what those of the tensors are proportional to, in place of the allocation; as far as 1 goes.
        Raises UsageError for the allocation `global`, under which a tensor's share depends on the scores of all.
        """
        return self._talk().shares(model, level, densities)
