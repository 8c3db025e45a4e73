"""What adapters share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from smc_pruners.adapters._library import class_at, is_place, read_arguments, source_of

from smc_harness.errors import PluginError, UsageError

ADAPTERS = ("torch_prune", "torch_pruning", "llm_compressor")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_is_declared_without_torch_and_its_library(adapter: str) -> None:
    program = f"""
import sys
from smc_harness import PrunerContext
from smc_pruners.adapters import {adapter} as adapter
given = adapter.params()
[function(given) for function in map(vars(adapter).get, ("phase", "files")) if callable(function)]
try:
    adapter.plan(0.5, PrunerContext("mine", given, 0, 0, "task"))
except Exception as error:
    assert "would work" in str(error), error
print(sorted({{"torch", "torch_pruning", "llmcompressor", "transformers", "loguru"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_arguments_are_literals_where_they_are_some_and_else_text() -> None:
    given = "n=2 dim=-1 p=inf flag=True none=None pair=(1,2) normalizer=max"
    assert read_arguments(given) == {
        "n": 2,
        "dim": -1,
        "p": float("inf"),
        "flag": True,
        "none": None,
        "pair": (1, 2),
        "normalizer": "max",
    }
    assert read_arguments("") == {}


@pytest.mark.parametrize("given", ["n", "=2", "1n=2", "n = 2"])
def test_arguments_that_cannot_be_read_are_repeated_with_what_would_work(given: str) -> None:
    with pytest.raises(UsageError, match=f"arguments={given} given; NAME=VALUE"):
        read_arguments(given)


def test_a_place_names_a_class_in_a_module_or_a_file() -> None:
    assert all(map(is_place, ("package.module:Class", "folder/file.py:Class", "C:/file.py:Class")))
    assert not any(map(is_place, ("Class", "package.Class", ":Class", "module:", "module:1")))


def test_a_module_that_does_not_work_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken_methods.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match="import failed: ZeroDivisionError"):
        class_at(f"{tmp_path / 'broken_methods.py'}:Mine")
    with pytest.raises(PluginError, match="is 'absent_package' installed in this environment"):
        class_at("absent_package.module:Mine")


def test_compiled_code_has_no_source_to_follow() -> None:
    assert source_of("numpy.random.mtrand:RandomState") == []
    assert [file.name for file in source_of("torch.nn.utils.prune:L1Unstructured")] == ["prune.py"]
