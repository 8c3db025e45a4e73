"""From files or the hub to windows of tokens. Imports torch."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from smc_harness.errors import UsageError, one_line
from smc_tasks._sources import json_lines, rows
from smc_tasks.language_modeling.choices import Asked, asked
from smc_tasks.language_modeling.windows import Window, windows

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.language_modeling._pretrained_model import LanguageModelParams, PretrainedLanguageModel
    from smc_tasks.language_modeling.text import Text, TextParams
    from smc_tasks.language_modeling.zero_shot import ZeroShot

_ROWS = 1000
"""That are tokenised together."""


def text(task: Text, context: TaskContext) -> list[Window]:
    """The windows that are scored. Raises UsageError for a text that is shorter than one."""
    params: TextParams = context.params
    texts = islice(_rows(task, context, "test"), task.rows)
    tokens = encode(_tokenizer(context), task.between.join(texts))
    return _some(windows(tokens, _length(context), params.stride)[: task.most], context, "test")


def calibration(task: PretrainedLanguageModel, context: TaskContext, between: str) -> list[Window]:
    """What pruners are calibrated on, from the beginning of the training text; rows are joined by `between`.

    Raises UsageError for a text that is shorter than a window.
    """
    params: LanguageModelParams = context.params
    tokenizer, length = _tokenizer(context), _length(context)
    count = length * params.calibration
    texts, parts, found = iter(_rows(task, context, "train")), [torch.empty(0, dtype=torch.long)], 0
    # no more rows are read than it takes, of a corpus beyond memory
    while found < count and (some := list(islice(texts, _ROWS))):
        parts.append(encode(tokenizer, between.join([*some, ""]), marked=not found))
        found += len(parts[-1])
    return _some(windows(torch.cat(parts)[:count], length), context, "train")


def questions(task: ZeroShot, context: TaskContext, form: str) -> list[Asked]:
    """What is asked. Raises UsageError for a row that is no such question."""
    from smc_tasks.language_modeling import questions as forms

    tokenizer, length = _tokenizer(context), _length(context)

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, verbose=False)["input_ids"]
        return found

    given = rows(context, task.files("test", context), [task.hub_dataset("test")])
    make = getattr(forms, form)
    number = 0
    found: list[Asked] = []
    try:
        if form == "race":
            return [asked(question, ids, length) for question in make(given)]
        for number, row in enumerate(given, start=1):
            found.append(asked(make(row, number), ids, length))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"{context.name} test: row {number}: {type(error).__name__}: {error}") from error
    return found


def _tokenizer(context: TaskContext) -> Any:
    from transformers import AutoTokenizer

    from smc_tasks._pretrained import load

    return load(AutoTokenizer, context, use_fast=True)


def _length(context: TaskContext) -> int:
    """Tokens that the model is shown at once."""
    from transformers import AutoConfig

    from smc_tasks._pretrained import load

    wanted: int = context.params.length
    return min(wanted, getattr(load(AutoConfig, context), "max_position_embeddings", None) or wanted)


def _some(found: list[Window], context: TaskContext, split: str) -> list[Window]:
    if not found:
        raise UsageError(
            f"{context.name} {split}: fewer tokens than the {_length(context)} of a window; a longer text, or a "
            f"smaller {context.name}.length, would work"
        )
    return found


def encode(tokenizer: Any, text: str, marked: bool = True) -> Tensor:
    """The ids of a text. marked: with what the tokeniser puts at its beginning."""
    return torch.tensor(tokenizer(text, add_special_tokens=marked, verbose=False)["input_ids"], dtype=torch.long)


def _rows(task: PretrainedLanguageModel, context: TaskContext, split: str) -> Iterator[str]:
    """The texts of a split."""
    folder = context.data_dir
    if folder is None:
        return (row["text"] for row in task.hub_dataset(split).rows())
    return (row for name in task.files(split, context) for row in _rows_of(folder / name))


def _rows_of(path: Path) -> Iterable[str]:
    """The texts of JSON lines; of plain text the lines, blank ones empty, as the hub has WikiText."""
    if path.name.removesuffix(".gz").endswith((".json", ".jsonl")):
        try:
            return [row["text"] for row in json_lines(path)]
        except KeyError as error:
            raise UsageError(f"{path}: a row without {error}; rows with a text would work") from error
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
            return [line if line.strip() else "" for line in stream]
    except (OSError, UnicodeError, EOFError) as error:
        raise UsageError(f"{path}: cannot be read as text ({one_line(error)})") from error
