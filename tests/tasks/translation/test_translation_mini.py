"""translation-mini: what its sentences promise, and whether decoding and scoring are transformers' and sacrebleu's."""

from __future__ import annotations

from typing import Any

import pytest
import sacrebleu
import torch
from smc_tasks.translation.data import LANGUAGES, invent_dictionary, sentences, vocabulary
from smc_tasks.translation.examples import END, PAD, pad
from smc_tasks.translation.mbart import decode
from smc_tasks.translation.mini import LONGEST, TranslationMiniParams

from smc_harness.conversation.conversation import Conversation
from smc_harness.errors import UsageError
from tests.tasks.conversing import SMALL, converse

PARAMS = TranslationMiniParams(**SMALL["translation-mini"])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return converse("translation-mini")


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, dict[str, str]]]]:
    return sentences(PARAMS)


@pytest.fixture(scope="module")
def trained(talk: Conversation) -> Any:
    """A model that ends its sentences but still makes mistakes, so that decoding has something to get wrong."""
    model = talk.build_model()
    recipe = talk.recipe(retraining=False)
    optimizer = recipe.optimizer([{"params": list(model.parameters())}])
    for step in range(recipe.steps):
        start = 32 * step % len(talk.data["train"])
        loss = talk.loss(model, talk.collate(list(talk.data["train"][start : start + 32])))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def test_another_data_seed_gives_another_dictionary() -> None:
    assert invent_dictionary(TranslationMiniParams(data_seed=1)) != invent_dictionary(TranslationMiniParams())


def test_the_default_test_split_scores_2000_examples() -> None:
    assert TranslationMiniParams().test_sentences * len(LANGUAGES) == 2000


def test_the_default_dictionary_has_250_concepts() -> None:
    assert sum(len(part) for part in invent_dictionary(TranslationMiniParams())) == 250


def test_no_word_has_two_meanings() -> None:
    words = [word for part in invent_dictionary(PARAMS) for pair in part for word in pair]
    assert len(set(words)) == len(words)


def test_records_hold_a_text_in_each_language(records: dict[str, list[dict[str, dict[str, str]]]]) -> None:
    for record in records["train"] + records["test"]:
        assert set(record) == {"translation"} and set(record["translation"]) == set(LANGUAGES)
        assert all(3 <= len(text.split()) <= 5 for text in record["translation"].values())


def test_the_translation_follows_from_dictionary_and_word_order(
    records: dict[str, list[dict[str, dict[str, str]]]],
) -> None:
    dictionary = invent_dictionary(PARAMS)
    nouns, verbs = dict(dictionary.nouns), dict(dictionary.verbs)
    meaning = nouns | verbs | dict(dictionary.adjectives)
    for record in records["train"] + records["test"]:
        words = record["translation"][LANGUAGES[0]].split()
        (verb,) = [position for position, word in enumerate(words) if word in verbs]
        turned = [*reversed(words[:verb]), *reversed(words[verb + 1 :]), words[verb]]
        assert record["translation"][LANGUAGES[1]] == " ".join(meaning[word] for word in turned)


def test_no_test_sentence_was_trained_on(records: dict[str, list[dict[str, dict[str, str]]]]) -> None:
    for language in LANGUAGES:
        train, test = ({r["translation"][language] for r in records[split]} for split in ("train", "test"))
        assert not train & test


def test_every_sentence_is_translated_in_both_directions(
    talk: Conversation, records: dict[str, list[dict[str, dict[str, str]]]]
) -> None:
    words = vocabulary(PARAMS)
    found = [(words.decode(e.source.tolist()), words.decode(e.target.tolist())) for e in talk.data["test"]]
    texts = [[record["translation"][language] for language in LANGUAGES] for record in records["test"]]
    assert found == [pair for one, other in texts for pair in ((one, other), (other, one))]


def test_source_and_target_name_their_language(talk: Conversation) -> None:
    words = vocabulary(PARAMS)
    for example in talk.data["test"]:
        source, target = example.id.split("-")[-2:]
        assert [words.tokens[token] for token in example.source[-2:]] == ["</s>", f"{source}_XX"]
        assert words.tokens[example.target[0]] == f"{target}_XX" and example.target[-1] == END


def one_at_a_time(model: Any, example: Any) -> list[int]:
    """Greedy decoding without batch, cache or library: the most probable token, again and again."""
    tokens = example.target[:1]
    while len(tokens) <= LONGEST and tokens[-1] != END:
        logits = model(input_ids=example.source[None], decoder_input_ids=tokens[None], use_cache=False).logits
        tokens = torch.cat([tokens, logits[0, -1].argmax()[None]])
    return tokens[1:].tolist()


