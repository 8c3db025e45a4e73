"""How encoders of proteins number amino acids and the special tokens around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

UNKNOWN = "<unk>"


@dataclass(frozen=True)
class Alphabet:
    """tokens: by id; those of one letter are amino acids. start, end, pad: which tokens frame a protein and fill up."""

    tokens: tuple[str, ...]
    start: str
    end: str
    pad: str = "<pad>"

    def __len__(self) -> int:
        return len(self.tokens)

    def id(self, token: str) -> int:
        return self._ids[token]

    def encode(self, sequence: str, longest: int) -> tuple[int, ...]:
        """Start, the first residues, end; letters that the alphabet does not have are `<unk>`."""
        unknown = self.id(UNKNOWN)
        inner = (self._ids.get(letter, unknown) for letter in sequence.upper()[:longest])
        return (self.id(self.start), *inner, self.id(self.end))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


ESM = Alphabet(
    ("<cls>", "<pad>", "<eos>", UNKNOWN, *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"), "<cls>", "<eos>"
)
"""ESM-1b and ESM-2."""

TAPE = Alphabet(("<pad>", "<mask>", "<cls>", "<sep>", UNKNOWN, *"ABCDEFGHIKLMNOPQRSTUVWXYZ"), "<cls>", "<sep>")
"""The alphabet that TAPE calls IUPAC: every letter but J."""
