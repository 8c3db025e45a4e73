"""Modifiers of llm-compressor that prune linear layers in one shot: SparseGPT, Wanda, magnitude.

A modifier is run in a session of the library, on the task's own model and with the task's own forward pass over
training examples; mask and weights are what it leaves. As in the library's sequential pipeline, the layers of a block
are calibrated on what the blocks before it give once they are pruned; here the whole model is run for every block, so
that none has to be traced.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from smc_harness import Prune, PrunerContext, Train, hookimpl
from smc_harness.declarations.plans import Stage
from smc_harness.declarations.structure import NofM
from smc_harness.errors import PluginError, UsageError
from smc_pruners.adapters._library import check_installed, made, read_arguments

if TYPE_CHECKING:
    from torch import Tensor, nn

name = "llm-compressor"
phase = "after"
description = "SparseGPT, Wanda or magnitude pruning of linear layers by llm-compressor"
score = "the modifier's own"
paper = "Frantar & Alistarh 2023, arXiv 2301.00774; Sun et al. 2023, arXiv 2306.11695"
cost = "a calibration, or one and 1 training"
default = False
prunes = "linear"
allocation = "uniform"

Modifier = Literal["SparseGPTModifier", "WandaPruningModifier", "MagnitudePruningModifier"]


@dataclass(frozen=True)
class Params:
    """modifier: `SparseGPTModifier`, `WandaPruningModifier` or `MagnitudePruningModifier`. arguments: what it takes
    beside sparsity, mask structure and targets, such as `block_size=64 dampening_frac=0.1`. examples: training examples
    that it is calibrated on. sequential: block by block, on what the pruned blocks before give; else all at once.
    train: whether the task's recipe trains the model afterwards. exact: see below.

    Every layer is pruned to the level, or to what `allocation=erk` gives it; `pattern=2:4` is told the modifier as its
    mask structure. Modifiers count in their own ways: SparseGPT prunes one weight too many in every `block_size`
    columns, Wanda rounds down in every row, magnitude in every layer. `exact` brings each layer to the exact count:
    what is missing goes by magnitude, and what is too many counts as living, at zero. How many weights that decides is
    `settled` in the log of a cell. Without it the mask is what the modifier leaves.
    """

    modifier: Modifier = "SparseGPTModifier"
    arguments: str = ""
    examples: int = 128
    sequential: bool = True
    train: bool = False
    exact: bool = True

    def __post_init__(self) -> None:
        read_arguments(self.arguments)
        if self.examples < 1:
            raise UsageError(f"examples={self.examples} given; a number of at least 1 would work")


params = Params


@hookimpl
def plan(level: float, context: PrunerContext) -> Sequence[Stage]:
    """Raises UsageError for what cannot be had, before anything is trained for it."""
    check_installed("llmcompressor", "llm-compressor")
    structure = context.structure
    if structure.pattern is not None and not isinstance(structure.pattern, NofM):
        raise UsageError(f"pattern={structure.pattern} given; N:M such as 2:4 would work")
    if structure.pattern is None and structure.allocation == "global":
        raise UsageError("allocation=global given; llm-compressor prunes layer by layer: uniform or erk would work")
    if structure.allocation == "rows" and not context.params.exact:
        raise UsageError("allocation=rows given; what settles it is left out by exact=False: exact=True would work")
    return [Train(), Prune(level), Train()] if context.params.train else [Train(), Prune(level)]


@hookimpl
def apply_mask(model: nn.Module, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
    """Raises PluginError where no input reached a layer, or for a kind of layer that the library does not know."""
    from smc_harness.sparsity.scope import turned

    check_installed("llmcompressor", "llm-compressor")
    prunable = dict(context.prunable(model))
    if passed_over := sorted(turned(model, list(prunable))):
        raise PluginError(
            f"{context.name}: {passed_over[0]!r} is of a Conv1D, which the library passes over; wanda or sparsegpt, "
            "which are our own, would work"
        )
    # of equal scores, this tells nothing but how many weights of each layer go
    counted = context.select({key: weight.new_zeros(weight.shape) for key, weight in prunable.items()}, level)
    counts = {key: int((~kept).sum()) for key, kept in counted.items()}
    even = context.structure.allocation in ("uniform", "rows") or context.pattern is not None
    shares = {key: level if even else counts[key] / prunable[key].numel() for key in prunable if counts[key]}
    with _quiet():
        for keys in _rounds(model, list(shares), context):
            _run({key.removesuffix(".weight"): shares[key] for key in keys}, model, context)
    mask = {key: weight.detach() != 0 if key in shares else counted[key] for key, weight in prunable.items()}
    if context.mask is not None:
        mask = {key: kept & context.mask[key] for key, kept in mask.items()}
    if not context.params.exact:
        return mask
    context.log("settled", sum(abs(counts[key] - int((~kept).sum())) for key, kept in mask.items()))
    return context.select({key: weight.detach().abs() * mask[key] for key, weight in prunable.items()}, level)


def _rounds(model: nn.Module, keys: Sequence[str], context: PrunerContext) -> Iterator[Sequence[str]]:
    """The layers of one block after another, then those outside of blocks; all at once unless sequential."""
    if not context.params.sequential:
        yield keys
        return
    left = dict.fromkeys(keys)
    paths = {id(module): path for path, module in model.named_modules()}
    for block in context.blocks(model):
        inside = [key for key in left if key.startswith(f"{paths[id(block)]}.")]
        left = {key: None for key in left if key not in inside}
        if inside:
            yield inside
    if left:
        yield list(left)


# -- the library's side -------------------------------------------------------------------------------------------


def _run(shares: Mapping[str, float], model: nn.Module, context: PrunerContext) -> None:
    """Let the modifier prune linear layers in place. shares: {path of the module: share of its weights}."""
    from llmcompressor.core import LifecycleCallbacks, create_session

    modifiers = [_modifier(path, share, context) for path, share in shares.items()]
    with create_session() as session:
        session.initialize(model=model, recipe=modifiers, sequential_targets=[], copy_data=False)
        if context.params.modifier == "MagnitudePruningModifier":
            LifecycleCallbacks.batch_start()
            LifecycleCallbacks.optim_post_step()
        else:
            LifecycleCallbacks.calibration_start()
            reached = _calibrate(model, list(shares), context)
            if missed := [path for path in shares if path not in reached]:
                raise PluginError(f"{context.name}: no input reached {missed[0]!r}; a scope without it would work")
            LifecycleCallbacks.sequential_epoch_end([model.get_submodule(path) for path in shares])
            LifecycleCallbacks.calibration_end()
        session.finalize()


def _modifier(path: str, share: float, context: PrunerContext) -> Any:
    """One for one layer. Raises UsageError for an argument that it does not take."""
    from llmcompressor.modifiers import pruning

    wanted, pattern = context.params, context.pattern
    arguments: dict[str, Any] = {"targets": [path]}
    if wanted.modifier == "MagnitudePruningModifier":
        if pattern is not None:
            raise UsageError(f"pattern={pattern} given; MagnitudePruningModifier has none: another modifier would work")
        arguments |= {"init_sparsity": share, "final_sparsity": share, "start": 0.0, "end": 1.0}
    else:
        # the library writes how many of how many weights go
        structure = f"{pattern.m - pattern.n}:{pattern.m}" if isinstance(pattern, NofM) else "0:0"
        arguments |= {"sparsity": share, "mask_structure": structure}
    given = read_arguments(wanted.arguments)
    kind = getattr(pruning, wanted.modifier)
    return made(kind, arguments | given, f"arguments={wanted.arguments} given")


def _calibrate(model: nn.Module, paths: Sequence[str], context: PrunerContext) -> set[str]:
    """Run training examples through the model. Returns the paths of the modules that were called."""
    reached: set[str] = set()
    handles = [
        model.get_submodule(path).register_forward_hook(lambda *_, path=path: reached.add(path)) for path in paths
    ]
    for batch in context.batches("train", context.params.examples):
        context.loss(model, batch)
    for handle in handles:
        handle.remove()
    return reached


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a line for every layer, and with the filters of warnings that the library changes put back.

    LLM_COMPRESSOR_LOG_DISABLED, the library's own way, breaks its modifiers. What it says as it is imported goes where
    it does not mix with results.
    """
    with warnings.catch_warnings():
        with redirect_stdout(sys.stderr):
            import llmcompressor  # noqa: F401
        from loguru import logger

        logger.disable("llmcompressor")
        try:
            yield
        finally:
            logger.enable("llmcompressor")
