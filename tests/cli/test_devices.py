"""On which device a run computes, and in which precision. Real runs use the toy task and no workers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
ONE = ("--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.5")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smc_harness.execution.devices._cuda_of_torch", lambda: "12.8")
    monkeypatch.setattr("smc_harness.execution.devices._ask_driver", lambda: (0, 0))


TOY = ("--collect", "plugins", "--pruners", "magnitude-before", "--levels", "0.5", "--json", "out.json", "-n", "0")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_not_there_is_one_line_and_exit_code_4(
    command: Command, workshop: Workshop, no_gpu: None, device: str
) -> None:
    workshop.toy()
    ran = command(*TOY, "--device", device)
    line = f"smc-harness: --device {device}: there is no NVIDIA GPU with a working driver; --device cpu would work\n"
    assert (ran.code, ran.out, ran.err) == (4, "", line)


def test_what_the_cpu_measured_is_found_again_by_auto_where_there_is_no_gpu(
    command: Command, workshop: Workshop, no_gpu: None
) -> None:
    workshop.toy()
    assert command(*TOY, "--device", "cpu").code == 0
    first = json.loads((workshop.folder / "out.json").read_text())
    assert "(1 from the store)" in command(*TOY).out
    again = json.loads((workshop.folder / "out.json").read_text())
    assert [cell["value"] for cell in again["cells"]] == [cell["value"] for cell in first["cells"]]
    assert (again["session"]["machine"]["device"], again["session"]["machine"]["gpus"]) == ("cpu", 0)


def test_evaluating_in_another_precision_trains_nothing_dense_again_and_tells_the_agreement(
    command: Command, workshop: Workshop
) -> None:
    workshop.toy()
    assert command(*TOY).code == 0
    plain = json.loads((workshop.folder / "out.json").read_text())
    ran = command(*TOY, "--evaluate-in", "bfloat16", "-v")
    assert ran.code == 0, ran.err
    found = json.loads((workshop.folder / "out.json").read_text())
    assert not found["cells"][0]["cached"]
    assert "evaluation" not in plain["tasks"]["toy"]
    told = found["tasks"]["toy"]["evaluation"]["0"]
    assert told["evaluated_in"] == "bfloat16"
    assert 0.9 < told["agreement"] <= 1
    assert found["tasks"]["toy"]["dense"] - told["score_difference"] == pytest.approx(plain["tasks"]["toy"]["dense"])
    assert ", evaluated in bfloat16, store " in ran.out
    line = next(line for line in ran.out.splitlines() if line.startswith("toy: evaluated in bfloat16, dense "))
    assert line.endswith("of the outcomes are the same")
    again = command("report", "out.json")
    assert line in again.out


def test_another_precision_is_another_measurement_and_is_named(command: Command, workshop: Workshop) -> None:
    workshop.toy()
    assert "precision" not in command(*TOY).out
    ran = command(*TOY, "--precision", "bfloat16")
    assert ran.code == 0, ran.err
    assert "from the store" not in ran.out
    assert ", precision bfloat16, store " in ran.out
    assert json.loads((workshop.folder / "out.json").read_text())["session"]["options"]["precision"] == "bfloat16"
