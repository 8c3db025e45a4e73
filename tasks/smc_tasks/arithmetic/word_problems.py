"""MAWPS, ASDiv-A and SVAMP with GTS and with Graph2Tree, as in SMC-Bench: mawps-gts to svamp-graph2tree.

MAWPS and ASDiv-A are five folds; the fold follows the seed, so that seeds 0 to 4 together are the published
cross-validation. Words are embedded from scratch, or, as SMC-Bench did, by a pretrained encoder that is fine-tuned.
Files: those of the SVAMP repository, in the folder `arithmetic` of --data-dir.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError, nearest
from smc_tasks.arithmetic._task import GtsTask

if TYPE_CHECKING:
    from smc_harness import Pretrained, Recipe, TaskContext
    from smc_tasks.arithmetic.gts import GTS
    from smc_tasks.arithmetic.problems import Example

FOLDS = 5
SELECTIONS = ("valid", "paper")
SCRATCH = "scratch"
COMMITS = {"FacebookAI/roberta-base": "e2da8e2f811d1448a5b465c236feacd80ffbac7b"}
"""Commits of the encoders that SMC-Bench used; another one is named with its `revision`."""
SHORT = {"roberta-base": "FacebookAI/roberta-base"}


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths of one recipe.

    epochs: passes over the training problems. encoder_learning_rate: of a pretrained encoder. halve_every: in epochs.
    """

    hidden: int
    embedding: int
    batch: int
    epochs: int
    learning_rate: float
    encoder_learning_rate: float
    dropout: float
    beam: int
    halve_every: int | None


RECIPES = {
    "GTS": {
        # SMC-Bench and the SVAMP code: Adam, L2 penalty 1e-5, rate halved every 20 epochs, no clipping.
        "paper": Settings(512, 768, 4, 50, 1e-3, 8e-6, 0.5, 5, 20),
        # Smaller models, larger batches and a linear decay: a few minutes on one core, and about one.
        "workstation": Settings(256, 256, 16, 25, 1e-3, 1e-5, 0.5, 5, None),
        "laptop": Settings(128, 128, 16, 20, 1e-3, 1e-5, 0.5, 5, None),
    },
    "Graph2Tree": {
        "paper": Settings(384, 768, 8, 50, 8e-4, 1e-5, 0.5, 5, 20),
        "workstation": Settings(256, 256, 16, 25, 1e-3, 1e-5, 0.5, 5, None),
        "laptop": Settings(128, 128, 16, 20, 1e-3, 1e-5, 0.5, 5, None),
    },
}
"""By model. The batch of the paper's recipe for GTS is 8 on SVAMP."""


@dataclass(frozen=True)
class WordProblemParams:
    """Parameters of the tasks on real data.

    recipe: "paper", "workstation" or "laptop". selection: keep the epoch that is best on a part of the training
    problems ("valid") or on the scored problems ("paper", what was published). encoder: "scratch", or the hub id of a
    BERT or RoBERTa (`roberta-base` is SMC-Bench's); revision: its commit, where it is another one.

    The others replace single values of the recipe; embedding has no effect beside a pretrained encoder, whose width it
    is.
    """

    recipe: str = "paper"
    selection: str = "valid"
    encoder: str = SCRATCH
    revision: str | None = None
    hidden: int | None = None
    embedding: int | None = None
    batch: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    encoder_learning_rate: float | None = None
    dropout: float | None = None
    beam: int | None = None

    def __post_init__(self) -> None:
        _one_of("recipe", self.recipe, tuple(RECIPES["GTS"]))
        _one_of("selection", self.selection, SELECTIONS)
        for name in ("hidden", "embedding", "batch", "epochs", "beam"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name}={value!r}: expected a whole number from 1 on")
        for name in ("learning_rate", "encoder_learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name}={value!r}: expected a number above 0")
        for name in ("embedding",) if self.encoder != SCRATCH else ("revision", "encoder_learning_rate"):
            if getattr(self, name) is not None:
                raise UsageError(f"{name}={getattr(self, name)!r} has no effect with encoder={self.encoder!r}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout!r}: expected a number from 0 to below 1")

    def settings(self, model: str, paper_batch: int | None = None) -> Settings:
        """The recipe's values for a model with what was set individually. paper_batch: of the task, under `paper`."""
        settings = RECIPES[model][self.recipe]
        if self.recipe == "paper" and paper_batch is not None:
            settings = replace(settings, batch=paper_batch)
        names = {field.name for field in fields(Settings)} & {field.name for field in fields(self)}
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(settings, **given)

    @property
    def checkpoint(self) -> Pretrained | None:
        """What a pretrained encoder starts from; None for one from scratch."""
        if self.encoder == SCRATCH:
            return None
        from smc_harness import Pretrained

        name = SHORT.get(self.encoder, self.encoder)
        return Pretrained(name, self.revision or COMMITS.get(name))


@dataclass(frozen=True)
class FoldedParams(WordProblemParams):
    """Also: fold: 0 to 4; None takes seed modulo 5."""

    fold: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold is not None and self.fold not in range(FOLDS):
            raise UsageError(f"fold={self.fold!r}: expected 0 to {FOLDS - 1}, or leave it out to follow the seed")


