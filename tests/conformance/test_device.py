"""A pruner on another device, in a process of its own: what is a fault, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from smc_harness.conformance.check import Fault, NotApplicableError
from smc_harness.conformance.chosen import DrawsOn
from smc_harness.conformance.device import compare, device
from smc_harness.conformance.find import find
from smc_harness.conformance.subject import PrunerSubject
from tests.workshop import Workshop

PRUNER = """
    import os
    import signal
    import torch
    from smc_harness import hookimpl

    name, phase = "mine", "before"

    def scores_of(p, context):
        {body}

    @hookimpl
    def compute_scores(model, context):
        return {{n: scores_of(p, context) for n, p in context.prunable(model)}}
"""
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU can do it")

Made = Callable[[str], PrunerSubject]


@pytest.fixture
def subject(workshop: Workshop) -> Made:
    def made(body: str) -> PrunerSubject:
        (locator,) = find(workshop.write("mine.py", PRUNER.format(body=body)))
        return PrunerSubject(locator)

    return made


def test_one_that_draws_with_a_generator_of_the_device_passes(subject: Made) -> None:
    device(
        subject(
            "draw = torch.Generator(device=p.device).manual_seed(context.seed_for('scores'));"
            " return torch.rand(p.shape, generator=draw, device=p.device)"
        )
    )


def test_one_that_mixes_devices_is_told_where(subject: Made) -> None:
    with pytest.raises(Fault, match=r"are mixed; .* would work \(mine.py, line \d+\)"):
        device(subject("return p.detach().abs() * torch.ones(p.shape)"))


def test_one_that_chooses_by_the_device_is_told_how_many_differ(subject: Made) -> None:
    with pytest.raises(Fault, match=r"chooses otherwise for \d+ of \d+ weights, first in '.*'"):
        device(subject("return p.detach().abs() * (1 if p.device.type == 'cpu' else -1)"))


@no_gpu
@pytest.mark.parametrize(
    "body",
    [
        "return torch.stack([torch.func.hessian(lambda w: (w**3).sum())(r.detach()).diagonal() for r in p])",
        "return torch.func.vmap(lambda row: row.abs())(p.detach())",
        "torch.autocast(p.device.type); return p.detach().abs()",
    ],
    ids=["hessian", "vmap", "autocast"],
)
def test_what_only_a_gpu_can_do_is_skipped(subject: Made, body: str) -> None:
    with pytest.raises(NotApplicableError, match=r"cannot be told here: .* \(mine.py, line \d+\); a GPU would tell"):
        device(subject(body))


@no_gpu
def test_a_crash_on_the_device_is_skipped_with_its_signal(subject: Made) -> None:
    pruner = subject("p.device.type == 'cpu' or os.kill(os.getpid(), signal.SIGSEGV); return p.detach().abs()")
    with pytest.raises(NotApplicableError, match="cannot be told here: .* ended by SIGSEGV"):
        device(pruner)
    assert pruner.apart.here  # what it chose on the CPU before that


def test_one_that_ends_its_process_is_a_fault(subject: Made) -> None:
    with pytest.raises(Fault, match="in a process of its own, it fails: exit code 3"):
        device(subject("p.device.type == 'cpu' or os._exit(3); return p.detach().abs()"))


HUNDRED = {"a": torch.arange(100) < 50, "b": torch.arange(100) < 50}


def swapped(pairs: int) -> dict[str, Tensor]:
    """As many pruned, but for each pair another one."""
    other = HUNDRED["b"].clone()
    other[:pairs], other[50 : 50 + pairs] = False, True
    return {**HUNDRED, "b": other}


@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_near_ties_may_go_the_other_way_on_a_gpu(pairs: int) -> None:
    compare(HUNDRED, swapped(pairs), exact=False, drawn=False)


@pytest.mark.parametrize("pairs", [3, 50])
def test_other_weights_are_a_fault_on_a_gpu(pairs: int) -> None:
    with pytest.raises(Fault, match=f"chooses otherwise for {2 * pairs} of 200 weights, first in 'b'"):
        compare(HUNDRED, swapped(pairs), exact=False, drawn=False)


def test_the_device_that_computes_as_the_cpu_is_excused_for_none() -> None:
    with pytest.raises(Fault, match="for 2 of 200"):
        compare(HUNDRED, swapped(1), exact=True, drawn=False)


def test_random_numbers_of_a_gpu_are_held_to_the_count() -> None:
    compare(HUNDRED, swapped(50), exact=False, drawn=True)
    fewer = {**HUNDRED, "b": torch.arange(100) < 51}
    with pytest.raises(Fault, match="prunes 99 weights, not 100"):
        compare(HUNDRED, fewer, exact=False, drawn=True)


def test_drawing_is_noted_where_it_happens() -> None:
    with DrawsOn("cpu") as here, DrawsOn("cuda") as there:
        torch.rand(2)
    assert (here.any, there.any) == (True, False)
