"""The training loop: one for the dense model and every pruner.

Order of one step: re-prune if the schedule says so, backward, `update_mask`, mask the gradients, clip, optimiser step,
zero the dead weights. Data order and dropout follow (session seed, seed, training id, step), so they are the same for
every pruner and level, and a training may stop and go on at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation, isolated_random, seed_globally
from smc_harness.conversation.memory import release
from smc_harness.declarations.plans import Dead
from smc_harness.declarations.recipe import Recipe
from smc_harness.errors import PluginError
from smc_harness.sparsity import mask as masks
from smc_harness.training import optimizer as optimizers

Mask = dict[str, Tensor]
_BEST = "best:"
_KEPT = "kept:"


def without_best(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `Training.packed` gave, but for the best weights so far: for a model that gets another mask."""
    return {name: tensor for name, tensor in packed.items() if not name.startswith(_BEST)}


@dataclass
class Enforcer:
    """A mask in the form that training uses: float tensors beside their parameters.

    Multiplying by a float mask is several times cheaper than by a bool one.
    """

    mask: Mask
    parameters: list[Tensor]
    floats: list[Tensor]

    @classmethod
    def of(cls, mask: Mask, prunable: masks.Prunable) -> Enforcer:
        parameters: list[Tensor] = [parameter for _, parameter in prunable]
        return cls(mask, parameters, [mask[name].to(parameter.dtype) for name, parameter in prunable])

    def mask_gradients(self) -> None:
        # an empty scope has nothing to multiply, which torch refuses to do
        pairs = [(p.grad, m) for p, m in zip(self.parameters, self.floats, strict=True) if p.grad is not None]
        if pairs:
            gradients, floats = zip(*pairs, strict=True)
            torch._foreach_mul_(list(gradients), list(floats))

    @torch.no_grad()
    def mask_weights(self) -> None:
        if self.parameters:
            torch._foreach_mul_(self.parameters, self.floats)


