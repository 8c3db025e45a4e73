"""An encoder of proteins with the two-layer head of SMC-Bench, which is trained here, unlike there. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from smc_tasks.protein.alphabets import Alphabet
from smc_tasks.protein.records import Protein

HEAD_WIDTH = 512


class ProteinClassifier(nn.Module):
    """Mean of the encoder's last states -> linear -> normalisation, ReLU -> linear.

    The mean is over residues and the end token, as in the original (ids 2 and above of ESM's alphabet).
    """

    def __init__(self, encoder: Any, classes: int, alphabet: Alphabet) -> None:
        super().__init__()
        self.encoder = encoder
        self._pad, self._start = alphabet.id(alphabet.pad), alphabet.id(alphabet.start)
        width = int(encoder.config.hidden_size)
        self.head = nn.Sequential(
            nn.Linear(width, HEAD_WIDTH), nn.LayerNorm(HEAD_WIDTH), nn.ReLU(), nn.Linear(HEAD_WIDTH, classes)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [proteins, tokens], padded on the right -> logits [proteins, classes]."""
        real = tokens != self._pad
        states = self.encoder(input_ids=tokens, attention_mask=real.long()).last_hidden_state
        counted = (real & (tokens != self._start)).unsqueeze(-1).to(states.dtype)
        logits: Tensor = self.head((states * counted).sum(1) / counted.sum(1))
        return logits


def collate(proteins: Sequence[Protein], alphabet: Alphabet) -> dict[str, Tensor]:
    """Tokens [proteins, longest], padded on the right, and labels [proteins]."""
    rows = [torch.tensor(protein.tokens) for protein in proteins]
    return {
        "tokens": pad_sequence(rows, batch_first=True, padding_value=alphabet.id(alphabet.pad)),
        "labels": torch.tensor([protein.label for protein in proteins]),
    }
