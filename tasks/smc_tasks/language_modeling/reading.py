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
from smc_tasks._sources import json_lines, named
from smc_tasks.language_modeling.windows import Window, windows

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.language_modeling.text import Text, TextParams

_ROWS = 1000
"""That are tokenised together."""


def read(task: Text, context: TaskContext) -> dict[str, list[Window]]:
    """Both splits. Raises UsageError for a text that is shorter than a window."""
    from transformers import AutoConfig, AutoTokenizer

    from smc_tasks._pretrained import load

    params: TextParams = context.params
    tokenizer = load(AutoTokenizer, context, use_fast=True)
    config = load(AutoConfig, context)
    length = min(params.length, getattr(config, "max_position_embeddings", None) or params.length)
    test = encode(tokenizer, task.between.join(islice(_rows(task, context, "test"), task.rows)))
    scored = windows(test, length, params.stride)[: task.most]
    train = windows(_beginning(tokenizer, task, context, length * params.calibration), length)
    for split, found in (("train", train), ("test", scored)):
        if not found:
            raise UsageError(f"{context.name} {split}: fewer than length={length} tokens; a longer text would work")
    return {"train": train, "test": scored}


def encode(tokenizer: Any, text: str, marked: bool = True) -> Tensor:
    """The ids of a text. marked: with what the tokeniser puts at its beginning."""
    return torch.tensor(tokenizer(text, add_special_tokens=marked, verbose=False)["input_ids"], dtype=torch.long)


def _beginning(tokenizer: Any, task: Text, context: TaskContext, count: int) -> Tensor:
    """So many tokens of the training text, or all: no more rows are read than it takes, of a corpus beyond memory."""
    rows, parts, found = iter(_rows(task, context, "train")), [torch.empty(0, dtype=torch.long)], 0
    while found < count and (some := list(islice(rows, _ROWS))):
        parts.append(encode(tokenizer, task.between.join([*some, ""]), marked=not found))
        found += len(parts[-1])
    return torch.cat(parts)[:count]


def _rows(task: Text, context: TaskContext, split: str) -> Iterator[str]:
    params: TextParams = context.params
    if context.data_dir is None:
        return (row["text"] for row in task.hub_dataset(split).rows())
    files = named({"train": params.train, "test": params.test}[split], context.data_dir)
    return (row for name in files for row in _rows_of(context.data_dir / name))


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
