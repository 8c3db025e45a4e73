"""Two artefacts of the original benchmark, shown on mini tasks, and named for what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts

WORDS = "encoder.words.embedding.weight"
# the model in its own size, the batch of the original's GTS, and next to no training: the masks alone are looked at
BRIEF = {"train": "400", "test": "60", "steps": "4", "batch_size": "4", "nouns": "500"}


def measured(folder: Path, name: str, level: float, **settings: str) -> Measurement:
    installed = discover().installed
    task = load(installed["task"]["arithmetic-mini"], BRIEF)
    pruner = load(installed["pruner"][name], settings)
    walk = Trajectory(task, pruner, [], RunOptions(), 0, Artifacts(folder), lambda what, step, of: None, [level])
    return walk.measure(level)


def said(found: Measurement, level: float) -> str | None:
    return CellResult(Cell("arithmetic-mini", "snip", level, 0), Verdict.PASS, "accuracy", 1.0, found).missed


def test_the_original_snip_wipes_the_embedding_of_unseen_words_and_prunes_more_than_it_was_asked(tmp_path) -> None:
    found = measured(tmp_path, "snip", 0.05, compat="smc-bench")
    assert found.densities[WORDS] < 0.05
    assert found.realised > 2 * 0.05
    assert said(found, 0.05) == f"the level is 0.05, but {found.realised:.4g} of the scope is pruned"


def test_snip_by_default_prunes_what_it_was_asked_and_does_not_wipe_the_embedding(tmp_path) -> None:
    found = measured(tmp_path, "snip", 0.05)
    assert found.realised == pytest.approx(0.05, abs=1e-4)
    assert found.densities[WORDS] > 0.5
    assert said(found, 0.05) is None


def test_the_head_that_magnitude_pruning_kills_before_training_is_diagnosed(tmp_path) -> None:
    """A fan-in of 32 gives the head uniform weights below 0.18, beside word embeddings of standard deviation 1."""
    found = measured(tmp_path, "magnitude-before", 0.672)
    assert found.densities["decoder.score.energy.weight"] == 0.0
    assert "output layer decoder.score.energy.weight is 100 % pruned" in found.diagnosis
