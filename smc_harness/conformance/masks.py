"""Checks of scores and masks, on weights that are awkward in one way at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from smc_harness.cells import counted, show_level
from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.draws import counted_draws
from smc_harness.conformance.example import Shape
from smc_harness.conformance.subject import FILLS, PrunerSubject
from smc_harness.conversation.conversation import Conversation
from smc_harness.declarations.structure import Block
from smc_harness.sparsity import mask as masks
from smc_harness.sparsity.select import pruned_count, select

HALVES = (torch.bfloat16, torch.float16)


def scores(subject: PrunerSubject) -> None:
    """Its scores are a floating tensor of the parameter's shape for every prunable one, without NaN."""
    for fill in FILLS:
        talk, model = subject.talk(fill=fill)
        given = subject.scores(talk, model)
        if given is None:
            raise NotApplicableError("it has no compute_scores")
        _judged(lambda t=talk, m=model, g=given: masks.check_scores(g, t.prunable(m), subject.name), fill)


def mask(subject: PrunerSubject) -> None:
    """Its masks are a bool tensor of the parameter's shape for every prunable one."""
    talk, model = subject.talk()
    masks.check_mask(subject.mask(talk, model, subject.level()), talk.prunable(model), subject.name)


def exact_count(subject: PrunerSubject) -> None:
    """It prunes floor(level x N + 1/2) of N weights, or what its pattern allows, whatever ties there are."""
    for fill in FILLS:
        for level in subject.levels():
            talk, model = subject.talk(fill=fill)
            _count(subject, talk, model, level, fill)


def level_zero(subject: PrunerSubject) -> None:
    """At level 0 it keeps every weight, and changes none."""
    if subject.plugin.levels:
        raise NotApplicableError("it has levels of its own")
    talk, model = subject.talk()
    scores = subject.scores(talk, model)
    before = {name: parameter.detach().clone() for name, parameter in talk.prunable(model)}
    kept = subject.chosen(talk, model, scores, 0.0)
    for name, parameter in talk.prunable(model):
        if not bool(kept[name].all()) or not torch.equal(parameter, before[name]):
            raise Fault(f"level 0 prunes or changes {name!r}; context.select(scores, 0.0) would keep it")


def stays_pruned(subject: PrunerSubject) -> None:
    """What is pruned already counts towards a higher level and stays pruned, unless as many others go."""
    low, high = subject.level(0.2), subject.level(0.734)
    talk, model = subject.talk()
    prunable = talk.prunable(model)
    draw = torch.Generator().manual_seed(5)
    structure, drawn = subject.plugin.structure, _drawn(prunable, draw)
    alive = select(drawn, low, structure)
    talk.pruner.mask = alive
    masks.put_on(alive, prunable)
    after = _checked(subject, talk, model, high)
    total = sum(tensor.numel() for tensor in after.values())
    revives = any(bool((after[name] & ~alive[name]).any()) for name in after)
    gone, wanted = masks.pruned(after), masks.pruned(select(drawn, high, structure, None if revives else alive))
    if gone != wanted and not isinstance(structure.pattern, Block):
        raise Fault(
            f"of {total} weights, {masks.pruned(talk.pruner.mask)} of them pruned before, it prunes {gone} at level "
            f"{show_level(high)}; {wanted} would be exact, as context.select(scores, level) counts"
        )


def _drawn(prunable: masks.Prunable, draw: torch.Generator) -> Mapping[str, Tensor]:
    return {name: torch.rand(parameter.shape, generator=draw) for name, parameter in prunable}


def nested(subject: PrunerSubject) -> None:
    """A pruner that says `nested = True` keeps at a higher level a part of what it keeps at a lower one."""
    if not subject.plugin.declared("nested", False):
        raise NotApplicableError("it does not claim nested = True")
    levels = sorted(subject.levels())
    if len(levels) < 2:
        raise NotApplicableError("it has one level")
    kept = [_checked(subject, *subject.talk(), level) for level in levels]
    for low, high, one, two in zip(levels, levels[1:], kept, kept[1:], strict=False):
        if more := sum(int((two[name] & ~one[name]).sum()) for name in one):
            raise Fault(
                f"it claims nested = True, but keeps {counted(more, 'weight')} at level {show_level(high)} that it "
                f"prunes at {show_level(low)}; without that claim it would conform"
            )


def survivors(subject: PrunerSubject) -> None:
    """The weights that live are finite after pruning."""
    for fill in FILLS:
        talk, model = subject.talk(fill=fill)
        kept = _checked(subject, talk, model, subject.level())
        for name, parameter in talk.prunable(model):
            if not bool(parameter.detach()[kept[name]].isfinite().all()):
                raise Fault(f"apply_mask leaves {name!r} with weights that are not finite, of weights {fill}")


