"""The real client, offline."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.workshop import Workshop

pytestmark = pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")

READ = """
import sys, json
from wandb.sdk.internal.datastore import DataStore
from wandb.proto.wandb_internal_pb2 import Record
store, told = DataStore(), {"rows": [], "summary": {}, "artifacts": 0}
store.open_for_scan(sys.argv[1])
while (data := store.scan_data()) is not None:
    record = Record(); record.ParseFromString(data)
    if record.HasField("run"):
        told["name"], told["project"] = record.run.display_name, record.run.project
        told["config"] = {item.key: json.loads(item.value_json) for item in record.run.config.update}
    if record.HasField("history"):
        told["rows"].append({(i.key or i.nested_key[0]): json.loads(i.value_json) for i in record.history.item})
    if record.HasField("summary"):
        told["summary"] |= {(i.key or i.nested_key[0]): json.loads(i.value_json) for i in record.summary.update}
    if record.HasField("request") and record.request.HasField("log_artifact") or record.HasField("artifact"):
        told["artifacts"] += 1
    if record.HasField("exit"):
        told["exit"] = record.exit.exit_code
json.dump(told, sys.stdout)
"""


def test_a_trajectory_is_an_offline_run_with_its_curve(workshop: Workshop) -> None:
    import json

    workshop.toy()
    workshop.pruner("mine")
    environment = {"WANDB_ERROR_REPORTING": "false"}
    words = ("--collect", "plugins", "--levels", "0.2,0.99,0.995", "-n", "0", "-p", "wandb")
    ran = workshop.run(*words, environment=environment)
    assert ran.code == 0, ran.err
    (file,) = workshop.folder.glob("wandb/offline-run-*/run-*.wandb")
    done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    told, cells = json.loads(done.stdout), ran.cells()
    assert (told["name"], told["project"], told["config"]["pruner"]) == ("toy::mine seed0", "smc-harness", "mine")
    assert [(row["level"], row["value"], row["passed"]) for row in told["rows"]] == [
        (0.2, cells["toy::mine[0.2,seed0]"]["value"], 1.0),
        (0.99, cells["toy::mine[0.99,seed0]"]["value"], 0.0),
    ]
    assert (told["summary"]["last_pass"], told["summary"]["first_fail"]) == (0.2, 0.99)
    assert told["summary"]["verdict 0.995"] == "not-run"
    assert (told["artifacts"], told["exit"]) == (1, 0)
