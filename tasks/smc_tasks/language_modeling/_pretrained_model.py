"""What tasks have in common that take a causal language model as it is, and calibrate pruners on a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import FinetuningParams, finetuning_recipe
from smc_tasks._sources import HubDataset, named
from smc_tasks.language_modeling._perplexity import presets

if TYPE_CHECKING:
    import torch

    from smc_harness import Pretrained, Recipe, TaskContext

C4_COMMIT = "1588ec454efa1a09f29cd18ddd04fe05fc8653a2"
C4_TRAIN = "c4/c4-train.00000-of-01024.json"


@dataclass(frozen=True)
class LanguageModelParams(FinetuningParams):
    """Also: length: tokens of a window of text, as far as the model has positions.

    train, test: files under --data-dir, several separated by commas, plain or gzipped; none: the task's own. `train` is
    what pruners are calibrated on: text, or JSON lines with a `text`. calibration: windows of it at most.
    """

    model: str = "openai-community/gpt2"
    steps: int | None = 0
    batch_size: int = 1
    length: int = 2048
    calibration: int = 512
    train: str = ""
    test: str = ""

    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "steps")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise UsageError(f"length={self.length}: expected at least 2, since the first token is not foretold")


class PretrainedLanguageModel:
    """Hooks around the model. Subclasses read the data and judge."""

    model = "GPT-2, or any causal language model"
    default = False
    head = ("lm_head.*", "embed_out.*")
    params: type[LanguageModelParams]

    def own_file(self, split: str) -> str:
        """The name that a split has under --data-dir where nothing else is said."""
        return C4_TRAIN

    def files(self, split: str, context: TaskContext) -> list[str]:
        """Of a split, relative to --data-dir."""
        params: LanguageModelParams = context.params
        given = {"train": params.train, "test": params.test}[split]
        return named(given or self.own_file(split), context.data_dir)

    def hub_dataset(self, split: str) -> HubDataset:
        """Where the split is on the hub; what pruners are calibrated on is C4's first file unless a task says else."""
        return HubDataset("allenai/c4", None, C4_COMMIT, "train", "en/c4-train.00000-of-01024.json.gz")

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """None without --data-dir: the hub has them, too."""
        return [*self.files("train", context), *self.files("test", context)] if context.data_dir else []

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained:
        params: LanguageModelParams = context.params
        return params.checkpoint

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        """Raises UsageError for a checkpoint without the language model's head."""
        from transformers import AutoModelForCausalLM

        from smc_tasks._pretrained import checkpointed, load

        model: torch.nn.Module = checkpointed(load(AutoModelForCausalLM, context), context)
        return model

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        return presets(model)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        return finetuning_recipe(context)
