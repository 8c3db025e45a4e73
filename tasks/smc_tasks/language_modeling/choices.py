"""How likely a causal language model holds each choice of a question. Imports torch.

What the choices of a question have in common is run once: a row holds it, and after it the rest of every choice, which
sees the common part and itself. The vocabulary is asked at the places alone whose next token is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from smc_harness import Outcomes
from smc_tasks._minis import require_finite
from smc_tasks._states import states_only_at
from smc_tasks.language_modeling.questions import Question

if TYPE_CHECKING:
    from smc_harness import TaskContext

_PADDING = -1
_ALIKE = 0.01
"""Nats by which the two ways may differ, where one is as good as the other."""


class Asked(NamedTuple):
    """A question in tokens: a row of the common part and the branches.

    tokens, positions, branches: [length]; a branch is 0 where all choices see it, else the number of the choice + 1.
    places, targets, owners: [scored]: where in the row a scored token is foretold, which it is, and of which choice.
    lengths: of the choices in characters.
    """

    id: str
    group: str
    tokens: Tensor
    positions: Tensor
    branches: Tensor
    places: Tensor
    targets: Tensor
    owners: Tensor
    lengths: tuple[int, ...]
    answer: int


def asked(question: Question, encode: Callable[[str], list[int]], longest: int) -> Asked:
    """encode: with what the tokeniser puts at the beginning. longest: tokens that the model sees; the last are kept."""
    rows = [_encoded(*pair, encode) for pair in zip(question.contexts, question.endings, strict=True)]
    cut = [(ids[-longest - 1 :], min(scored, longest)) for ids, scored in rows]
    inputs = [ids[:-1] for ids, _ in cut]
    common = _common(inputs)
    tokens, positions, branches = list(inputs[0][:common]), list(range(common)), [0] * common
    places: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for number, (ids, scored) in enumerate(cut):
        start = len(tokens) - common
        tokens += ids[common:-1]
        positions += range(common, len(ids) - 1)
        branches += [number + 1] * (len(ids) - 1 - common)
        for place in range(len(ids) - 1 - scored, len(ids) - 1):
            places.append(place if place < common else start + place)
            targets.append(ids[place + 1])
            owners.append(number)
    return Asked(
        question.id,
        question.group,
        tokens=torch.tensor(tokens),
        positions=torch.tensor(positions),
        branches=torch.tensor(branches),
        places=torch.tensor(places),
        targets=torch.tensor(targets),
        owners=torch.tensor(owners),
        lengths=tuple(map(len, question.choices)),
        answer=question.answer,
    )


def _encoded(context: str, ending: str, encode: Callable[[str], list[int]]) -> tuple[list[int], int]:
    """The ids of both together, and how many of the last are the ending's; blanks between them are the ending's."""
    bare = context.rstrip()
    before = encode(bare)
    after = encode(context + ending)[len(before) :]
    return before + after, len(after)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all begin with."""
    shortest = min(map(len, rows))
    return next((place for place in range(shortest) if len({row[place] for row in rows}) > 1), shortest)


def collate(examples: Sequence[Asked]) -> dict[str, Tensor]:
    """input_ids, positions, branches: [questions, tokens], padded; row, place, target, owner: of the scored tokens."""
    counts = torch.tensor([len(example.places) for example in examples])
    return {
        "input_ids": pad_sequence([example.tokens for example in examples], batch_first=True),
        "positions": pad_sequence([example.positions for example in examples], batch_first=True),
        "branches": pad_sequence([example.branches for example in examples], batch_first=True, padding_value=_PADDING),
        "row": torch.arange(len(examples)).repeat_interleave(counts),
        "place": torch.cat([example.places for example in examples]),
        "target": torch.cat([example.targets for example in examples]),
        "owner": torch.cat([example.owners for example in examples]),
    }


