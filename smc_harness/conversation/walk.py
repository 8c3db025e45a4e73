"""A model's blocks one after another, each calibrated on what the blocks before it give once they are pruned.

The model is run as it always is, by its own forward pass, but no block runs more than twice: one that was left gives
what it gave then, and the pass ends where the present one does. So nothing is assumed of what blocks are handed beside
their input, and what is held is one block's activations, and one output of the blocks before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from smc_harness.errors import PluginError
from smc_harness.sparsity.scope import is_turned, linear_layers

Observe = Callable[[tuple[str, ...], Tensor], object]
"""(names of the weights, what their layers read: [tokens, features])."""


class Keeper(Protocol):
    """Keeps blocks as walks leave them, so that what was cut off goes on after the last block that was kept."""

    def begin(self) -> None:
        """A walk begins."""

    def take_up(self, layers: Mapping[str, Any]) -> bool:
        """Whether a block was kept by this walk; its layers then have the weights that were."""

    def keep(self, layers: Mapping[str, Any], mask: Mapping[str, Tensor]) -> None:
        """A block will stay as it is. mask: of its weights that were pruned."""


@dataclass
class BlockOfLayers:
    """One block, calibrated. layers: {name of the weight: its layer}, those of the scope.

    Its layers read what they read in the model whose earlier blocks are as the walk left them.
    """

    layers: Mapping[str, Any]
    _run: Callable[[], Iterator[None]] = field(repr=False)
    _mask: dict[str, Tensor] = field(repr=False)

    def matrix(self, name: str) -> Tensor:
        """The weight as [outputs, inputs], to be read and written."""
        return self.turn(name, self.layers[name].weight.detach())

    def turn(self, name: str, tensor: Tensor) -> Tensor:
        """From the weight's shape to [outputs, inputs], and back."""
        return tensor.t() if is_turned(self.layers[name]) else tensor

    @torch.no_grad()
    def observe(self, see: Observe) -> None:
        """Run the calibration examples through the block as it is now.

        see: called for every batch with each tensor that layers read, once for all that read the same one.
        """
        read: dict[int, tuple[Tensor, list[str]]] = {}

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            # the tensor is held, so that no other can have its id
            read.setdefault(id(inputs[0]), (inputs[0], []))[1].append(name)

        with ExitStack() as stack:
            for name, layer in self.layers.items():
                stack.callback(layer.register_forward_pre_hook(partial(note, name)).remove)
            for _ in self._run():
                for given, names in read.values():
                    see(tuple(names), given.detach().flatten(0, -2))
                read.clear()

    @torch.no_grad()
    def prune(self, mask: Mapping[str, Tensor]) -> None:
        """Zero weights of this block. mask: {name: bool tensor of the weight's shape, True = keep}."""
        for name, kept in mask.items():
            self.layers[name].weight.masked_fill_(~kept, 0)
            self._mask[name] = kept


