"""Encoders of proteins: a checkpoint's, or a small one from scratch. Imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError
from smc_tasks._minis import INITIAL_STD
from smc_tasks._pretrained import load
from smc_tasks.protein.alphabets import ESM, TAPE, Alphabet

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.protein.stability import ProteinParams


def pretrained_esm(context: TaskContext) -> Any:
    """The encoder of an ESM-1b or ESM-2 checkpoint. Raises UsageError for one with another alphabet."""
    from transformers import EsmModel

    model = load(EsmModel, context, add_pooling_layer=False, fresh=("contact_head.*",))
    _check_tokens(context, model.config, ESM, "ESM")
    if model.config.position_embedding_type == "absolute":
        _check_length(context, model.config.max_position_embeddings - ESM.id(ESM.pad) - 1)
    return _without_contacts(model)


def pretrained_tape(context: TaskContext) -> Any:
    """The encoder of a TAPE checkpoint: a plain BERT, whose pooling layer was never trained and is left out.

    Raises UsageError for one with another alphabet.
    """
    from transformers import BertModel

    model = load(BertModel, context, add_pooling_layer=False)
    _check_tokens(context, model.config, TAPE, "TAPE")
    _check_length(context, model.config.max_position_embeddings)
    return model


def scratch_esm(params: ProteinParams) -> Any:
    """An ESM of the sizes that the parameters say."""
    from transformers import EsmModel

    sizes = (params.hidden, params.layers, params.heads, params.feed_forward)
    config = small_config(*sizes, tokens=len(ESM), longest=params.longest + 2)
    return _without_contacts(EsmModel(config, add_pooling_layer=False))


def scratch_tape(params: ProteinParams) -> Any:
    """TAPE's BERT in the sizes that the parameters say, without dropout."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(TAPE),
        pad_token_id=TAPE.id(TAPE.pad),
        hidden_size=params.hidden,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        intermediate_size=params.feed_forward,
        max_position_embeddings=params.longest + 2,
        type_vocab_size=1,
        initializer_range=INITIAL_STD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


def small_config(hidden: int, layers: int, heads: int, feed_forward: int, *, tokens: int, longest: int) -> Any:
    """An ESM with rotary positions and without dropout. tokens: of the alphabet; longest: tokens of an input."""
    from transformers import EsmConfig

    return EsmConfig(
        vocab_size=tokens,
        pad_token_id=ESM.id(ESM.pad),
        mask_token_id=None,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=longest + 2,  # ESM counts positions from the padding id + 1
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=False,
        initializer_range=INITIAL_STD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _check_tokens(context: TaskContext, config: Any, alphabet: Alphabet, whose: str) -> None:
    if (known := config.vocab_size) != len(alphabet):
        raise UsageError(
            f"{context.name}: the checkpoint knows {known} tokens; one with {whose}'s {len(alphabet)} would work"
        )


def _check_length(context: TaskContext, room: int) -> None:
    """room: tokens that the checkpoint has positions for; two of them frame the residues."""
    if (longest := context.params.longest) > room - 2:
        raise UsageError(
            f"{context.name}: longest={longest}, but the checkpoint reads at most {room - 2} residues; "
            f"--set {context.name}.longest={room - 2} would work"
        )


def _without_contacts(model: Any) -> Any:
    """The contact head predicts structure and is never called here; what is never read is not to be pruned."""
    model.contact_head = None
    if model.config.position_embedding_type == "rotary":
        model.embeddings.position_embeddings = None
    return model