class Training:
    """One stage of training, from fraction `start` to fraction `until` of a recipe.

    mask: the mask at the start, or None. schedule: fraction -> level, or None. prune_to: scores and prunes the model to
    a level, returns the new mask. follow_mask: whether the pruner's `update_mask` is called. dead: see `Train`. level:
    to which the schedule has pruned; None: what the mask has. turn: how many trainings of these weights were completed
    before, which sets data order and dropout apart. epoch_ended: told the steps done, but not at the last one, and may
    ask for `packed`. progress: told (step, of).
    """

    def __init__(
        self,
        conversation: Conversation,
        model: nn.Module,
        recipe: Recipe,
        *,
        turn: int,
        mask: Mask | None,
        schedule: Callable[[float], float] | None,
        prune_to: Callable[[float], Mask],
        follow_mask: bool,
        dead: Dead = "masked",
        level: float | None = None,
        epoch_ended: Callable[[int], None] = lambda step: None,
        progress: Callable[[int, int], None],
    ) -> None:
        self.conversation = conversation
        self.model = model
        self.recipe = recipe
        self.micro_batch = recipe.micro_batch
        self.turn = turn
        self.schedule = schedule
        self.prune_to = prune_to
        self.follow_mask = follow_mask
        self.dead = dead
        self.kept: dict[str, Tensor] = {}
        self.epoch_ended = epoch_ended
        self.progress = progress
        self.prunable = conversation.prunable(model)
        total = sum(parameter.numel() for _, parameter in self.prunable)
        realised = masks.pruned(mask) / total if mask is not None and total else 0.0
        self.level = realised if level is None else level
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        groups = recipe.parameter_groups(model) if recipe.parameter_groups else None
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = recipe.optimizer(groups if groups is not None else [{"params": trainable}])
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.clipped = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.enforcer: Enforcer | None = None
        self._best: tuple[float, dict[str, Tensor], Mask | None] | None = None
        if recipe.selection is not None:
            conversation.task.log("selected_on", recipe.selection.split)
        if mask is not None:
            self._enforce(mask)

    @property
    def mask(self) -> Mask | None:
        return self.enforcer.mask if self.enforcer else None

    def run(self, start: float, until: float, packed: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Train. packed: optimiser state of the part before `start`. Returns that of the part up to `until`."""
        first, last, total = round(start * self.recipe.steps), round(until * self.recipe.steps), self.recipe.steps
        if packed:
            if self.dead == "kept":
                kept = {n.removeprefix(_KEPT): t for n, t in packed.items() if n.startswith(_KEPT)}
                self.kept = {n: t.to(self.conversation.device, copy=True) for n, t in kept.items()}
            state = {name: tensor for name, tensor in packed.items() if not name.startswith(_KEPT)}
            optimizers.unpack(self.optimizer, self._take_best(state), self.names)
            if self.enforcer is not None:
                self._enforce(self.enforcer.mask)
        self.model.train()
        self._remember()
        with isolated_random(0):
            for step, (indices, ends_epoch) in zip(range(first, last), self._batches(first), strict=False):
                self._step(step, indices, final=step == last - 1)
                if step % 10 == 0:
                    self.progress(step, total)
                if ends_epoch and step < last - 1:
                    self.epoch_ended(step + 1)
        if self.schedule is not None:
            self._reprune(until)
        masks.audit(self.mask, self.prunable, "after training")
        if self._best is not None and until == 1.0:
            self._restore_best()
        self.model.train(False)
        return self.packed() if until < 1.0 else {}

    def packed(self) -> dict[str, Tensor]:
        """What a training that goes on from here needs beside weights and mask."""
        self._remember()
        kept = {f"{_KEPT}{name}": tensor for name, tensor in self.kept.items()}
        return {**optimizers.pack(self.optimizer, self.names), **kept, **self._pack_best()}

    def _step(self, step: int, indices: list[int], final: bool) -> None:
        total = self.recipe.steps
        if self.schedule is not None:
            self._reprune(step / total)
        self._backward(step, indices)
        if self.follow_mask:
            self._update_mask(step)
        if final:
            # everything a plugin could do to the weights before the last step's own zeroing would go unseen after it
            masks.audit(self.mask, self.prunable, f"at training step {step}")
        if self.enforcer is not None and self.dead != "unmasked":
            self.enforcer.mask_gradients()
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.clipped, self.recipe.clip)
        factor = self.recipe.schedule(step, total) if self.recipe.schedule else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        if self.enforcer is not None:
            self.enforcer.mask_weights()
        selection = self.recipe.selection
        if selection is not None and ((step + 1) % selection.every == 0 or step + 1 == total):
            self._consider(selection.split)

    def _backward(self, step: int, indices: list[int]) -> None:
        """The gradient of the mean loss over the step's examples; where memory runs out, half as many at a time."""
        task = self.conversation.task
        size = self.micro_batch or len(indices)
        while True:
            seed_globally(task.seed_for("step", self.turn, step))
            task.reseed("step", self.turn, step)
            self.optimizer.zero_grad(set_to_none=True)
            try:
                self._accumulate(step, indices, size)
                return
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
            size = self.micro_batch = size // 2
            task.log("micro_batch", size)
            release()

    def _accumulate(self, step: int, indices: list[int], size: int) -> None:
        train = self.conversation.data["train"]
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            loss = self.conversation.loss(self.model, self.conversation.collate([train[i] for i in part]))
            if not torch.isfinite(loss):
                raise PluginError(f"{self.conversation.task.name}: the training loss is {loss.item()} at step {step}")
            share = loss if len(part) == len(indices) else loss * (len(part) / len(indices))
            share.backward()  # type: ignore[no-untyped-call]

    def _batches(self, first: int) -> Iterator[tuple[list[int], bool]]:
        """Index lists from step `first` on, and whether each is its epoch's last; every epoch has its own order."""
        examples = len(self.conversation.data["train"])
        size, step, epoch = self.recipe.batch_size, 0, 0
        while True:
            seed = self.conversation.task.seed_for("order", self.turn, epoch)
            generator = torch.Generator().manual_seed(seed)
            if self.recipe.batch_order is not None:
                batches: Sequence[list[int]] = list(self.recipe.batch_order(examples, size, generator))
            else:
                order = torch.randperm(examples, generator=generator).tolist()
                batches = [order[i : i + size] for i in range(0, examples, size)]
            if not batches:
                raise PluginError(f"{self.conversation.task.name}: batch_order gave no batch of {examples} examples")
            for place, batch in enumerate(batches, start=1):
                if step >= first:
                    yield batch, place == len(batches)
                step += 1
            epoch += 1

    # -- masks --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _enforce(self, mask: Mask) -> None:
        before, self.enforcer = self.mask, Enforcer.of(mask, self.prunable)
        for name, parameter in self.prunable:
            if before is not None and name in self.kept:
                revived = mask[name] & ~before[name]
                parameter.copy_(torch.where(revived, self.kept[name], parameter))
        self.enforcer.mask_weights()
        if self.dead != "unmasked":
            optimizers.mask_state(
                self.optimizer, list(zip([p for _, p in self.prunable], self.enforcer.floats, strict=True))
            )

    @torch.no_grad()
    def _remember(self) -> None:
        """Under `dead="kept"`, take down the values of the living weights; a dead one keeps what it had."""
        if self.dead != "kept":
            self.conversation.pruner.kept = None
            return
        for name, parameter in self.prunable:
            if name not in self.kept:
                self.kept[name] = parameter.detach().clone()
            elif self.mask is None:
                self.kept[name].copy_(parameter)
            else:
                torch.where(self.mask[name], parameter.detach(), self.kept[name], out=self.kept[name])
        self.conversation.pruner.kept = self.kept

    def _reprune(self, fraction: float) -> None:
        assert self.schedule is not None
        level = self.schedule(fraction)
        if level > self.level:
            self.level = level
            self._remember()
            self._enforce(self.prune_to(level))
            self.model.train()

    def _update_mask(self, step: int) -> None:
        talk = self.conversation
        talk.pruner.step, talk.pruner.total_steps = step, self.recipe.steps
        talk.pruner.reseed(talk.pruner.name, "update", self.turn, step)
        self._remember()
        present = self.mask or {name: torch.ones_like(p, dtype=torch.bool) for name, p in self.prunable}
        changed = talk.hook.update_mask(model=self.model, mask=present, context=talk.pruner)
        if changed is not None:
            mask = masks.check_mask(changed, self.prunable, talk.pruner.name)
            masks.audit(self.mask, self.prunable, "after update_mask")
            self._enforce(mask)
            talk.pruner.mask = mask

    # -- selection ----------------------------------------------------------------------------------------------

    def _consider(self, split: str) -> None:
        """Score the model; keep it if it is the best so far. Weights that are not at their final level do not count."""
        if self.schedule is not None and self.level < self.schedule(1.0):
            return
        _, value = self.conversation.evaluate(self.model, split)
        better = self.conversation.task_plugin.declared("higher_is_better", True)
        if self._best is None or (value > self._best[0] if better else value < self._best[0]):
            weights = {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}
            self._best = (value, weights, dict(self.mask) if self.mask else None)

    def _pack_best(self) -> dict[str, Tensor]:
        """The best weights so far, beside the optimiser state, for a training that goes on later."""
        if self._best is None:
            return {}
        value, weights, mask = self._best
        packed = {f"{_BEST}weights:{name}": tensor for name, tensor in weights.items()}
        packed |= {f"{_BEST}mask:{name}": tensor.clone() for name, tensor in (mask or {}).items()}
        return packed | {f"{_BEST}value": torch.tensor(value, dtype=torch.float64)}

    def _take_best(self, packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take the best weights out of what was packed; returns the rest."""
        best = {name.removeprefix(_BEST): tensor for name, tensor in packed.items() if name.startswith(_BEST)}
        if best:
            weights = {n.removeprefix("weights:"): t for n, t in best.items() if n.startswith("weights:")}
            mask = {
                n.removeprefix("mask:"): t.to(self.conversation.device)
                for n, t in best.items()
                if n.startswith("mask:")
            }
            self._best = (float(best["value"]), weights, mask or None)
        return without_best(packed)

    def _restore_best(self) -> None:
        assert self._best is not None
        _, weights, mask = self._best
        self.model.load_state_dict(weights)
        self.kept = {}  # of later steps than these weights
        if mask is not None:
            self._enforce(mask)
