"""hp-s-esm1b, hp-s2c2-esm1b, meltome-esm1b: how much heat a protein stands, told from its sequence by ESM-1b."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import FinetuningParams
from smc_tasks._sources import named

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.protein.records import Protein

SCRATCH = "scratch"
SELECTIONS = ("valid", "paper")


@dataclass(frozen=True)
class ProteinParams(FinetuningParams):
    """Also: train, test: files under --data-dir, several separated by commas, plain or gzipped; see `records.read`.

    model: "scratch" builds an ESM of the sizes below. learning_rate is the encoder's, head_learning_rate the head's.
    longest: residues that are read. selection: keep the epoch that is best on a part of the training proteins
    ("valid") or on the scored ones ("paper", what was published). classes: where they are not the data set's.
    hidden, layers, heads, feed_forward: of a model from scratch.
    """

    model: str = "facebook/esm1b_t33_650M_UR50S"
    epochs: int = 4
    batch_size: int = 3
    learning_rate: float = 1e-6
    head_learning_rate: float = 2e-2
    warmup: int = 0
    longest: int = 1022
    selection: str = "valid"
    train: str = ""
    test: str = ""
    classes: int | None = None
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.selection not in SELECTIONS:
            raise UsageError(f"selection={self.selection!r}: expected {' or '.join(SELECTIONS)}")
        if self.hidden % self.heads:
            raise UsageError(f"hidden={self.hidden}: expected a multiple of heads={self.heads}")


@dataclass(frozen=True)
class MeltomeParams(ProteinParams):
    """The original's batches are smaller on this set."""

    batch_size: int = 2


class Stability:
    """Hooks of a task on one of the paper's sets. folder: of its files under --data-dir."""

    metric = "accuracy"
    unit = "fraction"
    higher_is_better = True
    model = "ESM-1b with a two-layer head"
    head = ("head.*",)
    default = False

    def __init__(
        self,
        name: str,
        dataset: str,
        folder: str,
        classes: int,
        published: float,
        params: type[ProteinParams] = ProteinParams,
    ) -> None:
        self.name = self.training = name
        self.dataset = dataset
        self.classes = classes
        self.published = published
        self.description = f"heat stability of proteins, {classes} classes (ESM-1b on {dataset})"
        self._folder = folder
        self.params = params

    def chance(self, params: ProteinParams) -> float:
        """Of classes drawn evenly."""
        return 1 / (params.classes or self.classes)

    def files(self, context: TaskContext) -> dict[str, list[str]]:
        """Of each split, relative to --data-dir."""
        params: ProteinParams = context.params
        texts = {"train": params.train, "test": params.test}
        return {split: named(text or f"{self._folder}/{split}.csv", context.data_dir) for split, text in texts.items()}

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """Local files only: none of the sets is on the hub."""
        return list(dict.fromkeys(file for part in self.files(context).values() for file in part))

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained | None:
        params: ProteinParams = context.params
        return None if params.model == SCRATCH else params.checkpoint

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Protein]]:
        from smc_tasks.protein.records import read

        params: ProteinParams = context.params
        if context.data_dir is None:
            raise UsageError(f"{self.name} reads local files: give the folder that holds them with --data-dir")
        splits = {
            split: [protein for file in files for protein in read(context.data_dir / file, split, params.longest)]
            for split, files in self.files(context).items()
        }
        classes = self._classes(context)
        for split, proteins in splits.items():
            if odd := next((protein for protein in proteins if protein.label >= classes), None):
                raise UsageError(
                    f"{self.name} {split}: {odd.id} is of class {odd.label}, but there are {classes}; "
                    f"--set {self.name}.classes=N would work"
                )
        return splits

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from smc_tasks._pretrained import checkpointed
        from smc_tasks.protein.classifier import ProteinClassifier
        from smc_tasks.protein.encoders import pretrained_esm, scratch_esm

        encoder = scratch_esm(context.params) if context.pretrained is None else pretrained_esm(context)
        return ProteinClassifier(checkpointed(encoder, context), self._classes(context))

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        """`paper`: attention and feed-forward alone, as there. `all`: every matrix that is read."""
        names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
        inner = [name for name in names if name.startswith("encoder.encoder.layer.")]
        return {"paper": inner, "backbone": inner, "no-embeddings-no-head": inner, "all": names}

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        """AdamW with torch's weight decay of 0.01; one cycle of the rate, changed once an epoch."""
        from smc_harness import Recipe, Selection
        from smc_tasks.protein.classifier import OneCycle

        params: ProteinParams = context.params
        examples = len(context.data["train"])
        per_epoch = math.ceil(examples / params.batch_size)
        steps = params.total_steps(examples)

        def groups(model: torch.nn.Module) -> list[dict[str, Any]]:
            parts: tuple[list[Any], list[Any]] = ([], [])
            for name, parameter in model.named_parameters():
                parts[name.startswith("head.")].append(parameter)
            return [
                {"params": parts[0], "lr": params.learning_rate},
                {"params": parts[1], "lr": params.head_learning_rate},
            ]

        def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
            import torch

            return torch.optim.AdamW(groups, weight_decay=0.01, fused=True)

        return Recipe(
            steps=steps,
            batch_size=params.batch_size,
            optimizer=optimizer,
            parameter_groups=groups,
            schedule=OneCycle(per_epoch, max(1, math.ceil(steps / per_epoch))),
            selection=Selection("test" if params.selection == "paper" else "valid", every=per_epoch),
            micro_batch=params.micro_batch,
        )

    @hookimpl
    def collate(self, examples: list[Protein]) -> dict[str, torch.Tensor]:
        from smc_tasks.protein.classifier import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        return torch.nn.functional.cross_entropy(model(batch["tokens"]), batch["labels"])

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        """1.0 for each protein whose most probable class is the right one, else 0.0."""
        import torch

        from smc_harness import Outcomes
        from smc_tasks._minis import require_finite

        proteins: Sequence[Protein] = context.data[split]
        found = context.outputs(
            split,
            context.params.evaluation_batch,
            lambda batch: require_finite(model(batch["tokens"])).argmax(-1).cpu(),
            length=lambda protein: len(protein.tokens),
        )
        predicted = torch.stack(found)
        labels = torch.tensor([protein.label for protein in proteins])
        return Outcomes((predicted == labels).float(), ids=[protein.id for protein in proteins], predictions=predicted)

    def _classes(self, context: TaskContext) -> int:
        params: ProteinParams = context.params
        return params.classes or self.classes


hp_s = Stability("hp-s-esm1b", "HotProtein HP-S", "hotprotein/hp-s", 5, 0.695)
hp_s2c2 = Stability("hp-s2c2-esm1b", "HotProtein HP-S2C2", "hotprotein/hp-s2c2", 2, 0.9468)
meltome = Stability("meltome-esm1b", "Meltome Atlas", "meltome", 3, 0.503, MeltomeParams)

plugins = (hp_s, hp_s2c2, meltome)
