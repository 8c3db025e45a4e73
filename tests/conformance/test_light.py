"""A plugin is listed and planned without torch, or it is said what loads it."""

from __future__ import annotations

import pytest

from smc_harness.conformance.check import Fault, NotApplicableError
from smc_harness.conformance.find import find
from smc_harness.conformance.light import light
from smc_harness.conformance.subject import Subject
from tests.workshop import Workshop

PRUNER = """
    {top}
    from smc_harness import Prune, Train, hookimpl

    name, phase = "mine", "after"

    @hookimpl
    def plan(level):
        {body}
        return [Train(), Prune(level)]

    @hookimpl
    def compute_scores(model, context):
        return {{n: p.detach().abs() for n, p in context.prunable(model)}}
"""


@pytest.fixture
def subject(workshop: Workshop):
    def made(top: str = "", body: str = "") -> Subject:
        (locator,) = find(workshop.write("mine.py", PRUNER.format(top=top, body=body)))
        return Subject(locator)

    return made


def test_one_that_needs_no_torch_for_its_plans_passes(subject) -> None:
    light(subject())


def test_a_plan_that_imports_torch_is_named(subject) -> None:
    with pytest.raises(Fault, match=r"plan\(\) imports torch"):
        light(subject(body="import torch"))


def test_a_module_that_imports_torch_is_told_what_that_costs(subject) -> None:
    with pytest.raises(NotApplicableError, match="its module imports torch"):
        light(subject(top="import torch"))


def test_what_fails_in_a_process_of_its_own_is_told(subject) -> None:
    with pytest.raises(Fault, match="ZeroDivisionError"):
        light(subject(body="1 / 0"))


def test_a_task_is_asked_for_its_files_and_its_checkpoint(workshop: Workshop) -> None:
    toy = workshop.toy()
    toy.write_text(toy.read_text() + "\n\n@hookimpl\ndef data_files(context):\n    import torch\n    return []\n")
    (locator,) = find(toy)
    with pytest.raises(Fault, match=r"data_files\(\) imports torch"):
        light(Subject(locator))
