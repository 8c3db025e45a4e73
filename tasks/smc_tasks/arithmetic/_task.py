"""What every task with a GTS model has in common: prunable tensors, batches, loss, scoring. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from smc_harness import hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from smc_harness import Outcomes, TaskContext
    from smc_tasks.arithmetic.batching import Batch
    from smc_tasks.arithmetic.gts import GTS
    from smc_tasks.arithmetic.problems import Example

EMBEDDINGS = ("encoder.words.embedding.", "encoder.words.model.embeddings.", "decoder.symbols.")
"""What the parameter names of word, position and symbol embeddings begin with."""
HEAD = ("decoder.score.", "decoder.operators.")
EVALUATION_BATCH = 64
"""Problems decoded at once, of similar length. It changes the speed only."""


class GtsTask:
    """Hooks of a word-problem task. Subclasses add the data, the model's sizes, the recipe and the beam width."""

    metric = "accuracy"
    unit = "fraction"
    chance = 0.0
    higher_is_better = True
    model = "GTS"
    prediction = "expression"
    head = tuple(f"{part}*" for part in HEAD)

    def beam(self, context: TaskContext) -> int:
        """Beams per problem in scoring."""
        raise NotImplementedError

    @hookimpl
    def prunable(self, model: GTS) -> Mapping[str, Sequence[str]]:
        """`paper`: all matrices. The other two leave out embeddings and the layers that score symbols."""
        names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
        inner = [name for name in names if not name.startswith(EMBEDDINGS + HEAD)]
        return {"paper": names, "backbone": inner, "no-embeddings-no-head": inner}

    @hookimpl
    def collate(self, examples: list[Example]) -> Batch:
        from smc_tasks.arithmetic.batching import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: GTS, batch: Batch) -> Tensor:
        """Mean over the problems of the negative log-probability of the whole equation."""
        loss: Tensor = -model(batch).mean()
        return loss

    @hookimpl
    def evaluate(self, model: GTS, split: str, context: TaskContext) -> Outcomes:
        """1.0 where the predicted expression is the equation or has its value (within 1e-4), else 0.0."""
        import torch

        from smc_harness import Outcomes
        from smc_tasks._minis import require_finite
        from smc_tasks.arithmetic.expressions import same_answer

        examples: Sequence[Example] = context.data[split]
        beam, longest = self.beam(context), examples[0].vocabulary.longest

        def predict(batch: Batch) -> list[list[int]]:
            symbols, scores = model.predict(batch, beam, longest)
            require_finite(scores)
            found: list[list[int]] = symbols.tolist()
            return found

        predictions = context.outputs(split, EVALUATION_BATCH, predict, length=lambda example: len(example.tokens))
        values = torch.zeros(len(examples))
        for index, (example, prediction) in enumerate(zip(examples, predictions, strict=True)):
            predicted = [example.vocabulary.symbol(symbol) for symbol in prediction if symbol >= 0]
            values[index] = float(same_answer(predicted, example.problem.equation, example.problem.numbers))
        return Outcomes(
            values,
            ids=[example.problem.identifier for example in examples],
            predictions=Outcomes.codes([tuple(prediction) for prediction in predictions]),
        )