class WordProblems(GtsTask):
    """A model on one of the real data sets.

    published: the dense accuracy of SMC-Bench, whose encoder was RoBERTa. paper_batch: where the paper's recipe
    has another batch on this data. folds: whether the data are five folds, of which the seed chooses one.
    """

    default = False
    published_curves = "../published.csv"

    def __init__(
        self,
        name: str,
        model: str,
        dataset: str,
        folder: str,
        published: float,
        folds: bool = True,
        paper_batch: int | None = None,
    ) -> None:
        self.name = self.training = name
        self.model = model
        self.dataset = dataset
        self.published = published
        self.params: type[WordProblemParams] = FoldedParams if folds else WordProblemParams
        self.published_params = self.params(selection="paper", encoder="roberta-base")
        self.description = f"word problems of {dataset} solved by {model}, answer accuracy"
        self._folder = folder
        self._paper_batch = paper_batch

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """The training and the scored file, gzipped or not."""
        return self._files(context)

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained | None:
        params: WordProblemParams = context.params
        return params.checkpoint

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Example]]:
        """Read both files; the vocabulary is that of the training problems."""
        from smc_tasks.arithmetic.files import read_problems
        from smc_tasks.arithmetic.problems import encode, vocabulary_of

        train_file, test_file = self._files(context)
        if context.data_dir is None:
            raise UsageError(f"{self.name} reads {train_file}: give the folder that holds it with --data-dir")
        source = train_file.split("/")[1:-1]
        train = read_problems(context.data_dir / train_file, "-".join([*source, "train"]))
        test = read_problems(context.data_dir / test_file, "-".join([*source, "test"]))
        vocabulary = vocabulary_of(train, min_count=2)
        reader = None
        if context.pretrained is not None:
            from smc_tasks.arithmetic.words import piece_reader

            reader = piece_reader(context)
        return {
            name: [encode(problem, vocabulary, self.reads_graphs, reader) for problem in problems]
            for name, problems in {"train": train, "test": test}.items()
        }

    def folds(self, params: WordProblemParams) -> int:
        """Five where the fold follows the seed; a fold that was set is one data set of its own."""
        return FOLDS if isinstance(params, FoldedParams) and params.fold is None else 1

    @property
    def reads_graphs(self) -> bool:
        return self.model == "Graph2Tree"

    @hookimpl
    def prepare_model(self, context: TaskContext) -> GTS:
        """A fresh model, but for a pretrained encoder."""
        from smc_tasks.arithmetic.graph2tree import Graph2Tree
        from smc_tasks.arithmetic.gts import GTS
        from smc_tasks.arithmetic.words import ScratchWords, pretrained_words

        settings = self._settings(context)
        vocabulary = context.data["train"][0].vocabulary
        fresh = context.pretrained is None
        words = (
            ScratchWords(vocabulary.n_words, settings.embedding, settings.dropout)
            if fresh
            else pretrained_words(context)
        )
        kind = Graph2Tree if self.reads_graphs else GTS
        return kind(words, len(vocabulary.shared), hidden=settings.hidden, dropout=settings.dropout)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        """The whole recipe, for retraining too, as the SMC-Bench code does after pruning."""
        from smc_tasks.arithmetic.training import word_problem_recipe

        return word_problem_recipe(self._settings(context), context.params.selection, context)

    def beam(self, context: TaskContext) -> int:
        return self._settings(context).beam

    def _settings(self, context: TaskContext) -> Settings:
        params: WordProblemParams = context.params
        return params.settings(self.model, self._paper_batch)

    def _files(self, context: TaskContext) -> tuple[str, str]:
        from smc_tasks._sources import existing

        folder = f"arithmetic/{self._folder}"
        if isinstance(context.params, FoldedParams):
            fold = context.params.fold if context.params.fold is not None else context.seed % FOLDS
            folder += f"/fold{fold}"
        test = [f"{folder}/dev.csv.gz", f"{folder}/dev.csv"]
        if not isinstance(context.params, FoldedParams):
            test += ["arithmetic/SVAMP.json.gz", "arithmetic/SVAMP.json"]
        train = [f"{folder}/train.csv.gz", f"{folder}/train.csv"]
        return existing(context.data_dir, train), existing(context.data_dir, test)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r}: expected {' or '.join(allowed)}{nearest(str(value), allowed)}")


mawps_gts = WordProblems("mawps-gts", "GTS", "MAWPS", "cv_mawps", 0.8849)
asdiv_a_gts = WordProblems("asdiv-a-gts", "GTS", "ASDiv-A", "cv_asdiv-a", 0.7864)
svamp_gts = WordProblems("svamp-gts", "GTS", "SVAMP", "mawps-asdiv-a_svamp", 0.412, folds=False, paper_batch=8)
mawps_graph2tree = WordProblems("mawps-graph2tree", "Graph2Tree", "MAWPS", "cv_mawps", 0.8823)
asdiv_a_graph2tree = WordProblems("asdiv-a-graph2tree", "Graph2Tree", "ASDiv-A", "cv_asdiv-a", 0.8061)
svamp_graph2tree = WordProblems("svamp-graph2tree", "Graph2Tree", "SVAMP", "mawps-asdiv-a_svamp", 0.434, folds=False)

plugins = (mawps_gts, asdiv_a_gts, svamp_gts, mawps_graph2tree, asdiv_a_graph2tree, svamp_graph2tree)
