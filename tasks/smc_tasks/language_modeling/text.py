"""wikitext2 and c4: the perplexity of a pretrained language model, as tables of pruned ones have it.

The whole text is tokenised at once, and cut into windows of 2 048 tokens that follow each other; each is foretold from
its own start, and the nats of all are averaged (Frantar et al. 2022, arXiv 2210.17323, and what came after it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import FinetuningParams, finetuning_recipe
from smc_tasks._sources import HubDataset, named
from smc_tasks.language_modeling._task import LanguageModel

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.language_modeling.windows import Window

GPT2 = "openai-community/gpt2"
WIKITEXT_COMMIT = "b08601e04326c79dfdd32d625aee71d232d685c3"
C4_COMMIT = "1588ec454efa1a09f29cd18ddd04fe05fc8653a2"


@dataclass(frozen=True)
class TextParams(FinetuningParams):
    """Also: length: tokens of a window, as far as the model has positions. stride: tokens between the starts of two
    windows, of which then only the new ones are scored; none: windows follow each other and what is left is dropped.

    train, test: files under --data-dir, several separated by commas, plain or gzipped; text, or JSON lines with a
    `text`. `train` is what pruners are calibrated on. calibration: windows of it at most.
    """

    model: str = GPT2
    steps: int | None = 0
    batch_size: int = 1
    length: int = 2048
    stride: int | None = None
    calibration: int = 512
    train: str = ""
    test: str = ""

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise UsageError(f"length={self.length}: expected at least 2, since the first token is not foretold")
        if self.stride is not None and self.stride >= self.length:
            raise UsageError(f"stride={self.stride}: expected less than length={self.length}")


@dataclass(frozen=True)
class WikiTextParams(TextParams):
    train: str = "wikitext2/wiki.train.raw.txt"
    test: str = "wikitext2/wiki.test.raw.txt"


@dataclass(frozen=True)
class C4Params(TextParams):
    train: str = "c4/c4-train.00000-of-01024.json"
    test: str = "c4/c4-validation.00000-of-00008.json"


class Text(LanguageModel):
    """Subclasses say where the text is and how its rows are joined. most: windows that are scored."""

    chance = 50_000.0
    floor = 1_000.0
    model = "GPT-2, or any causal language model"
    default = False
    head = ("lm_head.*", "embed_out.*")
    params: type[TextParams]
    between = "\n\n"
    rows: int | None = None
    most: int | None = None

    def hub_dataset(self, split: str) -> HubDataset:
        """Where the split is on the hub."""
        raise NotImplementedError

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """None without --data-dir: the hub has them, too."""
        params: TextParams = context.params
        return (
            [name for text in (params.train, params.test) for name in named(text, context.data_dir)]
            if (context.data_dir)
            else []
        )

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained:
        params: TextParams = context.params
        return params.checkpoint

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Window]]:
        from smc_tasks.language_modeling.reading import read

        return read(self, context)

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        """Raises UsageError for a checkpoint without the language model's head."""
        from transformers import AutoModelForCausalLM

        from smc_tasks._pretrained import checkpointed, load

        model: torch.nn.Module = checkpointed(load(AutoModelForCausalLM, context), context)
        return model

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return finetuning_recipe(context)

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        from smc_tasks.language_modeling.windows import evaluate

        return evaluate(model, split, context, context.params.evaluation_batch)


class WikiText(Text):
    name = training = "wikitext2"
    dataset = "WikiText-2, raw"
    hub = (f"Salesforce/wikitext@{WIKITEXT_COMMIT}",)
    description = "perplexity of a pretrained language model on WikiText-2"
    params = WikiTextParams

    def hub_dataset(self, split: str) -> HubDataset:
        return HubDataset("Salesforce/wikitext", "wikitext-2-raw-v1", WIKITEXT_COMMIT, split)


class C4(Text):
    """The first 1 100 texts of the first file of its validation part, 256 windows of them."""

    name = training = "c4"
    dataset = "C4, English, validation"
    hub = (f"allenai/c4@{C4_COMMIT}",)
    description = "perplexity of a pretrained language model on C4"
    params = C4Params
    between = " "
    rows = 1100
    most = 256

    def hub_dataset(self, split: str) -> HubDataset:
        file = {"train": "en/c4-train.00000-of-01024.json.gz", "test": "en/c4-validation.00000-of-00008.json.gz"}[split]
        return HubDataset("allenai/c4", None, C4_COMMIT, "train", file)


wikitext2 = WikiText()
c4 = C4()

plugins = (wikitext2, c4)
