"""Weights of the structure encoder: the published ESM-IF1's, or small fresh ones. Imports torch."""

from __future__ import annotations

import pickle
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from smc_harness.errors import UsageError, one_line
from smc_tasks.protein.geometry import NEIGHBOURS
from smc_tasks.protein.gvp import Widths
from smc_tasks.protein.structure_encoder import Sizes, StructureEncoder

if TYPE_CHECKING:
    from smc_tasks.protein.inverse_folding import InverseFoldingParams

MASK = 32
"""Row of the token that stands for every residue, in the published table of tokens."""

RENAMED = {
    "embed_scores.0": "embed_confidence",
    "embed_ingraham_features": "embed_dihedrals",
    "embed_gvp_in_local_frame.0": "embed_gvp_output",
    "embed_features_in_local_frame.0": "embed_gvp_input_features",
    "gvp_encoder.W_v": "gvp_encoder.embed_graph.embed_node",
    "gvp_encoder.W_e": "gvp_encoder.embed_graph.embed_edge",
    "gvp_encoder.embed_score": "gvp_encoder.embed_graph.embed_confidence",
}
"""Beginnings of names in the published file, and what fair-esm and we call them."""

UNREAD = r"^embed_positions\.|version$"
"""Names that stand for no weight."""


def published_encoder(path: Path) -> StructureEncoder:
    """The encoder of a file as `esm_if1_gvp4_t16_142M_UR50.pt`; its decoder is left alone.

    The file is a pickle, of which tensors and one argparse.Namespace of numbers and texts are read and nothing is
    executed. Raises UsageError where it holds anything else, or another model's weights.
    """
    try:
        with torch.serialization.safe_globals([Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise TypeError(f"it holds a {type(found).__name__}")
        settings, weights = vars(found["args"]), found["model"]
        sizes = _sizes(settings)
        neighbours = settings["gvp_top_k_neighbors"]
    except pickle.UnpicklingError as error:  # whose own words advise to execute it
        raise UsageError(f"{path}: not the weights of an ESM-IF1 (more than tensors and options)") from error
    except (RuntimeError, EOFError, OSError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the weights of an ESM-IF1 ({one_line(error)[:200]})") from error
    if neighbours != NEIGHBOURS:
        raise UsageError(f"{path}: a model of {neighbours} neighbours; one of {NEIGHBOURS} would work")
    encoder = StructureEncoder(sizes)
    try:
        encoder.load_state_dict(_ours(weights))
    except (RuntimeError, KeyError) as error:
        raise UsageError(f"{path}: not the encoder that its settings describe ({one_line(error)[:200]})") from error
    return encoder


def scratch_encoder(params: InverseFoldingParams) -> StructureEncoder:
    """An encoder of the sizes that the parameters say, without dropout."""
    nodes, edges = Widths(params.hidden, max(1, params.hidden // 4)), Widths(max(1, params.hidden // 4), 1)
    return StructureEncoder(
        Sizes(
            width=params.hidden,
            heads=params.heads,
            layers=params.layers,
            feed_forward=params.feed_forward,
            nodes=nodes,
            edges=edges,
            graph_layers=params.graph_layers,
        )
    )


def _sizes(settings: Mapping[str, Any]) -> Sizes:
    """Of the training options that are stored with the weights."""
    widths = {
        kind: Widths(settings[f"gvp_{kind}_hidden_dim_scalar"], settings[f"gvp_{kind}_hidden_dim_vector"])
        for kind in ("node", "edge")
    }
    return Sizes(
        width=settings["encoder_embed_dim"],
        heads=settings["encoder_attention_heads"],
        layers=settings["encoder_layers"],
        feed_forward=settings["encoder_ffn_embed_dim"],
        nodes=widths["node"],
        edges=widths["edge"],
        graph_layers=settings["gvp_num_encoder_layers"],
        dropout=settings["dropout"],
        attention_dropout=settings["attention_dropout"],
        graph_dropout=settings["gvp_dropout"],
    )


def _ours(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights by our names."""
    found = {}
    for name, weight in weights.items():
        own = name.removeprefix("encoder.")
        if own == name or re.search(UNREAD, own):
            continue
        for theirs, ours in RENAMED.items():
            if own.startswith(f"{theirs}."):
                own = ours + own.removeprefix(theirs)
        found[own] = weight
    found["mask_token"] = found.pop("embed_tokens.weight")[MASK]
    return found
