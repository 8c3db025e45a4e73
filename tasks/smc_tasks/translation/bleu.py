"""BLEU from per-sentence sufficient statistics, so that any subset of the sentences can be scored again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sacrebleu.metrics.bleu import BLEU

ORDERS = 4
WORDS = "13a"
"""The tokenisation of sacrebleu that WMT uses."""


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str], words: str = WORDS) -> torch.Tensor:
    """float64 [n, 10]: matched n-grams (1 to 4), n-grams of the hypothesis (1 to 4), its length, the reference's.

    words: how texts are cut into the words that are counted, a tokenisation of sacrebleu. The counts do not depend on
    `effective_order`, which is set because sacrebleu warns about sentence scores without it.
    """
    scorer = BLEU(effective_order=True, tokenize=words)
    rows = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        score = scorer.sentence_score(hypothesis, [reference])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 2 * ORDERS + 2)


def corpus_bleu(statistics: torch.Tensor) -> float:
    """BLEU, 0 to 100, of the sentences whose statistics are the rows of [n, 10]; as `sacrebleu.corpus_bleu`."""
    sums = [int(total) for total in statistics.double().sum(dim=0).tolist()]
    score = BLEU.compute_bleu(
        correct=sums[:ORDERS],
        total=sums[ORDERS : 2 * ORDERS],
        sys_len=sums[2 * ORDERS],
        ref_len=sums[2 * ORDERS + 1],
        smooth_method="exp",
    )
    return float(score.score)


def mean_bleu(statistics: torch.Tensor) -> float:
    """The mean of the BLEU of each direction, whose number is the last column of [n, 11]."""
    numbers = statistics[:, -1]
    scores = [corpus_bleu(statistics[numbers == number, :-1]) for number in torch.unique(numbers)]
    return sum(scores) / len(scores)


def signature(words: str = WORDS) -> str:
    """What sacrebleu says of a score of one reference a sentence, so that others can compute the same."""
    scorer = BLEU(tokenize=words)
    scorer.corpus_score([""], [[""]])
    return str(scorer.get_signature())
