"""Small checkpoints in the format of real ones, for tests that load pretrained weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def roberta(folder: Path, texts: Iterable[str], hidden: int = 16, pieces: int = 300) -> Path:
    """A RoBERTa with two layers and a byte-level BPE learned from the texts, as `save_pretrained` writes them."""
    import json

    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizer

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator(texts, vocab_size=pieces, min_frequency=1, special_tokens=special, show_progress=False)
    pairs = json.loads(learned.to_str())["model"]
    merges = [tuple(pair) for pair in pairs["merges"]]
    tokenizer = RobertaTokenizer(vocab=pairs["vocab"], merges=merges, model_max_length=64)
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


def causal(folder: Path, texts: Iterable[str], kind: str = "llama", pieces: int = 300, longest: int = 64) -> Path:
    """A Llama or a GPT-2 with two layers and a byte-level BPE learned from the texts; Llama's marks the beginning."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(texts, trainer)
    if kind == "llama":
        learned.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(
        tokenizer_object=learned, bos_token="<s>", eos_token="<s>", model_max_length=longest
    ).save_pretrained(folder)
    common = {"vocab_size": pieces, "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "llama":
            llama = LlamaConfig(
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=longest,
                **common,
            )
            LlamaForCausalLM(llama).save_pretrained(folder)
        else:
            gpt2 = GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=longest, **common)
            GPT2LMHeadModel(gpt2).save_pretrained(folder)
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


def esm(folder: Path, tokens: int = 33) -> Path:
    """A small ESM-1b as `save_pretrained` writes it: absolute positions, layer norm before."""
    import torch
    from transformers import EsmConfig, EsmForMaskedLM

    config = EsmConfig(
        vocab_size=tokens, pad_token_id=1, mask_token_id=32, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=66, position_embedding_type="absolute", token_dropout=True,
        emb_layer_norm_before=True, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        EsmForMaskedLM(config).save_pretrained(folder)
    return folder


TAPE_CONFIG = {
    "base_model": "transformer", "attention_probs_dropout_prob": 0.1, "finetuning_task": None, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 16, "initializer_range": 0.02, "intermediate_size": 32,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 64, "num_attention_heads": 2, "num_hidden_layers": 2,
    "num_labels": -1, "output_attentions": False, "output_hidden_states": False, "torchscript": False,
    "type_vocab_size": 1, "vocab_size": 30,
}  # fmt: skip
"""Of a small one, with the keys that TAPE writes: it has no `model_type`."""


def tape_weights() -> dict[str, torch.Tensor]:
    """By the names under which TAPE keeps its BERT, with the head of its language model."""
    import torch

    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (30, 16),
        "bert.embeddings.position_embeddings.weight": (64, 16),
        "bert.embeddings.token_type_embeddings.weight": (1, 16),
        "bert.embeddings.LayerNorm.weight": (16,),
        "bert.embeddings.LayerNorm.bias": (16,),
    }
    dense = {"attention.self.query": (16, 16), "attention.self.key": (16, 16), "attention.self.value": (16, 16)}
    dense |= {"attention.output.dense": (16, 16), "intermediate.dense": (32, 16), "output.dense": (16, 32)}
    for layer in (f"bert.encoder.layer.{number}." for number in range(2)):
        for name, shape in dense.items():
            shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}{name}.weight": (16,), f"{layer}{name}.bias": (16,)}
    shapes |= {"bert.pooler.dense.weight": (16, 16), "bert.pooler.dense.bias": (16,)}
    shapes |= {"mlm.bias": (30,), "mlm.transform.dense.weight": (16, 16), "mlm.transform.dense.bias": (16,)}
    shapes |= {"mlm.transform.LayerNorm.weight": (16,), "mlm.transform.LayerNorm.bias": (16,)}
    shapes |= {"mlm.decoder.weight": (30, 16)}
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.2 * torch.randn(shape, generator=generator) + float(name.endswith("LayerNorm.weight"))
        for name, shape in shapes.items()
    }


def tape(folder: Path, safetensors: bool = False, **configuration: int) -> Path:
    """A small TAPE BERT as its authors publish it: pickled by a torch of their time, or the same in safetensors."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(TAPE_CONFIG | configuration))
    if safetensors:
        save_file(tape_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(tape_weights(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
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
