"""Which device is chosen, on machines that are made up here: NVML answers what a test says."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from smc_harness.errors import UsageError
from smc_harness.execution import devices
from smc_harness.execution.devices import Device, choose, confine, least_used, visible

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with so many GPUs, whose driver knows a CUDA version, and a torch that is built for one."""

    def make(
        gpus: int, driver: int = 12040, torch: str | None = "12.8", seen: str | None = None, init: int = 0
    ) -> None:
        def answer(value: int) -> Callable[..., int]:
            def into(pointer: object) -> int:
                pointer._obj.value = value  # type: ignore[attr-defined]
                return 0

            return into

        nvml = SimpleNamespace(
            nvmlInit_v2=lambda: init,
            nvmlShutdown=lambda: 0,
            nvmlDeviceGetCount_v2=answer(gpus),
            nvmlSystemGetCudaDriverVersion_v2=answer(driver),
        )
        monkeypatch.setattr(ctypes, "CDLL", lambda name: nvml)
        monkeypatch.setattr(devices, "_cuda_of_torch", lambda: torch)
        if seen is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)

    return make


def test_auto_and_cuda_take_all_visible_gpus(machine: Machine) -> None:
    machine(3, seen="2,0")
    assert choose("auto") == choose("cuda") == Device("cuda", ("2", "0"))


def test_a_numbered_gpu_is_one_of_the_visible_ones(machine: Machine) -> None:
    machine(3, seen="2,0")
    assert choose("cuda:1") == Device("cuda", ("0",))
    with pytest.raises(UsageError, match=r"^--device cuda:2: there is no such GPU; cuda:0, cuda:1 would work$"):
        choose("cuda:2")


def test_the_cpu_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_gpus", lambda: 1 / 0)
    assert choose("cpu") == Device("cpu", ())


def test_other_machines_are_taken_to_have_a_gpu_where_that_is_asked_for(machine: Machine) -> None:
    machine(0)
    assert choose("cuda", here=False) == Device("cuda")
    assert choose("auto", here=False) == choose("cpu", here=False) == Device("cpu")
    with pytest.raises(
        UsageError, match=r"^--device cuda:1 --dist ray: Ray says which GPU .* --device cuda would work$"
    ):
        choose("cuda:1", here=False)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"gpus": 0}, "there is no NVIDIA GPU with a working driver"),
        ({"gpus": 2, "init": 9}, "there is no NVIDIA GPU with a working driver"),
        ({"gpus": 2, "torch": None}, "the installed torch is built without CUDA"),
        ({"gpus": 2, "driver": 11080}, "the NVIDIA driver knows CUDA up to 11, and torch is built for 12.8"),
        ({"gpus": 2, "seen": ""}, "CUDA_VISIBLE_DEVICES= leaves no GPU"),
        ({"gpus": 2, "seen": "-1"}, "CUDA_VISIBLE_DEVICES=-1 leaves no GPU"),
    ],
)
def test_where_there_is_no_gpu_auto_is_the_cpu_and_cuda_a_usage_error(
    machine: Machine, found: dict[str, object], reason: str
) -> None:
    machine(**found)
    assert choose("auto") == Device("cpu")
    for wanted in ("cuda", "cuda:0"):
        with pytest.raises(UsageError) as caught:
            choose(wanted)
        assert str(caught.value) == f"--device {wanted}: {reason}; --device cpu would work"


def test_a_machine_without_a_driver_has_no_gpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    machine(2)
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert choose("auto") == Device("cpu")


def test_mps_is_there_on_an_apple_chip_alone_and_never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert choose("mps") == Device("mps")
    monkeypatch.setattr(devices, "_cuda_of_torch", lambda: None)
    assert choose("auto") == Device("cpu")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(
        UsageError, match=r"^--device mps: this is not a Mac with an Apple chip; --device cpu would work$"
    ):
        choose("mps")


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, ("0", "1", "2", "3")),
        ("3,1", ("3", "1")),
        (" 2 , 0", ("2", "0")),
        ("0,-1,1", ("0",)),
        ("0,7,1", ("0",)),
        ("", ()),
        ("GPU-8932f937,MIG-1", ("GPU-8932f937", "MIG-1")),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(variable: str | None, expected: tuple[str, ...]) -> None:
    assert visible(variable, 4) == expected


def test_workers_go_round_the_gpus() -> None:
    taken: list[str | None] = []
    for _ in range(5):
        taken.append(least_used(["1", "3"], taken))
    assert taken == ["1", "3", "1", "3", "1"]


def test_a_replacement_gets_the_gpu_that_became_free() -> None:
    assert least_used(["0", "1", "2"], ["0", "2"]) == "1"


def test_without_gpus_there_is_nothing_to_assign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    confine(least_used([], [None, None]))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"


def test_torch_is_asked_for_its_build_by_its_version_file() -> None:
    import torch

    assert devices._cuda_of_torch() == torch.version.cuda
