"""The driver against an executor that only records and replays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smc_harness import Prune, Train, hookimpl
from smc_harness.cells import Cell, CellResult, Measurement, Verdict
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.structure import Structure
from smc_harness.errors import StoreError
from smc_harness.execution.driver import Driver
from smc_harness.execution.jobs import Died, Event, Failed, Finished, Job, Measured, Started
from smc_harness.execution.ledger import Observer, Rules
from smc_harness.execution.tracks import Dense, Track
from smc_harness.lifecycle import keys
from smc_harness.store.identity import digest
from smc_harness.store.results import Results
from smc_harness.verdict.rule import Tolerance
from smc_harness.verdict.search import Search
from tests.execution.playing import GOOD, LEVELS, Recorder, Script, measured, play, verdicts
from tests.toys import plugin, pruner_of, toy_task


def test_the_dense_training_comes_before_its_dependants(drive) -> None:
    recorder, found = drive(lambda job: play(job, GOOD), slots=4)
    assert [name for name, _ in recorder.jobs] == ["dense", "one"]
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.8: "fail"}
    assert recorder.closed


@pytest.mark.parametrize(("trainings", "at_once"), [(("same", "same"), 1), (("one", "other"), 2)])
def test_tasks_with_one_training_do_not_train_it_side_by_side(
    tmp_path: Path, trainings: tuple[str, str], at_once: int
) -> None:
    pruner = plugin("pruner", "one", pruner_of("after"))
    tracks = []
    for number, training in enumerate(trainings):
        task = plugin("task", f"toy{number}", toy_task())
        dense = Dense(task, 0, RunOptions(), digest("measured", number), keys.digest(training))
        tracks.append(Track(dense, pruner, {0.5: Cell(task.name, "one", 0.5, 0)}))
    most = 0

    def script(job: Job) -> Iterator[Event]:
        nonlocal most
        most = max(most, sum(each.pruner is None for each, _ in recorder.running))
        yield Started(None)
        yield Failed(None, "enough was seen")
        yield Finished()

    recorder = Recorder(2, script)
    results = Results(tmp_path)
    rules = Rules(lambda task: Tolerance(), Search("grid", None), True, None)
    Driver(
        tracks,
        lambda jobs: recorder,
        results,
        rules,
        Observer(lambda cell: None, lambda result: None),
        (),
        str(tmp_path),
    ).run()
    results.close()
    assert most == at_once


def test_long_tracks_start_before_short_ones(drive) -> None:
    pruners = {phase: plugin("pruner", phase, pruner_of(phase)) for phase in ("before", "iterative", "after")}
    recorder, _ = drive(lambda job: play(job, GOOD), pruners)
    assert [name for name, _ in recorder.jobs][:2] == ["dense", "iterative"]


def test_what_is_in_the_store_is_not_run_again(drive) -> None:
    task = toy_task()
    drive(lambda job: play(job, GOOD), task=task)
    recorder, found = drive(lambda job: play(job, GOOD), task=task)
    assert recorder.jobs == []
    assert all(result.cached for result in found.values()) and len(found) == 3


def test_a_grid_run_takes_up_what_an_until_fail_run_left(drive) -> None:
    task, falling = toy_task(), {0.2: 0.9, 0.5: 0.1, 0.8: 0.05}
    drive(lambda job: play(job, falling), task=task)
    recorder, found = drive(lambda job: play(job, falling), task=task, search="grid")
    assert recorder.jobs == [("one", {0.2: Verdict.PASS, 0.5: Verdict.FAIL})]
    assert verdicts(found) == {0.2: "pass", 0.5: "fail", 0.8: "fail"}


def test_a_resolution_adds_levels_to_the_track_one_by_one(drive) -> None:
    curve = {round(k / 20, 10): 0.9 if k <= 12 else 0.1 for k in range(1, 20)}  # fails from 0.65 on
    recorder, found = drive(lambda job: play(job, curve), resolution=0.05)
    assert [max(known, default=None) for name, known in recorder.jobs if name == "one"] == [None, 0.8, 0.8]
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.6: "pass", 0.65: "fail", 0.8: "fail"}


def test_a_level_that_was_added_before_is_not_run_again(drive) -> None:
    task = toy_task()
    drive(lambda job: play(job, GOOD | {0.6: 0.1, 0.7: 0.1}), task=task, resolution=0.1)
    recorder, found = drive(lambda job: play(job, GOOD), task=task, resolution=0.1)
    assert recorder.jobs == []
    assert all(result.cached for result in found.values())


def test_an_added_level_without_a_plan_is_an_error_of_its_own(drive) -> None:
    class Odd:
        phase = "after"

        @hookimpl
        def plan(self, level):
            if level not in LEVELS:
                raise ValueError("no plan for this")
            return [Train(), Prune(level)]

        @hookimpl
        def compute_scores(self, model, context):
            return {}

    _, found = drive(lambda job: play(job, GOOD), {"one": plugin("pruner", "one", Odd())}, resolution=0.2)
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.6: "error", 0.8: "fail"}
    assert found["toy::one[0.6,seed0]"].error == "plan failed: ValueError: no plan for this"


def test_a_worker_that_leaves_a_level_out_is_named(drive) -> None:
    def script(job: Job) -> Iterator[Event]:
        if job.pruner is None:
            yield from play(job, GOOD)
        else:
            yield Finished()

    _, found = drive(script)
    assert verdicts(found) == dict.fromkeys(LEVELS, "error")
    assert found["toy::one[0.5,seed0]"].error == "its worker ended without it"


def test_a_dense_training_that_nothing_is_heard_of_is_named(drive) -> None:
    _, found = drive(lambda job: iter([Finished()]))
    assert found["toy::one[0.2,seed0]"].error == "the dense training failed: its worker ended without it"


def dying(times: int, tries: int = 2) -> tuple[list[Job], Script]:
    """The jobs whose worker died at 0.5, and a script in which so many of them do."""
    deaths: list[Job] = []

    def script(job: Job) -> Iterator[Event]:
        if job.pruner is not None and len(deaths) < times:
            if 0.2 not in job.known:
                yield Started(0.2)
                yield measured(0.2, 0.9)
            yield Started(0.5)
            deaths.append(job)
            yield Died(0.5, "the worker process was ended by SIGSEGV", "Fatal Python error", tries)
        else:
            yield from play(job, GOOD)

    return deaths, script


def test_a_cell_whose_worker_died_is_tried_once_more(drive) -> None:
    deaths, script = dying(1)
    recorder, found = drive(script)
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.8: "fail"}
    assert len(deaths) == 1
    assert recorder.jobs[-1] == ("one", {0.2: Verdict.PASS})


def test_a_worker_that_dies_each_time_costs_one_cell(drive) -> None:
    deaths, script = dying(2)
    recorder, found = drive(script)
    assert verdicts(found) == {0.2: "pass", 0.5: "error", 0.8: "fail"}
    assert found["toy::one[0.5,seed0]"].error == "the worker process was ended by SIGSEGV (tried twice)"
    assert found["toy::one[0.5,seed0]"].output == "Fatal Python error"
    assert recorder.jobs[-1] == ("one", {0.2: Verdict.PASS, 0.5: Verdict.ERROR})
    assert len(deaths) == 2


def test_what_another_try_would_not_mend_is_named_at_once(drive) -> None:
    deaths, script = dying(9, tries=1)
    _, found = drive(lambda job: script(job) if 0.5 not in job.known else play(job, GOOD))
    assert found["toy::one[0.5,seed0]"].error == "the worker process was ended by SIGSEGV"
    assert len(deaths) == 1


def test_a_lost_node_is_no_death_of_a_worker(drive) -> None:
    lost, script = dying(4, tries=5)
    _, found = drive(script)
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.8: "fail"}
    assert len(lost) == 4


def test_what_loses_its_node_each_time_is_named_in_the_end(drive) -> None:
    lost, script = dying(5, tries=5)
    _, found = drive(script)
    assert found["toy::one[0.5,seed0]"].error == "the worker process was ended by SIGSEGV (tried 5 times)"
    assert len(lost) == 5


def test_a_dense_training_whose_worker_died_is_tried_once_more(drive) -> None:
    deaths = []

    def script(job: Job) -> Iterator[Event]:
        if job.pruner is None and not deaths:
            deaths.append(job)
            yield Started(None)
            yield Died(None, "the worker process was ended by SIGKILL (out of memory?)")
        else:
            yield from play(job, GOOD)

    recorder, found = drive(script)
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.8: "fail"}
    assert [name for name, _ in recorder.jobs] == ["dense", "dense", "one"]


def test_workers_that_die_before_they_begin_are_tried_once_more_and_named(drive) -> None:
    def script(job: Job) -> Iterator[Event]:
        if job.pruner is None:
            yield from play(job, GOOD)
        else:
            yield Died(None, "the worker process ended with exit code 1")

    recorder, found = drive(script)
    assert verdicts(found) == dict.fromkeys(LEVELS, "error")
    assert len(recorder.jobs) == 3


def test_a_store_that_cannot_be_written_ends_the_run_and_costs_no_cell(drive) -> None:
    task = toy_task()

    def script(job: Job) -> Iterator[Event]:
        if job.pruner is None:
            yield from play(job, GOOD)
            return
        yield Started(0.2)
        yield measured(0.2, 0.9)
        yield Started(0.5)
        yield Failed(0.5, "store: No space left on device", store=True)

    told: list[Cell | CellResult] = []
    with pytest.raises(StoreError, match="No space left"):
        drive(script, task=task, told=told.append)
    assert [result.cell.level for result in told if isinstance(result, CellResult)] == [0.2]
    recorder, found = drive(lambda job: play(job, GOOD), task=task)
    assert recorder.jobs == [("one", {0.2: Verdict.PASS})]
    assert found["toy::one[0.2,seed0]"].cached


@pytest.mark.parametrize("end", [Finished(), Died(None, "the worker process ended with exit code 0")], ids=repr)
def test_a_dense_training_that_fails_makes_its_cells_errors(drive, end: Event) -> None:
    def script(job: Job) -> Iterator[Event]:
        yield Started(None)
        yield Failed(None, "RuntimeError: no data", "Traceback ...")
        yield end

    recorder, found = drive(script)
    assert set(verdicts(found).values()) == {"error"}
    assert found["toy::one[0.2,seed0]"].error == "the dense training failed: RuntimeError: no data"
    assert len(recorder.jobs) == 1


def test_a_dense_model_at_chance_skips_its_cells_with_that_reason(drive) -> None:
    def script(job: Job) -> Iterator[Event]:
        yield Started(None)
        yield measured(None, 0.53)
        yield Finished()

    _, found = drive(script)
    assert set(verdicts(found).values()) == {"skipped"}
    assert "dense scores 0.53, not above its floor 0.5474" in found["toy::one[0.2,seed0]"].error


def test_max_fail_stops_the_run(drive) -> None:
    values = {0.2: 0.1, 0.5: 0.1, 0.8: 0.1}
    recorder, found = drive(lambda job: play(job, values), search="grid", max_fail=2)
    assert verdicts(found) == {0.2: "fail", 0.5: "fail"}
    assert recorder.closed


def test_a_plan_that_cannot_be_made_is_its_own_track_s_fault(drive) -> None:
    @hookimpl
    def plan(level):
        raise ValueError("bad parameter")

    pruners = {
        "bad": plugin("pruner", "bad", pruner_of("after", plan=plan)),
        "good": plugin("pruner", "good", pruner_of("after", plan=hookimpl(lambda level: [Prune(level)]))),
    }
    _, found = drive(lambda job: play(job, GOOD), pruners)
    assert found["toy::bad[0.2,seed0]"].error == "plan failed: ValueError: bad parameter"
    assert found["toy::good[0.2,seed0]"].verdict is Verdict.PASS


def test_a_plan_is_told_allocation_and_pattern(drive) -> None:
    @hookimpl
    def plan(level, context):
        raise ValueError(f"{context.structure} given")

    hooks = pruner_of("after", plan=plan)
    _, found = drive(lambda job: play(job, GOOD), {"p": plugin("pruner", "p", hooks, structure=Structure("erk"))})
    assert found["toy::p[0.2,seed0]"].error == "plan failed: ValueError: erk given"


def test_a_number_measured_with_other_source_is_not_kept(drive) -> None:
    task = toy_task()

    def edited(job: Job) -> Iterator[Event]:
        if job.pruner is None:
            yield from play(job, GOOD)
            return
        yield Started(0.2)
        yield Measured(0.2, Measurement(value=0.9, n=1000, seconds=0.0, outcomes="a key of another source"))
        yield Finished()

    _, found = drive(edited, task=task)
    assert found["toy::one[0.2,seed0]"].error.startswith("the source of a plugin changed while the run was going on")
    recorder, found = drive(lambda job: play(job, GOOD), task=task)
    assert not found["toy::one[0.2,seed0]"].cached
    assert len(recorder.jobs) == 1


def test_a_death_after_a_result_does_not_take_it_back(drive) -> None:
    def script(job: Job) -> Iterator[Event]:
        if job.pruner is not None and not job.known:
            yield Started(0.2)
            yield measured(0.2, 0.9)
            yield Died(0.2, "the worker process was ended by SIGKILL")
            return
        yield from play(job, GOOD)

    recorder, found = drive(script)
    assert verdicts(found) == {0.2: "pass", 0.5: "pass", 0.8: "fail"}
    assert recorder.jobs[-1] == ("one", {0.2: Verdict.PASS})


def test_what_is_stored_above_a_gap_is_not_measured_again(drive) -> None:
    task = toy_task()

    def gap(job: Job) -> Iterator[Event]:
        if job.pruner is None:
            yield from play(job, GOOD)
            return
        yield Started(0.2)
        yield Failed(0.2, "RuntimeError: bad luck")
        for level in (0.5, 0.8):
            yield Started(level)
            yield measured(level, GOOD[level])
        yield Finished()

    drive(gap, task=task)
    asked = []

    def again(job: Job) -> Iterator[Event]:
        for event in play(job, GOOD):
            asked.extend([event.level] if isinstance(event, Started) else [])
            yield event

    recorder, found = drive(again, task=task)
    assert asked == [0.2]
    assert recorder.jobs == [("one", {0.5: Verdict.PASS, 0.8: Verdict.FAIL})]
    assert {level: result.cached for level, result in zip(LEVELS, found.values(), strict=True)} == {
        0.2: False,
        0.5: True,
        0.8: True,
    }
