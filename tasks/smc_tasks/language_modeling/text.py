"""wikitext2 and c4: the perplexity of a pretrained language model, as tables of pruned ones have it.

The whole text is tokenised at once, and cut into windows of 2 048 tokens that follow each other; each is foretold from
its own start, and the nats of all are averaged (Frantar et al. 2022, arXiv 2210.17323, and what came after it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._sources import HubDataset
from smc_tasks.language_modeling._perplexity import Perplexity
from smc_tasks.language_modeling._pretrained_model import (
    C4_COMMIT,
    LanguageModelParams,
    PretrainedLanguageModel,
)

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, TaskContext
    from smc_tasks.language_modeling.windows import Window

WIKITEXT_COMMIT = "b08601e04326c79dfdd32d625aee71d232d685c3"


@dataclass(frozen=True)
class TextParams(LanguageModelParams):
    """Also: stride: tokens between the starts of two windows, of which then only the new ones are scored; none: windows
    follow each other and what is left is dropped. `test` is text, or JSON lines with a `text`, as `train` is.
    """

    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is not None and self.stride >= self.length:
            raise UsageError(f"stride={self.stride}: expected less than length={self.length}")


class Text(PretrainedLanguageModel, Perplexity):
    """between: what joins two rows of the text. rows, most: rows that are read and windows that are scored, at most."""

    chance = 50_000.0
    floor = 1_000.0
    params = TextParams
    between = "\n\n"
    rows: int | None = None
    most: int | None = None

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Window]]:
        from smc_tasks.language_modeling.reading import calibration, text

        return {"train": calibration(self, context, self.between), "test": text(self, context)}

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.language_modeling.windows import evaluate

        return evaluate(model, split, context, context.params.evaluation_batch)


class WikiText(Text):
    name = training = "wikitext2"
    dataset = "WikiText-2, raw"
    hub = (f"Salesforce/wikitext@{WIKITEXT_COMMIT}",)
    description = "perplexity of a pretrained language model on WikiText-2"

    def own_file(self, split: str) -> str:
        return f"wikitext2/wiki.{split}.raw.txt"

    def hub_dataset(self, split: str) -> HubDataset:
        return HubDataset("Salesforce/wikitext", "wikitext-2-raw-v1", WIKITEXT_COMMIT, split)


class C4(Text):
    """The first 1 100 texts of the first file of its validation part, 256 windows of them."""

    name = training = "c4"
    dataset = "C4, English, validation"
    hub = (f"allenai/c4@{C4_COMMIT}",)
    description = "perplexity of a pretrained language model on C4"
    between = " "
    rows = 1100
    most = 256

    def own_file(self, split: str) -> str:
        return "c4/c4-validation.00000-of-00008.json" if split == "test" else super().own_file(split)

    def hub_dataset(self, split: str) -> HubDataset:
        if split == "train":
            return super().hub_dataset(split)
        return HubDataset("allenai/c4", None, C4_COMMIT, "train", "en/c4-validation.00000-of-00008.json.gz")


wikitext2 = WikiText()
c4 = C4()

plugins = (wikitext2, c4)
