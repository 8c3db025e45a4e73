"""hp-s2c5-esm-if1: how much heat a protein stands, told from its backbone by ESM-IF1's structure encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import FinetuningParams
from smc_tasks._sources import named
from smc_tasks.protein.recipe import SCHEDULES, SELECTIONS

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.protein.structure_classifier import Structure

SCRATCH = "scratch"
URL = "https://dl.fbaipublicfiles.com/fair-esm/models/esm_if1_gvp4_t16_142M_UR50.pt"


@dataclass(frozen=True)
class InverseFoldingParams(FinetuningParams):
    """Also: train, test: CSV files under --data-dir, several separated by commas; see `structures.read_index`.

    model: a file under --model-dir in the format of ESM-IF1's, or "scratch" for an encoder of the sizes below.
    learning_rate is the encoder's, head_learning_rate the head's. schedule: "one-cycle" changes the rates once an
    epoch, in one cycle, as the original does; "linear" rises for `warmup` steps and then falls to zero.
    longest: residues that are read; none: all.
    selection: keep the epoch that is best on a part of the training structures ("valid") or on the scored ones
    ("paper", what was published). classes: where they are not five.
    hidden, layers, heads, feed_forward, graph_layers: of an encoder from scratch.
    """

    model: str = URL.rpartition("/")[2]
    epochs: int = 8
    batch_size: int = 4
    learning_rate: float = 1e-4
    head_learning_rate: float = 2e-2
    schedule: str = "one-cycle"
    warmup: int = 0
    evaluation_batch: int = 8
    longest: int | None = None
    selection: str = "valid"
    train: str = "hotprotein/hp-s2c5/train.csv"
    test: str = "hotprotein/hp-s2c5/test.csv"
    classes: int = 5
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128
    graph_layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (("selection", SELECTIONS), ("schedule", SCHEDULES)):
            if (value := getattr(self, name)) not in choices:
                raise UsageError(f"{name}={value!r}: expected {' or '.join(choices)}")
        if self.hidden % self.heads or self.hidden % 2 or self.hidden < 4:
            raise UsageError(f"hidden={self.hidden}: expected an even multiple of heads={self.heads}, 4 or more")


class InverseFolding:
    """Hooks of the task."""

    name = training = "hp-s2c5-esm-if1"
    description = "heat stability of proteins, 5 classes (ESM-IF1 on structures of HotProtein HP-S2C5)"
    metric = "accuracy"
    unit = "fraction"
    higher_is_better = True
    published = 0.613
    published_curves = "../published.csv"
    published_params = InverseFoldingParams(selection="paper")
    model = "ESM-IF1's structure encoder with a two-layer head"
    dataset = "HotProtein HP-S2C5"
    head = ("head.*",)
    default = False
    params = InverseFoldingParams

    def chance(self, params: InverseFoldingParams) -> float:
        """Of classes drawn evenly."""
        return 1 / params.classes

    def indices(self, context: TaskContext) -> dict[str, list[str]]:
        """The CSV files of each split, relative to --data-dir."""
        params: InverseFoldingParams = context.params
        return {split: named(getattr(params, split), context.data_dir) for split in ("train", "test")}

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """The CSV files and, where they are there, the structures that they name: the set is on no hub."""
        from smc_tasks.protein.structures import read_index

        found = []
        for index in dict.fromkeys(file for part in self.indices(context).values() for file in part):
            found.append(index)
            if context.data_dir is not None and (context.data_dir / index).is_file():
                entries = read_index(context.data_dir / index)
                found += [str(Path(index).parent / entry.file) for entry in entries]
        return list(dict.fromkeys(found))

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained | None:
        from smc_harness import Pretrained

        params: InverseFoldingParams = context.params
        return None if params.model == SCRATCH else Pretrained(params.model, formats=(".pt",), url=URL)

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Structure]]:
        """Each structure is read and measured once."""
        import torch

        from smc_tasks.protein.geometry import measure
        from smc_tasks.protein.structure_classifier import Structure
        from smc_tasks.protein.structures import read_backbone, read_index

        params: InverseFoldingParams = context.params
        if context.data_dir is None:
            raise UsageError(f"{self.name} reads local files: give the folder that holds them with --data-dir")
        splits: dict[str, list[Structure]] = {}
        for split, files in self.indices(context).items():
            splits[split] = []
            for index in (context.data_dir / file for file in files):
                for entry in read_index(index, split):
                    if entry.label >= params.classes:
                        raise UsageError(
                            f"{self.name} {split}: {entry.id} is of class {entry.label}, but there are "
                            f"{params.classes}; --set {self.name}.classes=N would work"
                        )
                    backbone = read_backbone(index.parent / entry.file, entry.chain, params.longest)
                    splits[split].append(Structure(entry.id, measure(torch.from_numpy(backbone)), entry.label))
        return splits

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from smc_tasks.protein.structure_classifier import StructureClassifier
        from smc_tasks.protein.structure_weights import published_encoder, scratch_encoder

        params: InverseFoldingParams = context.params
        place = context.pretrained
        encoder = scratch_encoder(params) if place is None else published_encoder(Path(place.name))
        encoder.recompute = params.gradient_checkpointing
        return StructureClassifier(encoder, params.classes)

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        """`paper`: attention and feed-forward of the transformer. `original`: attention alone.

        The original meant the former, and its filter missed the feed-forward layers; the matrices of the graph layers
        were never in it. `all`: every matrix.
        """
        names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
        transformer = [name for name in names if name.startswith("encoder.layers.")]
        graph = [name for name in names if name.startswith("encoder.gvp_encoder.encoder_layers.")]
        return {
            "paper": transformer,
            "backbone": transformer,
            "original": [name for name in transformer if ".self_attn." in name],
            "no-embeddings-no-head": [*graph, *transformer],
            "all": names,
        }

    @hookimpl
    def blocks(self, model: Any) -> Sequence[torch.nn.Module]:
        """The transformer's layers."""
        return list(model.encoder.layers)

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        """The encoder is trained as well, which the original meant and did not do."""
        from smc_tasks.protein.recipe import two_rate_recipe

        return two_rate_recipe(context, weight_decay=0.05)

    @hookimpl
    def collate(self, examples: list[Structure]) -> dict[str, torch.Tensor]:
        from smc_tasks.protein.structure_classifier import collate

        return collate(examples)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        return torch.nn.functional.cross_entropy(model(batch), batch["labels"])

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        """1.0 for each structure whose most probable class is the right one, else 0.0."""
        from smc_tasks._classification import most_probable
        from smc_tasks._minis import require_finite

        def length(structure: Structure) -> int:
            return len(structure.geometry.scalars)

        return most_probable(context, split, lambda batch: require_finite(model(batch)), length)


hp_s2c5 = InverseFolding()
