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


def esm_if1(path: Path, width: int = 16, neighbours: int = 30, decoder: bool = True) -> Path:
    """A small ESM-IF1 as it is published: options in a Namespace, weights by the names of the training code."""
    from argparse import Namespace

    import torch
    from smc_tasks.protein.gvp import Widths
    from smc_tasks.protein.structure_encoder import Sizes, StructureEncoder

    sizes = Sizes(width, 2, 2, 2 * width, Widths(12, 5), Widths(6, 1), 2)
    options = Namespace(
        arch="vt_medium_with_invariant_gvp", adam_betas="[0.9,0.999]", lr=[0.001], encoder_embed_path=None,
        encoder_embed_dim=width, encoder_attention_heads=2, encoder_layers=2, encoder_ffn_embed_dim=2 * width,
        gvp_node_hidden_dim_scalar=12, gvp_node_hidden_dim_vector=5, gvp_edge_hidden_dim_scalar=6,
        gvp_edge_hidden_dim_vector=1, gvp_num_encoder_layers=2, gvp_top_k_neighbors=neighbours,
        dropout=0.1, attention_dropout=0.1, gvp_dropout=0.1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = StructureEncoder(sizes).state_dict()
        tokens = torch.randn(35, width)
    tokens[32] = weights.pop("mask_token")
    named = {"encoder.version": torch.tensor([3.0]), "encoder.embed_tokens.weight": tokens}
    for name, weight in weights.items():
        for ours, theirs in (
            ("gvp_encoder.embed_graph.embed_confidence.", "gvp_encoder.embed_score."),
            ("gvp_encoder.embed_graph.embed_node.", "gvp_encoder.W_v."),
            ("gvp_encoder.embed_graph.embed_edge.", "gvp_encoder.W_e."),
            ("embed_confidence.", "embed_scores.0."),
            ("embed_dihedrals.", "embed_ingraham_features."),
            ("embed_gvp_output.", "embed_gvp_in_local_frame.0."),
            ("embed_gvp_input_features.", "embed_features_in_local_frame.0."),
        ):
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
        named[f"encoder.{name}"] = weight
    named["encoder.embed_positions._float_tensor"] = torch.zeros(1)
    if decoder:
        named["decoder.layers.0.self_attn.k_proj.weight"] = torch.zeros(width, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"args": options, "model": named}, path)
    return path