def log_likelihoods(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """[questions, choices]: of the tokens of each choice together; 0 where a question has no such choice."""
    branches = batch["branches"]
    length = branches.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=branches.device).tril()
    seen = earlier & ((branches.unsqueeze(1) == 0) | (branches.unsqueeze(1) == branches.unsqueeze(2)))
    # added to the scores of an attention, which every implementation understands
    hidden = torch.zeros(seen.shape, dtype=model.dtype, device=seen.device).masked_fill_(
        ~seen, torch.finfo(model.dtype).min
    )
    wanted = torch.zeros_like(branches, dtype=torch.bool)
    wanted[batch["row"], batch["place"]] = True
    with states_only_at(model, wanted):
        logits = model(
            input_ids=batch["input_ids"],
            position_ids=batch["positions"],
            attention_mask=hidden.unsqueeze(1),
            use_cache=False,
        ).logits[0]
    return _summed(logits, wanted, batch, batch["row"])


def plain_log_likelihoods(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """The same with a row for every choice, for models that cannot be told what to see."""
    rows: list[Tensor] = []
    first: list[int] = []  # of each question, its first row
    for ids, branches in zip(batch["input_ids"], batch["branches"], strict=True):
        first.append(len(rows))
        rows += [ids[(branches == 0) | (branches == number)] for number in range(1, max(1, int(branches.max())) + 1)]
    inputs = pad_sequence(rows, batch_first=True)
    row = torch.tensor(first, device=inputs.device)[batch["row"]] + batch["owner"]
    place = batch["positions"][batch["row"], batch["place"]]
    wanted = torch.zeros_like(inputs, dtype=torch.bool)
    wanted[row, place] = True
    with states_only_at(model, wanted):
        logits = model(input_ids=inputs, use_cache=False).logits[0]
    return _summed(logits, wanted, batch | {"place": place}, row)


def _summed(logits: Tensor, wanted: Tensor, batch: dict[str, Tensor], row: Tensor) -> Tensor:
    """From the logits of the wanted places, in order, to the choices' log-likelihoods. row: of each scored token."""
    numbers = (wanted.flatten().cumsum(0) - 1).view_as(wanted)
    which = numbers[row, batch["place"]]
    chosen = logits[which, batch["target"]].float() - logits.float().logsumexp(-1)[which]
    found = torch.zeros(len(batch["branches"]), int(batch["owner"].max()) + 1, device=logits.device)
    return found.index_put((batch["row"], batch["owner"]), chosen, accumulate=True)


def sees_branches(model: Any, batch: dict[str, Tensor]) -> bool:
    """Whether a model attends as it is told to, so that both ways give the same."""
    try:
        found = log_likelihoods(model, batch)
    except (TypeError, ValueError, RuntimeError, IndexError):  # it takes no positions, or no such mask
        return False
    rough = 16 * torch.finfo(model.dtype).eps
    return torch.allclose(found, plain_log_likelihoods(model, batch), rtol=rough, atol=_ALIKE)


def evaluate(model: nn.Module, split: str, context: TaskContext, score: str, batch: int | None) -> Outcomes:
    """1.0 where the likeliest choice is the right one. score: `acc`, or `acc_norm` of nats a character."""
    examples: list[Asked] = list(context.data[split])
    shared = sees_branches(model, next(context.batches(split, 1)))
    way = log_likelihoods if shared else plain_log_likelihoods
    context.log("common parts run once", shared)
    found = context.outputs(
        split, batch, lambda batch: require_finite(way(model, batch)).cpu(), lambda example: len(example.tokens)
    )
    chosen: dict[str, list[int]] = {"acc": [], "acc_norm": []}
    for example, sums in zip(examples, found, strict=True):
        nats = sums[: len(example.lengths)].double()
        chosen["acc"].append(int(nats.argmax()))
        chosen["acc_norm"].append(int((nats / torch.tensor(example.lengths)).argmax()))
    answers = torch.tensor([example.answer for example in examples])
    for name, numbers in chosen.items():
        context.log(name, (torch.tensor(numbers) == answers).double().mean())
    predictions = torch.tensor(chosen[score])
    return Outcomes(
        values=(predictions == answers).float(),
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=predictions,
    )
