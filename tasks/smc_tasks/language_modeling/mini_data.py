"""Stories of an invented world. A sentence is an entity, a relation, a value and a stop.

Entities follow each other by a table of likely successors and relations are drawn freely, so that much of a text cannot
be foretold; the value can, by whoever knows the fact. All tables are drawn at random: nothing but memory helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from smc_tasks.language_modeling.windows import Window

if TYPE_CHECKING:
    from smc_tasks.language_modeling.mini import LanguageModelingMiniParams

BEGIN, STOP = 0, 1


def documents(params: LanguageModelingMiniParams) -> dict[str, list[Window]]:
    """{"train": documents, "test": documents}; they follow `data_seed` alone."""
    draw = torch.Generator().manual_seed(params.data_seed)
    size = (params.entities, params.relations)
    facts = torch.randint(params.values, size, generator=draw)
    order = torch.rand(params.entities, params.entities, generator=draw).argsort(1)
    followers = order[:, : params.followers]
    # the first of them the likeliest, in the proportions of Zipf's law
    likely = 1.0 / torch.arange(1, params.followers + 1)
    return {
        split: _told(split, count, params, facts, followers, likely, draw)
        for split, count in (("train", params.train_documents), ("test", params.test_documents))
    }


def _told(
    split: str,
    count: int,
    params: LanguageModelingMiniParams,
    facts: torch.Tensor,
    followers: torch.Tensor,
    likely: torch.Tensor,
    draw: torch.Generator,
) -> list[Window]:
    """So many documents, [1 + 4 x sentences] tokens each."""
    first = 2  # after the two marks come entities, relations, values
    entity = torch.randint(params.entities, (count,), generator=draw)
    columns = [torch.full((count,), BEGIN)]
    for _ in range(params.sentences):
        relation = torch.randint(params.relations, (count,), generator=draw)
        value = facts[entity, relation]
        columns += [
            first + entity,
            first + params.entities + relation,
            first + params.entities + params.relations + value,
            torch.full((count,), STOP),
        ]
        chosen = torch.multinomial(likely, count, replacement=True, generator=draw)
        entity = followers[entity, chosen]
    tokens = torch.stack(columns, dim=1)
    names = [f"{split}-{number}" for number in range(count)]
    return [Window(name, name, row, len(row) - 1) for name, row in zip(names, tokens, strict=True)]
