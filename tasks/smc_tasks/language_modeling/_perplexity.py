"""What all tasks have in common whose score is a perplexity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smc_harness import hookimpl

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes
    from smc_tasks.language_modeling.windows import Window

_BLOCKS = re.compile(r"\.(layers|h|blocks|block)\.\d+\.")
"""Where models of transformers have their blocks."""


class Perplexity:
    """Hooks of a task on windows of text. Subclasses say which text, which model, and how that is trained."""

    metric = "perplexity"
    unit = "ppl"
    higher_is_better = False
    prediction = "token"

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        return presets(model)

    @hookimpl
    def collate(self, examples: list[Window]) -> dict[str, torch.Tensor]:
        from smc_tasks.language_modeling.windows import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from smc_tasks.language_modeling.windows import loss

        return loss(model, batch)

    @hookimpl
    def aggregate(self, outcomes: Outcomes) -> float:
        from smc_tasks.language_modeling.windows import perplexity

        return perplexity(outcomes.values)


def presets(model: torch.nn.Module) -> dict[str, list[str]]:
    """`paper`: the linear layers of the blocks, as in all published tables; `all`: every matrix."""
    matrices = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    inside = [name for name in matrices if _BLOCKS.search(name)]
    return {"paper": inside, "backbone": inside, "no-embeddings-no-head": inside, "all": matrices}
