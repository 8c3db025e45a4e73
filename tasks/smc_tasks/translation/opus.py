"""opus-2to2, opus-5to5, opus-10to10: mBART fine-tuned between English and 2, 5 or 10 languages at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import PretrainedParams
from smc_tasks._sources import HubDataset
from smc_tasks.translation.parallel import Bitext, Texts, code, hub_texts, opus_pair

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.translation.examples import Example

OPUS = "Helsinki-NLP/opus-100"
OPUS_COMMIT = "805090dc28bf78897da9641cdf08b61287580df9"
OPUS_FOLDER = "opus-100-corpus/v1.0/supervised"
TEN = ("fr", "cs", "de", "gu", "ja", "my", "ro", "ru", "vi", "zh")
SCRATCH = "scratch"


@dataclass(frozen=True)
class TranslationParams(PretrainedParams):
    """Also: languages: trained and scored with the pivot, by their codes, separated by commas; where none are given,
    the task's own are trained and all ten of the paper scored. test_languages: scored, where they are others.
    pivot: the language at one side of every pair; "none": every language with every other.
    train, test: parallel texts under --data-dir, several separated by commas: a file of JSON lines, or text files with
    a `*` for the language in their names; where none are given, OPUS-100's.
    steps, batch_tokens: optimiser steps, and tokens of each, padding included, on the longer side. temperature: above
    1, small directions are drawn more often than their share. label_smoothing, dropout: of the training.
    longest: pieces of a sentence; longer ones are not trained on. beams: of the decoding. words: how sacrebleu cuts
    texts into words. hidden, layers, heads, feed_forward, pieces: of a model from scratch, and its vocabulary.
    """

    model: str = "facebook/mbart-large-cc25"
    languages: str = ""
    test_languages: str = ""
    pivot: str = "en"
    train: str = ""
    test: str = ""
    steps: int = 40_000
    batch_tokens: int = 2048
    learning_rate: float = 3e-5
    warmup: int = 2500
    temperature: float = 1.5
    label_smoothing: float = 0.2
    dropout: float = 0.3
    longest: int = 200
    beams: int = 5
    words: str = "13a"
    evaluation_batch: int | None = 64  # each step of a decoding reads all weights for one token of each sentence
    hidden: int = 128
    layers: int = 2
    heads: int = 4
    feed_forward: int = 256
    pieces: int = 8000

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps", "label_smoothing", "dropout")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("label_smoothing", "dropout"):
            if not getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: expected a number below 1")
        if self.model == SCRATCH and not self.steps:
            raise UsageError("steps=0: a model from scratch must be trained; a number above 0 would work")
        if self.hidden % self.heads:
            raise UsageError(f"hidden={self.hidden}: expected a multiple of heads={self.heads}")
        for language in (*_split(self.languages), *_split(self.test_languages), *self.pivots):
            code(language)

    @property
    def pivots(self) -> tuple[str, ...]:
        """The pivot, if there is one."""
        return () if self.pivot == "none" else (self.pivot,)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


class Translation:
    """Hooks of a task on so many languages. own: those that are trained."""

    metric = "BLEU"
    unit = "BLEU"
    chance = 0.0
    floor = 1.0
    higher_is_better = True
    prediction = "sentence"
    model = "mBART, 25 languages"
    head = ("model.shared.weight",)  # the embedding of all words is the output layer, too
    params = TranslationParams
    published_curves = "../published.csv"
    hub = (f"{OPUS}@{OPUS_COMMIT}",)
    default = False

    def __init__(self, own: Sequence[str], published: float) -> None:
        self.name = self.training = f"opus-{len(own)}to{len(own)}"
        self.own = tuple(own)
        self.published = published
        self.dataset = f"OPUS-100, English and {', '.join(own)}"
        self.description = f"translate between English and {len(own)} languages, scored on ten (mBART on OPUS-100)"

    def languages(self, split: str, params: TranslationParams) -> tuple[str, ...]:
        """As the user names them, the pivot left out."""
        trained = _split(params.languages)
        if split == "train":
            return trained or self.own
        return _split(params.test_languages) or trained or TEN

    def bitexts(self, split: str, params: TranslationParams) -> list[Bitext]:
        """Under --data-dir."""
        languages = self.languages(split, params)
        if text := {"train": params.train, "test": params.test}[split]:
            return [Bitext(name, (*params.pivots, *languages)) for name in _split(text)]
        return [
            Bitext(f"{OPUS_FOLDER}/{pair}/opus.{pair}-{split}.*", (pivot, language))
            for language in languages
            for pivot in params.pivots
            for pair in [opus_pair(language, pivot)]
        ]

    def texts(self, split: str, context: TaskContext) -> dict[str, Texts]:
        """By the name of their place."""
        params: TranslationParams = context.params
        if context.data_dir is not None:
            return {bitext.pattern: bitext.read(context.data_dir) for bitext in self.bitexts(split, params)}
        return {
            pair: hub_texts(HubDataset(OPUS, pair, OPUS_COMMIT, split), (pivot, language))
            for language in self.languages(split, params)
            for pivot in params.pivots
            for pair in [opus_pair(language, pivot)]
        }

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """None without --data-dir: the hub has OPUS-100, too."""
        params: TranslationParams = context.params
        if not params.pivots and not (params.train and params.test):
            raise UsageError(f"{self.name}: OPUS-100 has English on one side of every pair; pivot=en would work")
        if context.data_dir is None:
            return []
        bitexts = [bitext for split in ("train", "test") for bitext in self.bitexts(split, params)]
        return list(dict.fromkeys(name for bitext in bitexts for name in bitext.files(context.data_dir)))

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained | None:
        params: TranslationParams = context.params
        # mBART is on the hub in torch's own format alone
        return None if params.model == SCRATCH else replace(params.checkpoint, formats=(".safetensors", ".bin"))

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Example]]:
        from smc_tasks.translation import pieces as cutting
        from smc_tasks.translation.corpus import to_score, to_train

        params: TranslationParams = context.params
        texts = {split: self.texts(split, context) for split in ("train", "test")}
        named = (*params.pivots, *self.languages("train", params), *self.languages("test", params))
        languages = list(dict.fromkeys(code(language) for language in named))
        if context.pretrained is None:
            sentences = (line for part in texts["train"].values() for lines in part.values() for line in lines)
            pieces = cutting.learned(sentences, params.pieces, languages)
        else:
            pieces = cutting.pretrained(context, languages)
        pivot = params.pivots[0] if params.pivots else ""
        return {
            "train": to_train(texts["train"], pieces, pivot, params.longest),
            "test": to_score(texts["test"], pieces, pivot, params.longest),
        }

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from smc_tasks.translation.mbart import build

        model: torch.nn.Module = build(context)
        return model

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        from smc_tasks.translation.mbart import presets

        return presets(model)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        from smc_tasks.translation.training import recipe

        return recipe(context)

    @hookimpl
    def collate(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        from smc_tasks.translation.examples import pad

        return pad(examples)

    @hookimpl
    def compute_loss(
        self, model: torch.nn.Module, batch: dict[str, torch.Tensor], context: TaskContext
    ) -> torch.Tensor:
        from smc_tasks.translation.training import loss

        return loss(model, batch, context)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.translation.training import evaluate

        return evaluate(model, split, context)

    @hookimpl
    def aggregate(self, outcomes: Outcomes) -> float:
        """The mean of the directions' BLEU."""
        from smc_tasks.translation.bleu import mean_bleu

        return mean_bleu(outcomes.values)


opus_2to2 = Translation(TEN[:2], 7.1)
opus_5to5 = Translation(TEN[:5], 12.61)
opus_10to10 = Translation(TEN, 17.05)

plugins = (opus_2to2, opus_5to5, opus_10to10)
