from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from smc_harness.store import folder
from smc_harness.store.results import SCHEMA_VERSION, Results
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]


def listed(done: Ran, what: str) -> dict[str, dict[str, Any]]:
    assert done.code == 0
    found = json.loads(done.out)
    assert set(found) == {"schema", what}
    return {row["name"]: row for row in found[what]}


def test_pruners_are_listed_with_phase_and_description(command: Command) -> None:
    rows = listed(command("list", "pruners", "--json"), "pruners")
    assert rows["snip"]["phase"] == "before"
    assert rows["snip"]["source"] == "entry point smc_pruners.snip:snip"
    assert {"magnitude-after", "lth", "gmp"} <= set(rows)
    assert all(row["description"] for row in rows.values())


def test_tasks_are_listed_with_metric_and_training(command: Command) -> None:
    rows = listed(command("list", "tasks", "--json"), "tasks")
    assert {"metric", "unit", "chance", "training", "published", "default"} <= set(rows["commonsense-mini"])
    assert rows["commonsense-mini"]["default"]


def test_tasks_say_whether_data_and_weights_are_here(command: Command, workshop: Workshop) -> None:
    for name in ("train_rand_split", "dev_rand_split"):
        workshop.write(f"data/commonsense_qa/{name}.jsonl", "{}")
    workshop.write("models/roberta-large/config.json", "{}")
    workshop.write("models/roberta-large/model.safetensors", "")
    places = ("--data-dir", "data", "--model-dir", "models")
    here = listed(command("list", "tasks", "--json", *places), "tasks")
    assert (here["csqa"]["data"], here["csqa"]["weights"]) == ("here", "here")
    assert here["winogrande"]["data"] == "missing winogrande_1.1/train_xl.jsonl"
    assert (here["mawps-gts"]["data"], here["mawps-gts"]["weights"]) == (
        "missing arithmetic/cv_mawps/fold0/train.csv.gz",
        "from scratch",
    )
    away = listed(command("list", "tasks", "--json"), "tasks")
    assert (away["mawps-gts"]["data"], away["csqa"]["data"]) == ("needs --data-dir", "on the hub")
    assert (away["hp-s2c5-esm-if1"]["data"], away["hp-s2c5-esm-if1"]["weights"]) == (
        "needs --data-dir",
        "needs --model-dir",
    )
    assert (away["commonsense-mini"]["data"], away["commonsense-mini"]["weights"]) == ("built in", "from scratch")
    missing = listed(command("list", "tasks", "--json", "--model-dir", "data"), "tasks")
    assert missing["csqa"]["weights"] == "missing FacebookAI/roberta-large"


def test_what_the_hub_s_cache_holds_is_said(
    command: Command, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smc_tasks.commonsense.choices import CSQA_COMMIT

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(workshop.folder / "hub"))
    workshop.write(f"hub/datasets--tau--commonsense_qa/snapshots/{CSQA_COMMIT}/data.parquet", "")
    row = listed(command("list", "tasks", "--json"), "tasks")["csqa"]
    assert (row["data"], row["weights"]) == ("in the hub's cache", "on the hub")


def test_tasks_are_a_table_with_published_scores(command: Command) -> None:
    lines = {line.split()[0]: line for line in command("list", "tasks").out.splitlines()}
    assert re.search(r"accuracy +77\.3 % +on the hub", lines["csqa"])
    assert re.search(r"BLEU +- +built in +from scratch", lines["translation-mini"])


def test_session_plugins_are_listed_with_our_own_reports(command: Command) -> None:
    assert set(listed(command("list", "plugins", "--json"), "plugins")) >= {"terminal", "json"}


def test_lines_are_aligned_and_sorted(command: Command) -> None:
    lines = command("list", "pruners").out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    starts = {found.end() for line in lines if (found := re.match(r"\S+ +", line))}
    assert len(starts) == 1


def test_collected_plugins_are_listed_too(command: Command, workshop: Workshop) -> None:
    workshop.pruner("mine")
    assert listed(command("list", "pruners", "--collect", "plugins", "--json"), "pruners")["mine"]["source"] == (
        "plugins/mine.py"
    )


def test_a_broken_plugin_is_named_on_standard_error_and_the_rest_are_listed(
    command: Command, workshop: Workshop
) -> None:
    workshop.write("plugins/broken.py", "import nowhere_to_be_found  # hookimpl")
    done = command("list", "pruners", "--collect", "plugins", "--json")
    assert "snip" in listed(done, "pruners")
    assert done.err.startswith("smc-harness: plugins/broken.py: import failed: ModuleNotFoundError")


def test_a_declaration_that_json_does_not_know_is_listed_as_text(command: Command, workshop: Workshop) -> None:
    path = workshop.toy()
    path.write_text(path.read_text() + "\npublished = {('a', 1): {2.5}}\nfloor = float('nan')\n")
    assert listed(command("list", "tasks", "--collect", "plugins", "--json"), "tasks")["toy"]["published"] == {
        "('a', 1)": "{2.5}"
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list"], "the following arguments are required: what"),
        (["list", "prunerz"], "invalid choice: 'prunerz' (choose from 'tasks', 'pruners', 'plugins', 'runs')"),
        (["list", "pruners", "x"], "unexpected argument 'x'"),
        (["list", "pruners", "--jsn"], "unknown option --jsn; did you mean '--json'?"),
        (["list", "pruners", "--collect", "nowhere"], "--collect nowhere: no such file or folder"),
        (["list", "runs"], "--store .smc-harness: no results there; a folder that an earlier run used would work"),
    ],
)
def test_bad_input_is_one_line(command: Command, words: list[str], expected: str) -> None:
    done = command(*words)
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert expected in done.err


def test_runs_are_listed_oldest_first(command: Command, workshop: Workshop) -> None:
    results = Results(folder.prepare(workshop.folder / "kept"))
    for word in ("one", "two"):
        results.end_session(results.begin_session(f"smc-harness {word}"), 0)
    results.close()
    assert command("list", "runs", "--store", "kept").out.splitlines() == [
        "1  0 cells  smc-harness one",
        "2  0 cells  smc-harness two",
    ]
    rows = json.loads(command("list", "runs", "--store", "kept", "--json").out)["runs"]
    assert [(row["id"], row["exit_code"], row["command"]) for row in rows] == [
        (1, 0, "smc-harness one"),
        (2, 0, "smc-harness two"),
    ]


def test_a_store_of_a_newer_schema_is_refused(command: Command, workshop: Workshop) -> None:
    Results(folder.prepare(workshop.folder / "kept")).close()
    connection = sqlite3.connect(workshop.folder / "kept/results.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for words in (["list", "runs"], ["--pruners", "snip"]):
        done = command(*words, "--store", "kept")
        assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
        said = f"written by a newer smc-harness (schema 99; this one reads up to {SCHEMA_VERSION}); upgrade"
        assert said in done.err
