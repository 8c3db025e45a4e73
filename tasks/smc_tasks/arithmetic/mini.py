"""arithmetic-mini: a tiny GTS solves generated word problems whose words must be known by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks.arithmetic._task import GtsTask

if TYPE_CHECKING:
    from smc_harness import Recipe, TaskContext
    from smc_tasks.arithmetic.gts import GTS
    from smc_tasks.arithmetic.problems import Example


@dataclass(frozen=True)
class ArithmeticMiniParams:
    """Parameters of arithmetic-mini.

    data_seed: decides the data; the run's seeds decide weights and order, so that all seeds see the same data.
    train, test: problems. verbs, units, nouns: words of the invented language.
    hidden, embedding, layers: sizes of the model. beam: beams per problem in scoring.
    steps, batch_size, learning_rate: of a training from start weights; the learning rate is the peak.
    retrain_fraction: steps of a retraining, as a fraction of `steps`. retrain_learning_rate: its peak learning rate,
    as a fraction of `learning_rate`.
    """

    data_seed: int = 0
    train: int = 8000
    test: int = 2000
    verbs: int = 120
    units: int = 24
    nouns: int = 60
    hidden: int = 32
    embedding: int = 32
    layers: int = 1
    beam: int = 1
    steps: int = 700
    batch_size: int = 32
    learning_rate: float = 1e-2
    retrain_fraction: float = 0.2
    retrain_learning_rate: float = 0.25

    def __post_init__(self) -> None:
        for name in ("train", "test", "hidden", "embedding", "layers", "beam", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)!r}: expected a whole number from 1 on")
        if self.verbs < 4 or self.units < 1 or self.nouns < 1:
            raise UsageError(f"verbs={self.verbs}, units={self.units}, nouns={self.nouns}: expected at least 4, 1, 1")


class ArithmeticMini(GtsTask):
    """The default arithmetic task: no files, seconds on one core."""

    name = training = "arithmetic-mini"
    published = None
    dataset = "generated word problems with one or two operations"
    description = "memorise what verbs and units mean, and build equations from them (GTS, tiny)"
    params = ArithmeticMiniParams
    default = True

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Example]]:
        """Generate both splits."""
        from smc_tasks.arithmetic.mini_data import problems
        from smc_tasks.arithmetic.problems import encode, vocabulary_of

        splits = problems(context.params)
        vocabulary = vocabulary_of(splits["train"])
        return {name: [encode(problem, vocabulary) for problem in split] for name, split in splits.items()}

    @hookimpl
    def prepare_model(self, context: TaskContext) -> GTS:
        """A tiny model without dropout."""
        from smc_tasks.arithmetic.gts import GTS
        from smc_tasks.arithmetic.words import ScratchWords

        params: ArithmeticMiniParams = context.params
        vocabulary = context.data["train"][0].vocabulary
        words = ScratchWords(vocabulary.n_words, params.embedding)
        return GTS(words, len(vocabulary.shared), hidden=params.hidden, layers=params.layers)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        """A fifth of the steps at a quarter of the rate when retraining."""
        from smc_tasks._minis import mini_recipe

        return mini_recipe(context)

    def beam(self, context: TaskContext) -> int:
        return int(context.params.beam)


arithmetic_mini = ArithmeticMini()

plugins = (arithmetic_mini,)
