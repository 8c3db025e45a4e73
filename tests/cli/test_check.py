"""`smc-harness check`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workshop import Ran, Workshop

TRAINS = """
from smc_harness import hookimpl

name, phase, description = "mine", "after", "magnitude"

@hookimpl
def compute_scores(model, context):
    model.train()
    return {n: p.detach().abs() for n, p in context.prunable(model)}
"""


@pytest.fixture
def faulty(workshop: Workshop) -> str:
    return str(workshop.write("mine.py", TRAINS))


def test_a_fault_is_named_and_the_exit_code_is_1(command: Callable[..., Ran], faulty: str) -> None:
    ran = command("check", faulty)
    assert ran.code == 1
    lines = [line.split(None, 1) for line in ran.out.splitlines() if line.startswith("  ")]
    told = dict(lines)
    assert told["mode"] == (
        "FAILED: compute_scores leaves the model in training mode; model.train(mode) with the old one would work"
    )
    assert told["exact-count"] == "passed"
    assert told["parameters"] == "skipped: it has no parameters"
    assert re.search(r"^\d+ passed, 1 failed, 3 skipped in [\d.]+ s$", ran.out, re.MULTILINE)
    assert ran.out.strip().splitlines()[-1].startswith("![smc-harness ")


def test_an_expected_failure_is_no_fault(command: Callable[..., Ran], faulty: str) -> None:
    ran = command("check", faulty, "--expect", "mode=it is quicker so", "--json", "report.json")
    assert ran.code == 0
    (report,) = json.loads(Path("report.json").read_text())["reports"]
    assert report["ok"]
    assert report["counts"]["expected failure"] == 1


def test_json_goes_alone_to_standard_output(command: Callable[..., Ran], faulty: str) -> None:
    ran = command("check", faulty, "--json", "-")
    told = json.loads(ran.out)
    assert [result["check"] for result in told["reports"][0]["results"]][:2] == ["declaration", "parameters"]
    assert "FAILED" in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing-like-it"], "nothing-like-it: no such file, and no such plugin is installed"),
        (["snip", "--set", "gmp.end=0.5"], "--set gmp: it is not checked; snip is"),
        (["snip", "--expect", "mode"], "--expect mode: something like"),
        (["snip", "--expect", "mood=so"], "no check named 'mood'; did you mean 'mode'"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: Callable[..., Ran], words: list[str], message: str) -> None:
    ran = command("check", *words)
    assert ran.code == 4
    assert ran.err.startswith("smc-harness: ")
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_a_parameter_that_a_plugin_does_not_have_is_a_fault_of_its_declaration(command: Callable[..., Ran]) -> None:
    ran = command("check", "snip", "--set", "snip.batch=2")
    assert ran.code == 1
    assert "declaration        FAILED: snip has no parameter 'batch'; did you mean 'batches'?" in ran.out