def test_a_translation_is_the_most_probable_token_again_and_again(talk: Conversation, trained: Any) -> None:
    (batch,) = talk.batches_in_order("test", 10_000)
    assert len(set(batch["decoder_input_ids"][:, 0].tolist())) == len(LANGUAGES)
    with torch.no_grad():
        ours = decode(trained, batch, LONGEST)
        assert ours == [one_at_a_time(trained, example) for example in talk.data["test"]]
    assert sum(END in row for row in ours) > 0.9 * len(ours)  # the comparison covered sentences that end


def test_decoding_stops_at_the_longest_length(talk: Conversation) -> None:
    model: Any = talk.build_model().eval()
    (batch,) = talk.batches_in_order("test", 10_000)
    with torch.no_grad():
        model.final_logits_bias[:, END] = -1e9
        assert [len(row) for row in decode(model, batch, LONGEST)] == [LONGEST] * len(talk.data["test"])


def test_logits_that_are_not_finite_are_an_error(talk: Conversation) -> None:
    model: Any = talk.build_model().eval()
    (batch,) = talk.batches_in_order("test", 10_000)
    with torch.no_grad(), pytest.raises(FloatingPointError, match="not finite"):
        model.model.shared.weight[5] = float("nan")
        decode(model, batch, LONGEST)


def test_the_metric_is_sacrebleus_on_the_decoded_sentences(talk: Conversation, trained: Any) -> None:
    words = vocabulary(PARAMS)
    (batch,) = talk.batches_in_order("test", 10_000)
    with torch.no_grad():
        hypotheses = [words.decode(row) for row in decode(trained, batch, LONGEST)]
    references = [example.reference for example in talk.data["test"]]
    _, bleu = talk.evaluate(trained, "test")
    assert bleu == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score, abs=1e-9)
    assert 5 < bleu < 99


def test_padding_does_not_change_a_translation(talk: Conversation, trained: Any) -> None:
    def decoded(size: int) -> list[list[int]]:
        with torch.no_grad():
            batches = [decode(trained, batch, LONGEST) for batch in talk.batches_in_order("test", size)]
        return [[token for token in row if token != PAD] for batch in batches for row in batch]

    assert len({len(example.source) for example in talk.data["test"]}) > 1
    assert decoded(1) == decoded(7) == decoded(10_000)


def test_the_loss_is_the_mean_over_the_sentences_whatever_their_padding(talk: Conversation, trained: Any) -> None:
    examples = list(talk.data["train"][:8])
    assert len({len(example.target) for example in examples}) > 1
    alone = [talk.loss(trained, talk.collate([example])).item() for example in examples]
    assert talk.loss(trained, talk.collate(examples)).item() == pytest.approx(sum(alone) / len(alone), abs=1e-5)


def test_the_loss_of_one_sentence_is_that_of_transformers(talk: Conversation, trained: Any) -> None:
    batch = pad(list(talk.data["train"][:1]))
    assert talk.loss(trained, batch).item() == pytest.approx(trained(**batch).loss.item(), abs=1e-5)


def test_the_tied_embedding_counts_once(talk: Conversation) -> None:
    model: Any = talk.build_model()
    paper = talk.hook.prunable(model=model, context=talk.task)["paper"]
    shared = model.model.shared.weight
    everything = dict(model.named_parameters(remove_duplicate=False))
    assert model.lm_head.weight is shared and model.model.decoder.embed_tokens.weight is shared
    assert [name for name in paper if everything[name] is shared] == ["model.shared.weight"]


def test_presets_are_nested(talk: Conversation) -> None:
    model = talk.build_model()
    presets = {key: set(names) for key, names in talk.hook.prunable(model=model, context=talk.task).items()}
    assert presets["backbone"] <= presets["no-embeddings-no-head"] < presets["paper"]
    assert presets["paper"] - presets["no-embeddings-no-head"] == {
        "model.shared.weight",
        "model.encoder.embed_positions.weight",
        "model.decoder.embed_positions.weight",
    }


@pytest.mark.parametrize(
    ("setting", "complaint"), [({"nouns": 5, "verbs": 2}, "too few"), ({"nouns": 200_000}, "words asked for")]
)
def test_impossible_sizes_are_refused(setting: dict[str, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        invent_dictionary(TranslationMiniParams(**setting))  # type: ignore[arg-type]
