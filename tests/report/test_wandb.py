"""The real client, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.workshop import Workshop

pytestmark = pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")

READ = """
import json, struct, sys
from wandb.proto.wandb_internal_pb2 import Record

def records(data, at=7, block=32768):
    # the file is a log of LevelDB behind seven bytes of its own: chunks with checksum, length and type, in blocks
    parts = b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole one, or the last part of one
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""

def values(items):
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}

told = {"rows": [], "summary": {}, "artifacts": 0}
for record in records(open(sys.argv[1], "rb").read()):
    kind = record.WhichOneof("record_type")
    if kind == "run":
        told |= {"name": record.run.display_name, "project": record.run.project}
        told["config"] = values(record.run.config.update)
    elif kind == "history":
        told["rows"].append(values(record.history.item))
    elif kind == "summary":
        told["summary"] |= values(record.summary.update)
    elif kind == "artifact" or kind == "request" and record.request.HasField("log_artifact"):
        told["artifacts"] += 1
    elif kind == "exit":
        told["exit"] = record.exit.exit_code
json.dump(told, sys.stdout)
"""


def test_a_trajectory_is_an_offline_run_with_its_curve(workshop: Workshop) -> None:
    workshop.toy()
    workshop.pruner("mine")
    environment = {"WANDB_ERROR_REPORTING": "false"}
    words = ("--collect", "plugins", "--levels", "0.2,0.99,0.995", "-n", "0", "-p", "wandb")
    ran = workshop.run(*words, environment=environment)
    assert ran.code == 0, ran.err
    (file,) = workshop.folder.glob("wandb/offline-run-*/run-*.wandb")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(file)], capture_output=True, text=True, env=os.environ, check=False
    )
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
