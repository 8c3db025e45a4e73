"""Where a task's checkpoint comes from, and what of it enters the keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness import Pretrained, hookimpl
from smc_harness.collection.pretrained import with_pretrained
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError, UsageError
from tests.toys import plugin
from tests.workshop import Workshop

COMMIT = "0123456789abcdef"


def starting_from(answer: Any) -> Plugin:
    @hookimpl
    def pretrained(context: Any) -> Any:
        return answer

    return plugin("task", "tuner", SimpleNamespace(pretrained=pretrained))


TASK = starting_from(Pretrained("org/small", COMMIT))


def checkpoint(workshop: Workshop, folder: str = "models/small", weights: str = "w") -> RunOptions:
    workshop.write(f"{folder}/config.json", "{}")
    workshop.write(f"{folder}/model.safetensors", weights)
    return RunOptions(model_dir=str(workshop.folder / "models"))


def test_a_task_without_checkpoint_leaves_the_options_as_they_are() -> None:
    options = RunOptions(model_dir="/nowhere")
    assert with_pretrained(plugin("task", "plain", SimpleNamespace()), options, 0) is options
    assert with_pretrained(starting_from(None), options, 0) is options


def test_without_model_dir_it_is_the_hub_at_a_commit() -> None:
    found = with_pretrained(TASK, RunOptions(), 0)
    assert found.pretrained == Pretrained("org/small", COMMIT)
    other = with_pretrained(starting_from(Pretrained("org/small", "fedcba")), RunOptions(), 0)
    assert found.data_identity() != other.data_identity() != RunOptions().data_identity()


def test_the_hub_without_a_commit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^tuner starts from org/small: give its revision .* or --model-dir DIR"):
        with_pretrained(starting_from(Pretrained("org/small")), RunOptions(), 0)


@pytest.mark.parametrize("folder", ["models/small", "models/org/small"])
def test_under_model_dir_it_is_found_by_its_id_or_the_last_part(workshop: Workshop, folder: str) -> None:
    found = with_pretrained(TASK, checkpoint(workshop, folder), 0)
    assert found.pretrained == Pretrained(str(workshop.folder / folder))


def test_the_content_of_the_folder_enters_the_keys_and_its_place_does_not(workshop: Workshop) -> None:
    first = with_pretrained(TASK, checkpoint(workshop), 0)
    workshop.write("models/small/README.md", "words")
    assert with_pretrained(TASK, checkpoint(workshop), 0).data_identity() == first.data_identity()
    moved = with_pretrained(TASK, checkpoint(workshop, "models/org/small"), 0)
    assert moved.data_identity() == first.data_identity()
    changed = with_pretrained(TASK, checkpoint(workshop, "models/org/small", weights="other"), 0)
    assert changed.data_identity() != first.data_identity()


def test_a_missing_folder_is_named_where_it_was_looked_for(workshop: Workshop) -> None:
    options = RunOptions(model_dir=str(workshop.folder))
    with pytest.raises(UsageError) as caught:
        with_pretrained(TASK, options, 0)
    places = f"{workshop.folder}/org/small or {workshop.folder}/small"
    assert str(caught.value) == f"tuner starts from org/small: no checkpoint (config.json, *.safetensors) in {places}"


def test_pickled_weights_are_refused(workshop: Workshop) -> None:
    workshop.write("models/small/config.json", "{}")
    workshop.write("models/small/pytorch_model.bin", "w")
    with pytest.raises(UsageError, match=r"no \*\.safetensors; weights in that format would work"):
        with_pretrained(TASK, RunOptions(model_dir=str(workshop.folder / "models")), 0)


def test_pickled_weights_are_taken_where_the_task_reads_them(workshop: Workshop) -> None:
    workshop.write("models/small/config.json", "{}")
    task = starting_from(Pretrained("org/small", COMMIT, formats=(".safetensors", ".bin")))
    options = RunOptions(model_dir=str(workshop.folder / "models"))
    with pytest.raises(UsageError, match=r"no \*\.safetensors or \*\.bin; weights in that format would work"):
        with_pretrained(task, options, 0)
    keys = set()
    for weights in ("w", "v"):
        workshop.write("models/small/pytorch_model.bin", weights)
        keys.add(str(with_pretrained(task, options, 0).data_identity()))
    assert len(keys) == 2


def test_a_checkpoint_that_no_hub_has_is_asked_for_with_its_address() -> None:
    task = starting_from(Pretrained("small", url="https://a.place/small"))
    with pytest.raises(
        UsageError,
        match=r"^tuner starts from small, which is on no hub \(it is at https://a.place/small\): "
        "--model-dir DIR with small in it would work$",
    ):
        with_pretrained(task, RunOptions(), 0)


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/../../outside"])
def test_a_name_cannot_leave_the_folder(workshop: Workshop, name: str) -> None:
    options = checkpoint(workshop)
    workshop.write("outside/config.json", "{}")
    with pytest.raises(UsageError, match="leaves --model-dir"):
        with_pretrained(starting_from(Pretrained(name)), options, 0)


def test_a_link_is_followed_as_caches_have_them(workshop: Workshop) -> None:
    options = checkpoint(workshop, "elsewhere/snapshot")
    (workshop.folder / "models").mkdir()
    (workshop.folder / "models" / "small").symlink_to(workshop.folder / "elsewhere" / "snapshot")
    assert with_pretrained(TASK, options, 0).pretrained == Pretrained(str(workshop.folder / "models" / "small"))


ON_NO_HUB = starting_from(Pretrained("small.pt", formats=(".pt",), url="https://example.org/small.pt"))


def test_a_file_with_weights_is_found_under_model_dir(workshop: Workshop) -> None:
    workshop.write("models/small.pt", "w")
    options = RunOptions(model_dir=str(workshop.folder / "models"))
    found = with_pretrained(ON_NO_HUB, options, 0)
    assert found.pretrained == Pretrained(str(workshop.folder / "models" / "small.pt"), formats=(".pt",))
    workshop.write("models/small.pt", "other")
    assert with_pretrained(ON_NO_HUB, options, 0).data_identity() != found.data_identity()


def test_a_file_that_is_not_there_is_named_with_its_address(workshop: Workshop) -> None:
    with pytest.raises(UsageError) as caught:
        with_pretrained(ON_NO_HUB, RunOptions(model_dir=str(workshop.folder)), 0)
    assert str(caught.value) == (
        f"tuner starts from small.pt: no such file in {workshop.folder}; it is at https://example.org/small.pt"
    )


def test_something_else_is_refused() -> None:
    with pytest.raises(PluginError, match="^tuner: pretrained returned 'org/small'; a Pretrained would work$"):
        with_pretrained(starting_from("org/small"), RunOptions(), 0)
