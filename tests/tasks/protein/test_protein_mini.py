"""protein-mini: what its sequences promise, and whether its scores are what the plain model says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from smc_tasks.protein.mini import ProteinMiniParams
from smc_tasks.protein.mini_data import AMINO_ACIDS, VOCABULARY, classes_in, motifs_by_class, sequences

from smc_harness.conversation.conversation import Conversation
from smc_harness.errors import UsageError
from tests.tasks.conversing import SMALL, converse

PARAMS = ProteinMiniParams(**SMALL["protein-mini"])


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return converse("protein-mini")


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, Any]]]:
    return sequences(PARAMS)


def test_another_data_seed_gives_other_motifs() -> None:
    assert motifs_by_class(ProteinMiniParams(data_seed=1)) != motifs_by_class(ProteinMiniParams(data_seed=0))


def test_the_default_test_split_has_2000_sequences() -> None:
    assert ProteinMiniParams().test_sequences == 2000


def test_records_have_a_sequence_of_amino_acids_and_a_label(records: dict[str, list[dict[str, Any]]]) -> None:
    for record in records["train"] + records["test"]:
        assert set(record) == {"sequence", "label"}
        assert len(record["sequence"]) == PARAMS.length and set(record["sequence"]) <= set(AMINO_ACIDS)
        assert record["label"] in range(PARAMS.classes)


def test_motifs_differ_between_classes() -> None:
    drawn = [motif for own in motifs_by_class(PARAMS) for motif in own]
    assert len(set(drawn)) == len(drawn) == PARAMS.classes * PARAMS.motifs


def test_the_label_is_the_one_class_whose_motif_is_there(records: dict[str, list[dict[str, Any]]]) -> None:
    motifs = motifs_by_class(PARAMS)
    for record in records["train"] + records["test"]:
        present = {label for label in range(PARAMS.classes) for motif in motifs[label] if motif in record["sequence"]}
        assert present == classes_in(record["sequence"], motifs) == {record["label"]}


def test_motifs_stand_at_every_position(records: dict[str, list[dict[str, Any]]]) -> None:
    motifs = [motif for own in motifs_by_class(PARAMS) for motif in own]
    found = {record["sequence"].find(motif) for record in records["train"] for motif in motifs} - {-1}
    assert found == set(range(PARAMS.length - PARAMS.motif_length + 1))


def test_no_test_sequence_was_trained_on(records: dict[str, list[dict[str, Any]]]) -> None:
    assert not {r["sequence"] for r in records["train"]} & {r["sequence"] for r in records["test"]}


def test_classes_are_equally_frequent(records: dict[str, list[dict[str, Any]]]) -> None:
    for split in records.values():
        assert set(Counter(record["label"] for record in split).values()) == {len(split) // PARAMS.classes}


def test_tokens_spell_the_sequence(talk: Conversation, records: dict[str, list[dict[str, Any]]]) -> None:
    for example, record in zip(talk.data["test"], records["test"], strict=True):
        assert VOCABULARY.decode(example.input_ids.tolist()).replace(" ", "") == record["sequence"]
        assert example.label == record["label"]


def test_residues_are_numbered_as_esm_numbers_them() -> None:
    from transformers.models.esm.configuration_esm import get_default_vocab_list

    assert tuple(VOCABULARY.tokens) == get_default_vocab_list()[: len(VOCABULARY)]


def test_evaluation_agrees_with_scoring_every_sequence_alone(talk: Conversation) -> None:
    model = talk.build_model().eval()
    outcomes, accuracy = talk.evaluate(model, "test")
    with torch.no_grad():
        predicted = [
            int(model(input_ids=e.input_ids[None], attention_mask=torch.ones(1, len(e.input_ids))).logits.argmax())
            for e in talk.data["test"]
        ]
    right = [float(guess == example.label) for guess, example in zip(predicted, talk.data["test"], strict=True)]
    assert outcomes.predictions is not None and outcomes.predictions.tolist() == predicted
    assert outcomes.values.tolist() == right
    assert accuracy == pytest.approx(sum(right) / len(right))


def test_the_order_of_residues_matters_to_the_model(talk: Conversation) -> None:
    model = talk.build_model().eval()
    row = talk.data["test"][0].input_ids[None]
    turned = torch.cat([row[:, :1], row[:, 1:-1].flip(1), row[:, -1:]], dim=1)
    with torch.no_grad():
        assert not torch.allclose(model(input_ids=row).logits, model(input_ids=turned).logits, atol=1e-4)


def test_matrices_that_the_forward_pass_never_reads_are_out_of_scope(talk: Conversation) -> None:
    model = talk.build_model()
    matrices = {name for name, parameter in model.named_parameters() if parameter.dim() == 2}
    assert matrices - set(talk.hook.prunable(model=model, context=talk.task)["paper"]) == {
        "esm.contact_head.regression.weight"
    }


def test_presets_are_nested(talk: Conversation) -> None:
    model = talk.build_model()
    presets = {key: set(names) for key, names in talk.hook.prunable(model=model, context=talk.task).items()}
    assert presets["backbone"] <= presets["no-embeddings-no-head"] < presets["paper"]
    assert presets["paper"] - presets["no-embeddings-no-head"] == {
        "esm.embeddings.word_embeddings.weight",
        "classifier.dense.weight",
        "classifier.out_proj.weight",
    }


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [({"length": 5}, "length=5"), ({"motif_length": 1}, "motif_length=1"), ({"classes": 1}, "classes=1")],
)
def test_impossible_sizes_are_refused(setting: dict[str, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        ProteinMiniParams(**setting)  # type: ignore[arg-type]
