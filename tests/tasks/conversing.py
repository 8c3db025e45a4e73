"""Mini tasks at test size, as the harness would hold them."""

from __future__ import annotations

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load

SMALL: dict[str, dict[str, int]] = {
    "arithmetic-mini": {"train": 120, "test": 60, "verbs": 12, "units": 4, "nouns": 8},
    "commonsense-mini": {"entities": 8, "relations": 3, "values": 12, "train_draws": 6, "test_draws": 4},
    "language-modeling-mini": {
        "entities": 10,
        "values": 12,
        "train_documents": 120,
        "test_documents": 60,
        "sentences": 4,
    },
    "protein-mini": {"train_sequences": 120, "test_sequences": 60},
    "translation-mini": {
        "nouns": 8,
        "adjectives": 3,
        "verbs": 4,
        "train_sentences": 120,
        "test_sentences": 40,
        "steps": 60,
    },
}


def converse(name: str, seed: int = 0, precision: str = "float32", **settings: int) -> Conversation:
    """The task alone, small unless `settings` say otherwise."""
    texts = {key: str(value) for key, value in (SMALL[name] | settings).items()}
    options = RunOptions(precision=precision)
    return Conversation(load(discover().installed["task"][name], texts), None, (), options, seed)
