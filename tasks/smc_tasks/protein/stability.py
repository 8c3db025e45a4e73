"""hp-s-esm1b, hp-s2c2-esm1b, meltome-esm1b: how much heat a protein stands, told from its sequence by ESM-1b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from smc_harness import hookimpl
from smc_harness.errors import UsageError
from smc_tasks._finetuning import FinetuningParams
from smc_tasks.protein.alphabets import ESM
from smc_tasks.protein.recipe import SCHEDULES, SELECTIONS
from smc_tasks.protein.sets import HP_S, HP_S2C2, MELTOME, ProteinSet

if TYPE_CHECKING:
    import torch

    from smc_harness import Outcomes, Pretrained, Recipe, TaskContext
    from smc_tasks.protein.records import Protein

SCRATCH = "scratch"
CHOICES = {"selection": SELECTIONS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class ProteinParams(FinetuningParams):
    """Also: train, test: files under --data-dir, several separated by commas, plain or gzipped; see `records.read`.

    model: "scratch" builds one of the sizes below. learning_rate is the encoder's, head_learning_rate the head's.
    schedule: "one-cycle" changes the rates once an epoch, in one cycle, as the original does; "linear" rises for
    `warmup` steps and then falls to zero. longest: residues that are read. selection: keep the epoch that is best on a
    part of the training proteins ("valid") or on the scored ones ("paper", what was published). classes: where they
    are not the data set's; first_label: of those in the files. sequences: the folder of FASTA files of a HotProtein
    pickle. hidden, layers, heads, feed_forward: of a model from scratch.
    """

    model: str = "facebook/esm1b_t33_650M_UR50S"
    epochs: int = 4
    batch_size: int = 3
    learning_rate: float = 1e-6
    head_learning_rate: float = 2e-2
    schedule: str = "one-cycle"
    warmup: int = 0
    longest: int = 1022
    selection: str = "valid"
    train: str = ""
    test: str = ""
    sequences: str = ""
    classes: int | None = None
    first_label: int = 0
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128
    may_be_zero: ClassVar[tuple[str, ...]] = ("warmup", "first_label")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise UsageError(f"{name}={value!r}: expected {' or '.join(choices)}")
        if self.hidden % self.heads:
            raise UsageError(f"hidden={self.hidden}: expected a multiple of heads={self.heads}")


@dataclass(frozen=True)
class MeltomeParams(ProteinParams):
    """The original's batches are smaller on this set."""

    batch_size: int = 2


class Stability:
    """Hooks of a task on one of the paper's sets; with ESM, where a subclass does not say otherwise."""

    metric = "accuracy"
    unit = "fraction"
    higher_is_better = True
    architecture = "ESM-1b"
    alphabet = ESM
    checkpoints: Mapping[str, str] = MappingProxyType({})
    """Where those are that no hub has."""
    head = ("head.*",)
    default = False
    published_curves = "../published.csv"

    def __init__(
        self, name: str, proteins: ProteinSet, published: float, params: type[ProteinParams] = ProteinParams
    ) -> None:
        self.name = self.training = name
        self.proteins = proteins
        self.dataset = proteins.title
        self.model = f"{self.architecture} with a two-layer head"
        self.description = (
            f"heat stability of proteins, {proteins.classes} classes ({self.architecture} on {proteins.title})"
        )
        self.published = published
        self.params = params
        self.published_params = params(selection="paper")

    def chance(self, params: ProteinParams) -> float:
        """Of classes drawn evenly."""
        return 1 / (params.classes or self.proteins.classes)

    def encoder(self, context: TaskContext) -> Any:
        """A checkpoint's or a new one, with the layers in `encoder.layer`, as transformers names them."""
        from smc_tasks.protein.encoders import pretrained_esm, scratch_esm

        return scratch_esm(context.params) if context.pretrained is None else pretrained_esm(context)

    @hookimpl
    def data_files(self, context: TaskContext) -> Sequence[str]:
        """Local files only: none of the sets is on the hub."""
        return self.proteins.all_files(context.params, context.data_dir)

    @hookimpl
    def pretrained(self, context: TaskContext) -> Pretrained | None:
        params: ProteinParams = context.params
        if params.model == SCRATCH:
            return None
        url = None if params.revision else self.checkpoints.get(params.model)
        return replace(params.checkpoint, formats=(".safetensors", ".bin"), url=url)

    @hookimpl
    def prepare_data(self, context: TaskContext) -> Mapping[str, Sequence[Protein]]:
        from smc_tasks.protein.records import Protein

        params: ProteinParams = context.params
        if context.data_dir is None:
            raise UsageError(f"{self.name} reads local files: give the folder that holds them with --data-dir")
        classes = range(params.first_label, params.first_label + self._classes(params))
        splits = {}
        for split, records in self.proteins.records(params, context.data_dir).items():
            if odd := next((record for record in records if record.label not in classes), None):
                raise UsageError(
                    f"{self.name} {split}: {odd.id} is of class {odd.label}; expected {classes[0]} to {classes[-1]}, "
                    f"or what --set {self.name}.classes=N and .first_label=N say"
                )
            splits[split] = [
                Protein(record.id, self.alphabet.encode(record.sequence, params.longest), record.label - classes[0])
                for record in records
            ]
        return splits

    @hookimpl
    def prepare_model(self, context: TaskContext) -> torch.nn.Module:
        from smc_tasks._pretrained import checkpointed
        from smc_tasks.protein.classifier import ProteinClassifier

        encoder = checkpointed(self.encoder(context), context)
        return ProteinClassifier(encoder, self._classes(context.params), self.alphabet)

    @hookimpl
    def prunable(self, model: torch.nn.Module) -> Mapping[str, Sequence[str]]:
        """`paper`: attention and feed-forward alone, as there. `all`: every matrix that is read."""
        names = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
        inner = [name for name in names if name.startswith("encoder.encoder.layer.")]
        return {"paper": inner, "backbone": inner, "no-embeddings-no-head": inner, "all": names}

    @hookimpl
    def recipe(self, context: TaskContext) -> Recipe:
        """AdamW with torch's weight decay of 0.01, and a rate of its own for the head."""
        from smc_tasks.protein.recipe import two_rate_recipe

        return two_rate_recipe(context, weight_decay=0.01)

    @hookimpl
    def collate(self, examples: list[Protein]) -> dict[str, torch.Tensor]:
        from smc_tasks.protein.classifier import collate

        return collate(examples, self.alphabet)

    @hookimpl
    def compute_loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        return torch.nn.functional.cross_entropy(model(batch["tokens"]), batch["labels"])

    @hookimpl
    def evaluate(self, model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes:
        """1.0 for each protein whose most probable class is the right one, else 0.0."""
        from smc_tasks._classification import most_probable
        from smc_tasks._minis import require_finite

        def length(protein: Protein) -> int:
            return len(protein.tokens)

        return most_probable(context, split, lambda batch: require_finite(model(batch["tokens"])), length)

    def _classes(self, params: ProteinParams) -> int:
        return params.classes or self.proteins.classes


hp_s = Stability("hp-s-esm1b", HP_S, 0.695)
hp_s2c2 = Stability("hp-s2c2-esm1b", HP_S2C2, 0.9468)
meltome = Stability("meltome-esm1b", MELTOME, 0.503, MeltomeParams)

plugins = (hp_s, hp_s2c2, meltome)
