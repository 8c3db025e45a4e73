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


def mbart(folder: Path, texts: Iterable[str], hidden: int = 16, pieces: int = 200) -> Path:
    """An mBART of two and two layers with 25 languages and pieces learned from the texts."""
    import json

    import torch
    from tokenizers import SentencePieceUnigramTokenizer
    from transformers import MBartConfig, MBartForConditionalGeneration, MBartTokenizer

    learned = SentencePieceUnigramTokenizer()
    learned.train_from_iterator(texts, vocab_size=pieces, unk_token="<unk>", show_progress=False)
    scores = [(piece, score) for piece, score in json.loads(learned.to_str())["model"]["vocab"] if piece != "<unk>"]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = MBartTokenizer(vocab=[*special, *scores])
    tokenizer.save_pretrained(folder)
    config = MBartConfig(
        vocab_size=len(tokenizer),
        d_model=hidden,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=2 * hidden,
        decoder_ffn_dim=2 * hidden,
        max_position_embeddings=64,
        init_std=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MBartForConditionalGeneration(config).save_pretrained(folder)
    return folder