class Walk:
    """Iterates over the blocks that have layers to prune, in forward order, then over what is outside of all blocks.

    When the next one is asked for, the present one is taken to be as it will stay.

    model: in eval mode. blocks: modules of it, in forward order. names: of the weights to prune, all of linear layers.
    run: a forward pass over a batch; what it returns must not depend on anything else. batches: the calibration
    examples, the same ones whenever it is called. keeper: of blocks, which then need not be held: `mask`, {name: bool}
    of what was pruned so far, stays empty.

    Raises PluginError where the output of a block is used by more than the next one: what later blocks read would not
    be what they read in the model.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Sequence[nn.Module],
        names: Sequence[str],
        run: Callable[[nn.Module, Any], Tensor],
        batches: Callable[[], Iterator[Any]],
        keeper: Keeper | None = None,
    ) -> None:
        self.mask: dict[str, Tensor] = {}
        self._model, self._blocks = model, list(blocks)
        self._layers = linear_layers(model, names)
        self._run, self._batches = run, batches
        self._keeper = keeper
        self._chains: list[int] = []
        self._outputs: list[dict[int, Any]] = []  # of each batch, by the first block of a chain

    def __iter__(self) -> Iterator[BlockOfLayers]:
        self._find_chains()
        if self._keeper is not None:
            self._keeper.begin()
        left = dict(self._layers)
        last = self._last_with_layers()
        for number, block in enumerate(self._blocks[: last + 1]):
            inside = {id(module) for module in block.modules()}
            layers = {name: left.pop(name) for name, layer in self._layers.items() if id(layer) in inside}
            yield from self._calibrated(layers, number)
            if left:
                for _ in self._pass(number, keep=True):
                    pass
        yield from self._calibrated(left, len(self._blocks))

    def _calibrated(self, layers: Mapping[str, Any], number: int) -> Iterator[BlockOfLayers]:
        """A block, unless it has no layers, or is as an earlier walk left it."""
        if not layers or (self._keeper is not None and self._keeper.take_up(layers)):
            return
        yield BlockOfLayers(layers, partial(self._pass, number), self.mask)
        if self._keeper is not None:
            self._keeper.keep(layers, {name: self.mask.pop(name) for name in layers if name in self.mask})

    def _last_with_layers(self) -> int:
        """The last block that has to be run; all of them where layers outside of blocks come after."""
        homes = [{id(module) for module in block.modules()} for block in self._blocks]
        inside = [[id(layer) in home for home in homes] for layer in self._layers.values()]
        if not all(map(any, inside)):
            return len(self._blocks) - 1
        return max((max(number for number, here in enumerate(row) if here) for row in inside), default=-1)

    @torch.no_grad()
    def _find_chains(self) -> None:
        """Of each block, the first of those that lead to it, each reading what the one before gave.

        Told by one batch of the model as it is, which is then run again with every chain's last output in place of
        its blocks: if that gives the same, nothing but the next block reads what a block gives.
        """
        batch = next(self._batches())
        outputs: dict[int, Any] = {}
        self._chains = []

        def note(_: nn.Module, inputs: Any, named: Mapping[str, Any], output: Any) -> None:
            number = len(self._chains)
            before = _tensor(outputs[self._chains[-1]]) if self._chains else None
            follows = before is not None and any(given is before for given in (*inputs, *named.values()))
            self._chains.append(self._chains[-1] if follows else number)
            outputs[self._chains[-1]] = output

        with ExitStack() as stack:
            for block in self._blocks:
                stack.callback(block.register_forward_hook(note, with_kwargs=True).remove)
            expected = self._run(self._model, batch)
        if len(self._chains) != len(self._blocks):
            raise PluginError(
                f"{len(self._chains)} calls of {len(self._blocks)} blocks in a forward pass; blocks that are called "
                "once each, in order, would work"
            )
        with self._skipping(len(self._blocks), outputs):
            found = self._run(self._model, batch)
        if not torch.equal(found, expected):
            raise PluginError(
                "what a block gives is read by more than the next block; blocks that follow from one another would work"
            )

    def _pass(self, number: int, keep: bool = False) -> Iterator[None]:
        """Run every batch as far as a block, and through it. keep: its outputs, for the blocks after it."""
        for index, batch in enumerate(self._batches()):
            if index == len(self._outputs):
                self._outputs.append({})
            outputs = self._outputs[index]
            with self._skipping(number, outputs), torch.no_grad():
                try:
                    self._run(self._model, batch)
                except _Reached as reached:
                    output = reached.output
            if keep:
                outputs[self._chains[number]] = output
            yield

    @contextmanager
    def _skipping(self, number: int, outputs: Mapping[int, Any]) -> Iterator[None]:
        """A forward pass in which the blocks before one give what their chain gave last, and which ends after it."""
        with ExitStack() as stack:
            for before, chain in zip(self._blocks[:number], self._chains, strict=False):
                stack.enter_context(_replaced(before, lambda *_, chain=chain, **__: outputs[chain]))
            for block in self._blocks[number : number + 1]:
                stack.enter_context(_replaced(block, _ending(block.forward)))
            yield


class _Reached(Exception):  # noqa: N818  nothing went wrong
    """Carries what a block gave out of the forward pass."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _ending(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any, **named: Any) -> Any:
        raise _Reached(forward(*inputs, **named))

    return run


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward for this instance; the module and what others read of it stay."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _tensor(output: Any) -> Tensor | None:
    """What a block hands on: its output, or the first tensor of that."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output if isinstance(output, list | tuple) else ()
    return next((value for value in values if isinstance(value, Tensor)), None)
