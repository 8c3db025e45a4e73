"""BLEU from sufficient statistics is the BLEU that sacrebleu computes from the sentences."""

from __future__ import annotations

import pytest
import sacrebleu
import torch
from smc_tasks.translation.bleu import corpus_bleu, sentence_statistics

REFERENCES = ["bako mitelu daro", "the cat, it sat on the mat.", "a b c d e f", "lone"]
HYPOTHESES = ["bako daro mitelu", "the cat sat on the mat.", "a b c d x f g", ""]


def test_statistics_of_one_sentence_can_be_counted_by_eye() -> None:
    # "a b c" against "a b d": 2 of 3 words, 1 of 2 pairs, 0 of 1 triple, no run of four.
    assert sentence_statistics(["a b c"], ["a b d"]).tolist() == [[2, 1, 0, 0, 3, 2, 1, 0, 3, 3]]


def test_corpus_score_is_sacrebleus() -> None:
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert corpus_bleu(sentence_statistics(HYPOTHESES, REFERENCES)) == pytest.approx(expected, abs=1e-12)


def test_any_resample_of_the_sentences_is_scored_from_its_rows() -> None:
    rows = [2, 2, 0, 1, 1, 1]
    expected = sacrebleu.corpus_bleu([HYPOTHESES[row] for row in rows], [[REFERENCES[row] for row in rows]]).score
    assert corpus_bleu(sentence_statistics(HYPOTHESES, REFERENCES)[rows]) == pytest.approx(expected, abs=1e-12)


def test_single_precision_statistics_give_the_same_score() -> None:
    statistics = sentence_statistics(HYPOTHESES, REFERENCES)
    assert corpus_bleu(statistics.float()) == corpus_bleu(statistics)


@pytest.mark.parametrize("hypothesis", ["", "nothing of it"])
def test_no_match_at_all_scores_zero(hypothesis: str) -> None:
    assert corpus_bleu(sentence_statistics([hypothesis], ["bako mitelu daro"])) == 0.0


def test_statistics_are_exact_integers_in_double_precision() -> None:
    statistics = sentence_statistics(HYPOTHESES, REFERENCES)
    assert statistics.dtype == torch.float64 and torch.equal(statistics, statistics.round())
