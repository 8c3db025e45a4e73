"""Small checkpoints in the format of real ones, for tests that load pretrained weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def roberta(folder: Path, texts: Iterable[str], hidden: int = 16, pieces: int = 300) -> Path:
    """A RoBERTa with two layers and a byte-level BPE learned from the texts, as `save_pretrained` writes them."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator(texts, vocab_size=pieces, min_frequency=1, special_tokens=special, show_progress=False)
    folder.mkdir(parents=True)
    learned.save_model(str(folder))
    vocabulary, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    tokenizer = RobertaTokenizerFast(vocabulary, merges, model_max_length=64)
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=66,
        type_vocab_size=1,
        initializer_range=0.2,  # so narrow a model learns nothing from the usual 0.02
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaForMaskedLM(config).save_pretrained(folder)
    return folder
