"""The real client on its local file store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Workshop

pytestmark = pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")

READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient()
found = []
for run in client.search_runs([client.get_experiment_by_name("smc-harness").experiment_id]):
    history = {key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
               for key in run.data.metrics}
    found.append(dict(name=run.info.run_name, status=run.info.status, params=run.data.params, tags=run.data.tags,
                      history=history, artifacts=[a.path for a in client.list_artifacts(run.info.run_id)],
                      report=client.download_artifacts(run.info.run_id, "smc-harness.json")))
json.dump(found, sys.stdout)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    wanted = {"MLFLOW_TRACKING_URI": (tmp_path / "runs").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    return wanted | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def read(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The runs by name, by the client itself."""
    done = subprocess.run(
        [sys.executable, "-c", READ], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return {run["name"]: run for run in json.loads(done.stdout)}


def test_every_trajectory_is_a_run_with_its_curve_and_its_report(
    workshop: Workshop, environment: dict[str, str]
) -> None:
    workshop.toy()
    workshop.pruner("mine")
    workshop.write(
        "plugins/broken.py",
        """
        from smc_harness import hookimpl
        name, phase = "broken", "before"

        @hookimpl
        def compute_scores(model, context):
            raise ValueError("on purpose")
        """,
    )
    words = ("--collect", "plugins", "--levels", "0.2,0.8325,0.99,0.995", "--controls", "--tolerance", "0.2", "-n", "0")
    ran = workshop.run(*words, "-p", "mlflow", environment=environment)
    assert ran.code == 6, ran.err
    cells, runs = ran.cells(), read(environment)
    assert runs.keys() == {f"toy::{cell['pruner']} seed0" for cell in cells.values()}
    assert {name: run["status"] for name, run in runs.items() if "mine" in name or name.endswith("broken seed0")} == {
        "toy::mine seed0": "FINISHED",
        "toy::mine~random seed0": "FINISHED",
        "toy::mine~own-ratios seed0": "FINISHED",
        "toy::broken seed0": "FAILED",
    }
    for first in ran.report["first_fail"]:
        run = runs[f"toy::{first['pruner']} seed0"]
        own = [cell for cell in cells.values() if cell["pruner"] == first["pruner"] and cell["value"] is not None]
        assert dict(run["history"].get("value", [])) == {round(1e4 * cell["level"]): cell["value"] for cell in own}
        assert dict(run["history"].get("passed", [])) == {
            round(1e4 * cell["level"]): float(cell["verdict"] == "pass") for cell in own
        }
        for end in ("last_pass", "first_fail"):
            assert run["history"].get(end, [[0, None]])[0][1] == first[end]
        assert run["params"]["pruner"] == first["pruner"] and run["params"]["scope"] == "paper"
        assert run["params"]["params_digest"] == next(
            cell["params_digest"] for cell in cells.values() if cell["pruner"] == first["pruner"]
        )
        assert run["tags"]["verdict 0.2"] == cells[f"toy::{first['pruner']}[0.2,seed0]"]["verdict"]
        assert run["artifacts"] == ["smc-harness.json"]
    assert 8325 in dict(runs["toy::mine seed0"]["history"]["value"])
    report = workshop.folder / "of-mlflow.json"
    report.write_text(Path(runs["toy::mine seed0"]["report"]).read_text())
    assert {cell["pruner"] for cell in json.loads(report.read_text())["cells"]} == {"mine"}
    shown = subprocess.run(
        [sys.executable, "-m", "smc_harness", "report", str(report)], capture_output=True, text=True, check=True
    )
    assert "mine" in shown.stdout


def test_a_server_that_cannot_be_had_is_one_line_before_the_run(
    workshop: Workshop, environment: dict[str, str]
) -> None:
    workshop.toy()
    workshop.pruner("mine")
    lost = environment | {"MLFLOW_TRACKING_URI": "nonsense://nowhere"}
    ran = workshop.run("--collect", "plugins", "--levels", "0.2", "-p", "mlflow", environment=lost)
    assert (ran.code, ran.out) == (4, "")
    assert "smc-harness: -p mlflow: " in ran.err and "MLFLOW_TRACKING_URI says where runs go" in ran.err
