"""ESM encoders: a checkpoint's, or a small one from scratch. Imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError
from smc_tasks._minis import INITIAL_STD
from smc_tasks._pretrained import load
from smc_tasks.protein.records import ALPHABET, PAD

if TYPE_CHECKING:
    from smc_harness import TaskContext
    from smc_tasks.protein.stability import ProteinParams


def pretrained_esm(context: TaskContext) -> Any:
    """The encoder of an ESM-1b or ESM-2 checkpoint. Raises UsageError for one with another alphabet."""
    from transformers import EsmModel

    model = load(EsmModel, context, add_pooling_layer=False, fresh=("contact_head.*",))
    if (known := model.config.vocab_size) != len(ALPHABET):
        raise UsageError(
            f"{context.name}: the checkpoint knows {known} tokens; one with ESM's {len(ALPHABET)} would work"
        )
    return _without_contacts(model)


def scratch_esm(params: ProteinParams) -> Any:
    """An ESM with rotary positions and without dropout, of the sizes that the parameters say."""
    from transformers import EsmConfig, EsmModel

    config = EsmConfig(
        vocab_size=len(ALPHABET),
        pad_token_id=PAD,
        mask_token_id=len(ALPHABET) - 1,
        hidden_size=params.hidden,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        intermediate_size=params.feed_forward,
        max_position_embeddings=params.longest + 4,
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=False,
        initializer_range=INITIAL_STD,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return _without_contacts(EsmModel(config, add_pooling_layer=False))


def _without_contacts(model: Any) -> Any:
    """The contact head predicts structure and is never called here; what is never read is not to be pruned."""
    model.contact_head = None
    if model.config.position_embedding_type == "rotary":
        model.embeddings.position_embeddings = None
    return model