def tied_weight(subject: PrunerSubject) -> None:
    """It prunes a model in which two layers share a weight, which counts once."""
    _awkward(subject, "tied")


def single_weight(subject: PrunerSubject) -> None:
    """It prunes a model with a matrix of one weight."""
    _awkward(subject, "single")


def empty_tensor(subject: PrunerSubject) -> None:
    """It prunes a model with a matrix that holds no weight."""
    if subject.options.scope == "linear":
        raise NotApplicableError("it prunes linear layers only, which are never empty")
    _awkward(subject, "empty")


def half_precision(subject: PrunerSubject) -> None:
    """It prunes a model in bfloat16 and in float16, exactly, and leaves it so."""
    for half in HALVES:
        talk, model = subject.talk()
        model.to(half)
        _count(subject, talk, model, subject.level(), str(half))
        for name, parameter in talk.prunable(model):
            if parameter.dtype != half:
                raise Fault(f"it leaves {name!r} as {parameter.dtype}; it was {half}")


def same_seed(subject: PrunerSubject) -> None:
    """The same weights, data and seed give the same mask."""
    one, two = (_checked(subject, *subject.talk(), subject.level()) for _ in range(2))
    if different := [name for name in one if not torch.equal(one[name], two[name])]:
        raise Fault(
            f"two prunings with one seed differ in {different[0]!r}; drawing from context.generator, and keeping "
            "nothing from one call to the next, would work"
        )


def seed(subject: PrunerSubject) -> None:
    """Where it draws random numbers, another seed gives other ones."""
    seen = []
    for number in range(2):
        talk, model = subject.talk()
        talk.pruner.seed = number
        with counted_draws(talk) as draws:
            _checked(subject, talk, model, subject.level())
        seen.append(draws.seen)
    if not any(seen):
        raise NotApplicableError("it draws no random number while it scores and prunes")
    if seen[0] == seen[1]:
        raise Fault("it draws random numbers, the same ones for seeds 0 and 1; context.generator follows the seed")


def _awkward(subject: PrunerSubject, shape: Shape) -> None:
    for level in subject.levels((0.2, 0.734)):
        talk, model = subject.talk(shape)
        _count(subject, talk, model, level, f"model {shape}")


def _count(subject: PrunerSubject, talk: Conversation, model: nn.Module, level: float, what: str) -> None:
    """Raise Fault unless as many are pruned as the level asks for."""
    kept = _checked(subject, talk, model, level)
    gone, total = masks.pruned(kept), sum(tensor.numel() for tensor in kept.values())
    exact, pattern = wanted_count(subject, talk, model, level), subject.plugin.structure.pattern
    # tiles go as a whole: by less than one too few, in each tensor where the allocation is not global
    spare = pattern.rows * pattern.columns * len(kept) if isinstance(pattern, Block) else 1
    if not exact - spare < gone <= exact:
        raise Fault(
            f"of {total} weights ({what}) it prunes {gone} at level {show_level(level)}; {exact} would be exact, as "
            "context.select(scores, level) counts"
        )


def wanted_count(subject: PrunerSubject, talk: Conversation, model: nn.Module, level: float) -> int:
    """How many weights a pruning prunes under the pruner's allocation and pattern; of tiles, at most."""
    prunable, structure = talk.prunable(model), subject.plugin.structure
    if isinstance(structure.pattern, Block):
        return pruned_count(level, sum(parameter.numel() for _, parameter in prunable))
    return masks.pruned(select(_drawn(prunable, torch.Generator().manual_seed(5)), level, structure))


def _checked(subject: PrunerSubject, talk: Conversation, model: nn.Module, level: float) -> Mapping[str, Tensor]:
    return masks.check_mask(subject.mask(talk, model, level), talk.prunable(model), subject.name)


def _judged(judge: object, fill: str) -> None:
    assert callable(judge)
    try:
        judge()
    except Exception as error:
        raise Fault(f"{error} (of weights {fill})") from error


CHECKS = (
    Check("scores", scores, ("network",)),
    Check("mask", mask, ("scores",)),
    Check("exact-count", exact_count, ("mask",)),
    Check("level-0", level_zero, ("mask",)),
    Check("stays-pruned", stays_pruned, ("mask", "exact-count")),
    Check("nested", nested, ("mask",)),
    Check("survivors", survivors, ("mask",)),
    Check("tied-weight", tied_weight, ("mask", "exact-count")),
    Check("single-weight", single_weight, ("mask", "exact-count")),
    Check("empty-tensor", empty_tensor, ("mask", "exact-count")),
    Check("half-precision", half_precision, ("mask", "exact-count")),
    Check("same-seed", same_seed, ("mask",)),
    Check("seed", seed, ("same-seed",)),
)
