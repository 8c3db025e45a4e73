"""wikitext2 and c4 on small checkpoints and texts in the real formats."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.errors import UsageError
from tests.checkpoints import causal
from tests.workshop import Workshop

LINES = [" \n", " = A title = \n", " \n", " The cat sat on the mat , and the dog did not . \n", " It was raining . \n"]
DOCUMENTS = [f"Document {number}: the cat number {number} sat on mat {number * 7}." for number in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for kind in ("llama", "gpt2"):
        causal(folder / "models" / kind, [*LINES, *DOCUMENTS], kind)
    (folder / "data" / "wikitext2").mkdir(parents=True)
    (folder / "data" / "c4").mkdir()
    (folder / "data" / "wikitext2" / "wiki.test.raw.txt").write_text("".join(LINES * 20))
    with gzip.open(folder / "data" / "wikitext2" / "wiki.train.raw.txt.gz", "wt") as stream:
        stream.write("".join(LINES * 30))
    rows = "\n".join(json.dumps({"text": text, "url": "x"}) for text in DOCUMENTS)
    for name in ("c4-train.00000-of-01024.json", "c4-validation.00000-of-00008.json"):
        (folder / "data" / "c4" / name).write_text(rows)
    return folder


def talk_of(
    folder: Path, name: str = "wikitext2", kind: str = "llama", data: str = "data", **given: Any
) -> Conversation:
    task = load(
        discover().installed["task"][name], {"model": kind, **{key: str(value) for key, value in given.items()}}
    )
    place = Pretrained(str(folder / "models" / kind))
    return Conversation(task, None, [], RunOptions(data_dir=str(folder / data), pretrained=place), 0)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_perplexity_is_that_of_the_published_tables(folder: Path, kind: str) -> None:
    """As their scripts have it: rows joined by two newlines, windows in order, the mean of the windows' losses."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = folder / "models" / kind
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)
    rows = ["" if line.isspace() else line for line in LINES * 20]
    ids = tokenizer("\n\n".join(rows), return_tensors="pt", verbose=False).input_ids
    assert (ids[0, 0] == 0) == (kind == "llama")
    losses = []
    for start in range(0, ids.shape[1] // 32 * 32, 32):
        window = ids[:, start : start + 32]
        with torch.no_grad():
            losses.append(float(model(input_ids=window, labels=window).loss.double()))
    talk = talk_of(folder, kind=kind, length=32)
    outcomes, value = talk.evaluate(talk.build_model(), "test")
    assert len(outcomes) == len(losses) > 5
    assert value == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-5)


def test_c4_is_the_first_texts_with_a_blank_between_and_256_windows_of_them(folder: Path) -> None:
    from transformers import AutoTokenizer

    talk = talk_of(folder, "c4", length=16)
    ids = AutoTokenizer.from_pretrained(folder / "models" / "llama")(" ".join(DOCUMENTS), verbose=False).input_ids
    joined = torch.cat([window.tokens for window in talk.data["test"]]).tolist()
    assert joined == ids[: len(joined)] and len(ids) - len(joined) < 16
    talk.task_plugin.hooks.most, most = 3, talk.task_plugin.hooks.most
    try:
        assert most == 256 and len(talk_of(folder, "c4", length=16, calibration=7).data["test"]) == 3
    finally:
        talk.task_plugin.hooks.most = most


def test_pruners_are_calibrated_on_windows_of_the_training_text(folder: Path) -> None:
    talk = talk_of(folder, length=16, calibration=5)
    train = talk.data["train"]
    assert len(train) == 5 and {len(window.tokens) for window in train} == {16}
    assert int(train[0].tokens[0]) == 0 and not any((window.tokens == 0).any() for window in train[1:])


def test_a_window_is_no_longer_than_the_model_has_positions(folder: Path) -> None:
    assert {len(window.tokens) for window in talk_of(folder).data["test"]} == {64}


def test_the_model_is_taken_as_it_is(folder: Path) -> None:
    assert talk_of(folder).recipe(retraining=False).steps == 0


def test_the_scope_is_the_blocks_linear_layers_unless_all_is_asked_for(folder: Path) -> None:
    talk = talk_of(folder, kind="gpt2")
    model = talk.build_model()
    presets = talk.hook.prunable(model=model, context=talk.task)
    assert all(".h." in name for name in presets["paper"]) and len(presets["paper"]) == 8
    assert set(presets["all"]) - set(presets["paper"]) == {"transformer.wte.weight", "transformer.wpe.weight"}


def test_a_text_shorter_than_a_window_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("The cat")
    (tmp_path / "models").symlink_to(folder / "models")
    with pytest.raises(
        UsageError,
        match=r"wikitext2 train: fewer tokens than the 64 of a window; a longer text, or a smaller",
    ):
        _ = talk_of(tmp_path, data=".", train="short.txt", test=str(folder / "data/wikitext2/wiki.test.raw.txt")).data


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"\xff\xfe\x00", "torn.txt", r"torn.txt: cannot be read as text"),
        (b"not gzip", "torn.txt.gz", r"torn.txt.gz: cannot be read as text"),
        (b'{"body": "x"}\n', "torn.json", r"torn.json: a row without 'text'; rows with a text would work"),
    ],
)
def test_a_file_that_is_no_text_is_one_line(
    folder: Path, tmp_path: Path, content: bytes, name: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "models").symlink_to(folder / "models")
    with pytest.raises(UsageError, match=message):
        _ = talk_of(tmp_path, data=".", test=name, train=name).data


@pytest.mark.parametrize(
    ("given", "message"),
    [({"length": 1}, "length=1: expected at least 2"), ({"stride": 9, "length": 9}, "stride=9: expected less than")],
)
def test_windows_that_cannot_be_are_refused(folder: Path, given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        talk_of(folder, **given)


def test_pruners_of_large_models_run_on_it_from_the_command_line(folder: Path, workshop: Workshop) -> None:
    given = {"model": "gpt2", "length": "32", "calibration": "16"}
    ran = workshop.run(
        *["--tasks", "wikitext2", "--data-dir", str(folder / "data"), "--model-dir", str(folder / "models")],
        *["--pruners", "wanda,sparsegpt,magnitude-one-shot", "--levels", "0.5", "--no-dense-check"],
        *[word for key, value in given.items() for word in ("--set", f"wikitext2.{key}={value}")],
    )
    assert ran.code == 0, ran.out + ran.err
    cells = ran.cells()
    assert {cell["verdict"] for cell in cells.values()} <= {"pass", "fail"}
    assert [cell["realised"] for cell in cells.values()] == [0.5] * 3
