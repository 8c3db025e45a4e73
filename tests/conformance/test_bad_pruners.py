"""Each planted fault is named by the check that is about it, and by none that is about something else."""

from __future__ import annotations

import re

import pytest

from smc_harness.testing import Outcome, check_pruner
from tests.conformance import bad_pruners as bad

FAULTS = [
    (bad.MutatesWeights, {"weights", "run"}, "compute_scores changes 'embedding.weight'"),
    (bad.LeaksHook, {"hooks"}, "compute_scores leaves a hook in _forward_hooks of module 'blocks.0'"),
    (bad.IgnoresSeed, {"seed"}, "the same ones for seeds 0 and 1; context.generator follows the seed"),
    (
        bad.WrongCountOnTies,
        {"exact-count"},
        r"of \d+ weights \(few values\) it prunes \d+ at level [\d.]+; \d+ would be exact",
    ),
    (
        bad.ChangesDtype,
        {"dtype", "half-precision", "run"},
        "apply_mask leaves '.*' as torch.float64.*; it was torch.float32",
    ),
    (bad.ReturnsNan, {"scores"}, r"scores\['embedding.weight'\] hold NaN; .* \(of weights zeros\)"),
    (bad.LeavesTrainMode, {"mode"}, "compute_scores leaves the model in training mode"),
    (bad.UsesNetwork, {"network"}, "it asks the network for 127.0.0.1:9"),
    (bad.WritesFile, {"working-directory"}, "it writes 'scores.log' into the working directory"),
    (bad.GlobalRandom, {"random-state"}, "compute_scores draws from torch's global generator"),
    (bad.TiedWeight, {"tied-weight"}, r"KeyError: 'blocks.3.weight' \(bad_pruners.py, line \d+\)"),
    (bad.LiesAboutNesting, {"nested"}, r"keeps \d+ weights at level 0.2 that it prunes at 0.05"),
    (bad.LiesAboutPhase, {"phase"}, "phase is 'after' but the plan is Prune, Train; 'before' would work"),
    (bad.KeepsState, {"order", "resume"}, "tensors in context.state would work"),
    (bad.ForCpuOnly, {"device"}, r"tensor\.cpu\(\)\.numpy\(\) would work \(bad_pruners.py, line \d+\)"),
    (bad.GrowsFast, {"cost"}, "times the memory"),
    (bad.SetsDefaultDtype, {"settings"}, "compute_scores leaves torch's default dtype changed"),
    (bad.SeedsPython, {"random-state"}, "apply_mask draws from Python's module random, or seeds it"),
    (bad.BreaksElsewhere, {"resume", "workers"}, "in a worker process: KeyError: 'MY_TABLE'"),
    (bad.ReplacesForward, {"hooks", "order"}, r"apply_mask leaves another forward\(\) in module 'blocks.0'"),
    (bad.HooksParameter, {"hooks", "order"}, "apply_mask leaves a hook in _backward_hooks of parameter 'head.weight'"),
    (bad.AddsBuffer, {"dtype", "run"}, "apply_mask adds 'levels' to the model; context.state keeps tensors"),
    (bad.LooksAtTheTest, {"split"}, "it asks for examples of the split 'test', by which it is judged"),
    (bad.FollowsTheOtherLevels, {"order"}, "at level 0.5, measured alone, the value is"),
    (bad.SetsDefaultDevice, {"settings", "run"}, "apply_mask leaves torch's default device changed"),
    (bad.Revives, {"stays-pruned"}, r"of \d+ weights, \d+ of them pruned before, it prunes \d+"),
]


@pytest.mark.parametrize(("pruner", "checks", "sentence"), FAULTS, ids=lambda item: getattr(item, "name", ""))
def test_a_fault_is_named(pruner: type, checks: set[str], sentence: str) -> None:
    report = check_pruner(pruner)
    failed = {result.check: result.reason for result in report.results if result.outcome is Outcome.FAILED}
    assert failed.keys() == checks, str(report)
    assert any(re.search(sentence, reason) for reason in failed.values()), str(report)


def test_the_one_without_a_fault_conforms() -> None:
    report = check_pruner(bad.Good)
    assert report.ok, str(report)
    skipped = {result.check: result.reason for result in report.results if result.outcome is Outcome.SKIPPED}
    assert skipped == {
        "parameters": "it has no parameters",
        "light": "its module imports torch, for which every listing waits; importing it in the hooks would be quicker",
        "nested": "it does not claim nested = True",
        "seed": "it draws no random number while it scores and prunes",
    }
