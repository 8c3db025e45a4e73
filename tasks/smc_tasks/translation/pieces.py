"""The pieces that sentences are cut into: a checkpoint's, or learned from the training texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError
from smc_tasks.translation.examples import BEGIN, END, PAD

if TYPE_CHECKING:
    from smc_harness import TaskContext

CHUNK = 10_000
"""Sentences that are cut at once."""


class Pieces:
    """A tokeniser of transformers, with a token for every language.

    languages: code -> id of its token. Raises UsageError for a tokeniser that is not mBART's.
    """

    def __init__(self, tokenizer: Any, languages: Sequence[str], where: str) -> None:
        self.tokenizer = tokenizer
        ids = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
        if ids != (BEGIN, PAD, END) or "MBart50" in type(tokenizer).__name__:
            raise UsageError(
                f"{where} has another tokeniser than mBART with 25 languages; a checkpoint of that would work"
            )
        tokens = {_language(token): number for token, number in tokenizer.get_added_vocab().items() if "_" in token}
        if lacking := [language for language in languages if language not in tokens]:
            raise UsageError(f"{where} does not know {lacking[0]}; its languages: {', '.join(sorted(tokens))}")
        self.languages = {language: tokens[language] for language in languages}

    def __len__(self) -> int:
        return len(self.tokenizer)

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Ids without special ones."""
        found: list[list[int]] = []
        for start in range(0, len(sentences), CHUNK):
            part = list(sentences[start : start + CHUNK])
            found += self.tokenizer(part, add_special_tokens=False, return_attention_mask=False, verbose=False)[
                "input_ids"
            ]
        return found

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts, special tokens left out."""
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]


def pretrained(context: TaskContext, languages: Sequence[str]) -> Pieces:
    """Those of the task's checkpoint."""
    from transformers import AutoTokenizer

    from smc_tasks._pretrained import load

    assert context.pretrained is not None
    return Pieces(load(AutoTokenizer, context), languages, context.pretrained.name)


def learned(sentences: Iterable[str], size: int, languages: Sequence[str]) -> Pieces:
    """`size` pieces by byte-level byte-pair encoding, which knows every letter (Sennrich et al. 2016)."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    codes = [f"{language}_XX" for language in languages]
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator(sentences, vocab_size=size, special_tokens=[*special, *codes], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=learner._tokenizer,
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=codes,
    )  # fmt: skip
    return Pieces(tokenizer, languages, "the learned vocabulary")


def _language(token: str) -> str:
    return token.partition("_")[0]
