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
    """An ESM of the sizes that the parameters say."""
    from transformers import EsmModel

    sizes = (params.hidden, params.layers, params.heads, params.feed_forward)
    config = small_config(*sizes, tokens=len(ALPHABET), longest=params.longest + 2)
    return _without_contacts(EsmModel(config, add_pooling_layer=False))


def small_config(hidden: int, layers: int, heads: int, feed_forward: int, *, tokens: int, longest: int) -> Any:
    """An ESM with rotary positions and without dropout. tokens: of the alphabet; longest: tokens of an input."""
    from transformers import EsmConfig

    return EsmConfig(
        vocab_size=tokens,
        pad_token_id=PAD,
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


def _without_contacts(model: Any) -> Any:
    """The contact head predicts structure and is never called here; what is never read is not to be pruned."""
    model.contact_head = None
    if model.config.position_embedding_type == "rotary":
        model.embeddings.position_embeddings = None
    return model
