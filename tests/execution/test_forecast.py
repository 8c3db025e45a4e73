"""What is foretold is what is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smc_harness import Train
from smc_harness.cells import Cell
from smc_harness.conversation.options import RunOptions
from smc_harness.execution.forecast import forecast
from smc_harness.execution.tracks import Dense, Track
from smc_harness.lifecycle import keys
from tests.toys import plugin, pruner_of, toy_task
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
RUN = ("--collect", "plugins", "--levels", "0.2,0.36,0.7", "--search", "grid", "--seeds", "2")
STEPS = {"before": 60, "after": 20, "iterative": 60}
"""Of the toy's training of sparse weights, by phase; LTH trains from the start again."""


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.toy()
    for name, phase in (("later", "after"), ("sooner", "before"), ("again", "iterative")):
        workshop.pruner(name, phase)
    return workshop


def plan(command: Command, *words: str) -> list[dict]:
    ran = command("--dry-run", "--json", "plan.json", *words)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(Path("plan.json").read_text())["plan"]


def test_as_many_trainings_are_foretold_as_are_done(shop: Workshop, command: Command) -> None:
    (found,) = plan(command, *RUN)
    assert (found["trajectories"], found["cells"], found["known"], found["dense"]) == (6, 18, 0, 2)
    command(*RUN, "-n", "0", "--json", "run.json")
    cells = json.loads(Path("run.json").read_text())["cells"]
    done = sum(cell["steps"] // STEPS[cell["phase"]] for cell in cells)
    assert found["trainings"] == done


def test_what_the_store_has_is_not_foretold(shop: Workshop, command: Command) -> None:
    command(*RUN, "-n", "0", "--pruners", "later")
    (found,) = plan(command, *RUN)
    assert (found["known"], found["dense"]) == (6, 0)
    assert len(found["seconds"]) == 2
    (whole,) = plan(command, *RUN, "--cache-clear")
    assert (whole["known"], whole["dense"], whole["hours"]) == (0, 2, None)
    assert found["trainings"] == whole["trainings"] - 6
    assert found["hours"] == pytest.approx(found["trainings"] * sum(found["seconds"]) / 2 / 3600)
    (left,) = plan(command, *RUN, "--pruners", "later")
    assert (left["known"], left["trainings"], left["hours"]) == (6, 0, 0.0)


def test_a_training_that_tasks_share_is_counted_once() -> None:
    module, options = toy_task(), RunOptions()
    pruner = plugin("pruner", "later", pruner_of("after"))
    tracks = []
    for name in ("one", "other"):
        task = plugin("task", name, module)
        root = keys.root(task, options, 0)
        (trained,) = keys.chain(root, [Train()], None, None, options.scope)
        dense = Dense(task, 0, options, keys.cell(trained, task, options), trained)
        tracks.append(Track(dense, pruner, {0.5: Cell(name, "later", 0.5, 0)}))
    one, other = forecast(tracks, None)
    assert (one.dense, one.trainings) == (1, 1)
    assert (other.dense, other.trainings, other.hours) == (0, 0, 0.0)


def test_a_plan_that_cannot_be_made_is_named(shop: Workshop, command: Command) -> None:
    path = shop.pruner("planless")
    path.write_text(path.read_text() + "\n@hookimpl\ndef plan(level, context):\n    raise ValueError('no idea')\n")
    ran = command("--dry-run", *RUN)
    assert "toy::planless: plan failed: ValueError: no idea" in ran.out
    assert "2 dense trainings and at most" in ran.out


def test_nothing_is_made(shop: Workshop, command: Command, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = command("--dry-run", *RUN)
    assert ran.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert command("--dry-run", "-k", "nothing").code == 5
