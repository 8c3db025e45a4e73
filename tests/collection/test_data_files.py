from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness import hookimpl
from smc_harness.collection.data_files import required_files, with_files
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError, UsageError
from tests.toys import plugin
from tests.workshop import Workshop


def reading(answer: Any) -> Plugin:
    """A task that reads what `answer(context)` names."""

    @hookimpl
    def data_files(context: Any) -> Any:
        return answer(context)

    return plugin("task", "reader", SimpleNamespace(data_files=data_files))


TWO = reading(lambda context: ["fold0/train.csv", "fold0/dev.csv"])


def test_a_task_without_data_files_leaves_the_options_as_they_are() -> None:
    options = RunOptions()
    assert with_files(plugin("task", "plain", SimpleNamespace()), options, 0) is options
    assert with_files(reading(lambda context: []), options, 0) is options


def test_without_data_dir_the_task_says_what_it_reads() -> None:
    with pytest.raises(UsageError, match=r"reader reads fold0/train.csv and needs --data-dir DIR"):
        with_files(TWO, RunOptions(), 0)


def test_every_missing_file_is_named_and_no_other(workshop: Workshop) -> None:
    workshop.write("fold0/dev.csv", "")
    with pytest.raises(UsageError) as caught:
        with_files(TWO, RunOptions(data_dir=str(workshop.folder)), 0)
    assert str(caught.value) == f"--data-dir {workshop.folder}: reader needs fold0/train.csv: not there"


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.csv", "fold0/../../secret.csv"])
def test_no_path_leaves_the_folder(workshop: Workshop, name: str) -> None:
    with pytest.raises(UsageError, match=r"^reader reads .*; a path that stays within --data-dir would work$"):
        with_files(reading(lambda context: [name]), RunOptions(data_dir=str(workshop.folder)), 0)


def test_the_content_of_every_file_enters_the_options(workshop: Workshop) -> None:
    options = RunOptions(data_dir=str(workshop.folder))
    workshop.write("fold0/train.csv", "a")
    workshop.write("fold0/dev.csv", "b")
    before = with_files(TWO, options, 0)
    assert [name for name, _ in before.files] == ["fold0/train.csv", "fold0/dev.csv"]
    assert with_files(TWO, options, 0) == before
    workshop.write("fold0/dev.csv", "c")
    assert with_files(TWO, options, 0).data_identity() != before.data_identity()


def test_the_hook_knows_seed_and_folder(workshop: Workshop) -> None:
    task = reading(lambda context: [f"fold{context.seed}.csv"] if context.data_dir == workshop.folder else [])
    assert required_files(task, RunOptions(data_dir=str(workshop.folder)), 3) == ["fold3.csv"]


@pytest.mark.parametrize("answer", ["train.csv", 3, [Path("train.csv")], [None]])
def test_an_answer_that_is_no_list_of_texts_is_refused(answer: object) -> None:
    with pytest.raises(PluginError, match="reader: data_files returned .* a list of paths under --data-dir would work"):
        required_files(reading(lambda context: answer), RunOptions(), 0)


def test_a_hook_that_raises_is_reported_in_one_line() -> None:
    with pytest.raises(PluginError, match="^reader: data_files failed: ZeroDivisionError: division by zero$"):
        required_files(reading(lambda context: 1 / 0), RunOptions(), 0)
