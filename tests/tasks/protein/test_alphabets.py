"""How amino acids are numbered."""

from __future__ import annotations

from pathlib import Path

import pytest
from smc_tasks.protein.alphabets import ESM, TAPE, Alphabet


def test_the_alphabet_of_esm_is_that_of_its_tokeniser(tmp_path: Path) -> None:
    from transformers import EsmTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(ESM.tokens))
    tokenizer = EsmTokenizer(str(tmp_path / "vocab.txt"))
    for sequence in ("LAGVSERTIDPKQNFYMHWC", "MXBUZO", "MK"):
        assert list(ESM.encode(sequence, 100)) == tokenizer(sequence)["input_ids"]
    assert len(ESM) == 33


def test_tape_numbers_the_letters_in_order_after_five_special_tokens() -> None:
    assert len(TAPE) == 30
    assert TAPE.encode("ABCIKZ", 100) == (2, 5, 6, 7, 13, 14, 29, 3)
    assert (TAPE.id("<pad>"), TAPE.id("<mask>"), TAPE.id("<unk>")) == (0, 1, 4)


@pytest.mark.parametrize("alphabet", [ESM, TAPE])
def test_letters_are_read_in_either_case_and_up_to_the_longest(alphabet: Alphabet) -> None:
    assert alphabet.encode("mkv", 2) == alphabet.encode("MK", 5)
    assert alphabet.encode("J", 5)[1] == alphabet.id("<unk>")
