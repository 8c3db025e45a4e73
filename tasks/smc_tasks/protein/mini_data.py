"""Sequences of amino acids whose class is told by a short motif hidden somewhere in them.

Each class has a few motifs, drawn at random. A sequence is random but for one motif of its class at a random
position; it holds no motif of another class. Schema: {"sequence": str, "label": int}.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import torch

from smc_tasks._classification import Example
from smc_tasks._words import Vocabulary

if TYPE_CHECKING:
    from smc_tasks.protein.mini import ProteinMiniParams

AMINO_ACIDS = "LAGVSERTIDPKQNFYMHWC"
VOCABULARY = Vocabulary(("<cls>", "<pad>", "<eos>", "<unk>"), AMINO_ACIDS)  # as ESM numbers them


def motifs_by_class(params: ProteinMiniParams) -> list[list[str]]:
    """`motifs` distinct motifs for each class; they follow `data_seed` alone."""
    chance = random.Random(f"protein-mini motifs {params.data_seed}")
    drawn: list[str] = []
    while len(drawn) < params.classes * params.motifs:
        motif = "".join(chance.choices(AMINO_ACIDS, k=params.motif_length))
        if motif not in drawn:
            drawn.append(motif)
    return [drawn[start : start + params.motifs] for start in range(0, len(drawn), params.motifs)]


def classes_in(sequence: str, motifs: list[list[str]]) -> set[int]:
    """The classes that have a motif in the sequence."""
    return {label for label, own in enumerate(motifs) if any(motif in sequence for motif in own)}


def sequences(params: ProteinMiniParams) -> dict[str, list[dict[str, Any]]]:
    """{"train": records, "test": records}: distinct sequences, classes equally frequent in each split."""
    motifs = motifs_by_class(params)
    chance = random.Random(f"protein-mini sequences {params.data_seed}")
    seen: set[str] = set()
    splits: dict[str, list[dict[str, Any]]] = {}
    for split, count in (("train", params.train_sequences), ("test", params.test_sequences)):
        records: list[dict[str, Any]] = []
        while len(records) < count:
            label = len(records) % params.classes
            motif = chance.choice(motifs[label])
            around = "".join(chance.choices(AMINO_ACIDS, k=params.length - len(motif)))
            position = chance.randrange(len(around) + 1)
            sequence = around[:position] + motif + around[position:]
            if sequence not in seen and classes_in(sequence, motifs) == {label}:
                seen.add(sequence)
                records.append({"sequence": sequence, "label": label})
        splits[split] = records
    return splits


def tokenise(split: str, records: list[dict[str, Any]]) -> list[Example]:
    """`<cls> residues <eos>`: input_ids [length + 2]."""
    rows = torch.tensor([VOCABULARY.encode(["<cls>", *record["sequence"], "<eos>"]) for record in records])
    return [
        Example(f"{split}-{number}", f"{split}-{number}", input_ids, record["label"])
        for number, (record, input_ids) in enumerate(zip(records, rows, strict=True))
    ]
