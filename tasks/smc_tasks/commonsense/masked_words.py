"""WinoGrande without a head: a masked language model says which of two fillers is the likelier one. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from smc_harness import Outcomes
from smc_tasks._minis import require_finite
from smc_tasks._sources import Row
from smc_tasks._states import states_only_at

if TYPE_CHECKING:
    from smc_harness import TaskContext

ALPHA, BETA = 5.0, 0.4
"""Weight and width of the margin, as in fairseq's recipe for WinoGrande."""


class Sentence(NamedTuple):
    """A sentence with either filler.

    id: stable across runs. group: the two sentences of a twin pair differ in a word. inputs: token ids with each filler
    in its place, that of the right one first. spans: where the filler's tokens begin and end. second: whether the right
    one is the second option. mask, padding: ids.
    """

    id: str
    group: str
    inputs: tuple[tuple[int, ...], tuple[int, ...]]
    spans: tuple[tuple[int, int], tuple[int, int]]
    second: bool
    mask: int
    padding: int


def winogrande(row: Row, number: int, encode: Callable[[str], list[int]], tokenizer: Any) -> Sentence:
    """A row of the original files or of the hub. number: names rows that have no id of their own.

    The filler is encoded with the blank before it, as byte-level BPE wants it. Raises ValueError unless there is
    one place to fill and one answer.
    """
    before, place, after = row["sentence"].partition("_")
    if not place:
        raise ValueError(f"no blank in {row['sentence']!r}")
    if row["answer"] not in ("1", "2"):
        raise ValueError(f"the answer is {row['answer']!r}; '1' or '2' would work")
    first = [tokenizer.cls_token_id, *encode(before.rstrip())]
    last = [*encode(after), tokenizer.sep_token_id]
    blank = " " if before.endswith(" ") else ""
    fillers = [encode(blank + row[name]) for name in ("option1", "option2")]
    if row["answer"] == "2":
        fillers.reverse()
    inputs = tuple((*first, *filler, *last) for filler in fillers)
    spans = tuple((len(first), len(first) + len(filler)) for filler in fillers)
    identifier = str(row.get("qID") or number)
    group = identifier.rpartition("-")[0] or identifier
    found = (inputs, spans, row["answer"] == "2", tokenizer.mask_token_id, tokenizer.pad_token_id)
    return Sentence(identifier, group, *found)  # type: ignore[arg-type]


def collate(sentences: Sequence[Sentence]) -> dict[str, Tensor]:
    """input_ids with fillers masked, attention_mask, targets: [2 x sentences, tokens], the right fillers first.

    targets hold the filler's ids and elsewhere -100.
    """
    ids, targets = [], []
    for which in range(2):
        for sentence in sentences:
            (start, end), masked = sentence.spans[which], torch.tensor(sentence.inputs[which])
            target = torch.full_like(masked, -100)
            target[start:end] = masked[start:end]
            masked[start:end] = sentence.mask
            ids.append(masked)
            targets.append(target)
    lengths = torch.tensor([len(row) for row in ids])
    padded = pad_sequence(ids, batch_first=True, padding_value=sentences[0].padding)
    return {
        "input_ids": padded,
        "attention_mask": (torch.arange(padded.shape[1]) < lengths.unsqueeze(1)).long(),
        "targets": pad_sequence(targets, batch_first=True, padding_value=-100),
    }


def scores(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean log-probability of the tokens of the right and of the wrong filler, [sentences] each."""
    targets = batch["targets"]
    asked = targets >= 0
    with states_only_at(model, asked):
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[0]
    losses = nn.functional.cross_entropy(logits.float(), targets[asked], reduction="none")
    sums = losses.new_zeros(targets.shape).index_put(asked.nonzero(as_tuple=True), losses).sum(dim=1)
    right, wrong = require_finite(-sums / asked.sum(dim=1)).chunk(2)
    return right, wrong


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """-q + alpha max(0, c - q + beta), q of the right filler, c of the wrong one; mean over the sentences."""
    right, wrong = scores(model, batch)
    return (-right + ALPHA * (wrong - right + BETA).clamp(min=0)).mean()


def evaluate(model: nn.Module, split: str, context: TaskContext) -> Outcomes:
    """1.0 where the right filler is at least as likely as the wrong one, else 0.0."""
    sentences: list[Sentence] = list(context.data[split])

    def right(batch: dict[str, Tensor]) -> Tensor:
        first, other = scores(model, batch)
        return (first >= other).cpu()

    values = torch.stack(context.outputs(split, context.params.evaluation_batch, right, tokens)).float()
    second = torch.tensor([sentence.second for sentence in sentences])
    return Outcomes(
        values=values,
        ids=[sentence.id for sentence in sentences],
        groups=[sentence.group for sentence in sentences],
        predictions=(second == values.bool()).long(),
    )


def tokens(sentence: Sentence) -> int:
    """Tokens of a sentence's two inputs, each as long as the longer one."""
    return len(sentence.inputs) * max(len(ids) for ids in sentence.inputs)
