"""Weights of the structure encoder, from a file as ESM-IF1's is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from smc_tasks.protein.inverse_folding import InverseFoldingParams
from smc_tasks.protein.structure_weights import published_encoder, scratch_encoder

from smc_harness.errors import UsageError
from tests.checkpoints import esm_if1


def changed(path: Path, name: str, weight: torch.Tensor | None) -> Path:
    """The file with another weight of that name, or without it."""
    with torch.serialization.safe_globals([type(torch.load(path, weights_only=False)["args"])]):
        found = torch.load(path, weights_only=True)
    found["model"].pop(name, None)
    if weight is not None:
        found["model"][name] = weight
    torch.save(found, path)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        published_encoder(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_every_weight_comes_from_the_file_by_its_published_name(tmp_path: Path) -> None:
    path = esm_if1(tmp_path / "if1.pt")
    stored = torch.load(path, weights_only=False)["model"]
    state = published_encoder(path).state_dict()
    for ours, theirs in (
        ("gvp_encoder.embed_graph.embed_node.0.ws.weight", "encoder.gvp_encoder.W_v.0.ws.weight"),
        ("gvp_encoder.embed_graph.embed_edge.1.scalar_norm.bias", "encoder.gvp_encoder.W_e.1.scalar_norm.bias"),
        ("gvp_encoder.embed_graph.embed_confidence.weight", "encoder.gvp_encoder.embed_score.weight"),
        ("embed_confidence.bias", "encoder.embed_scores.0.bias"),
        ("embed_dihedrals.norm_nodes.gain", "encoder.embed_ingraham_features.norm_nodes.gain"),
        ("embed_gvp_output.weight", "encoder.embed_gvp_in_local_frame.0.weight"),
        ("embed_gvp_input_features.weight", "encoder.embed_features_in_local_frame.0.weight"),
        ("layers.1.self_attn.q_proj.weight", "encoder.layers.1.self_attn.q_proj.weight"),
    ):
        assert torch.equal(state[ours], stored[theirs]), ours
    assert torch.equal(state["mask_token"], stored["encoder.embed_tokens.weight"][32])
    assert len(state) == len([name for name in stored if name.startswith("encoder.")]) - 2  # version, positions


def test_the_settings_are_those_that_lie_beside_the_weights(tmp_path: Path) -> None:
    sizes = published_encoder(esm_if1(tmp_path / "if1.pt", width=24)).sizes
    assert (sizes.width, sizes.heads, sizes.layers, sizes.feed_forward) == (24, 2, 2, 48)
    assert (sizes.nodes, sizes.edges, sizes.graph_layers) == ((12, 5), (6, 1), 2)
    assert (sizes.dropout, sizes.attention_dropout, sizes.graph_dropout) == (0.1, 0.1, 0.1)


def test_an_encoder_without_a_decoder_will_do(tmp_path: Path) -> None:
    published_encoder(esm_if1(tmp_path / "if1.pt", decoder=False))


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    said = complaint(changed(esm_if1(tmp_path / "if1.pt"), "encoder.layers.0.fc1.weight", None))
    assert "layers.0.fc1.weight" in said


def test_a_weight_that_the_encoder_has_no_use_for_is_refused(tmp_path: Path) -> None:
    said = complaint(changed(esm_if1(tmp_path / "if1.pt"), "encoder.layers.0.gate.weight", torch.zeros(1)))
    assert "layers.0.gate.weight" in said


def test_another_number_of_neighbours_is_refused(tmp_path: Path) -> None:
    assert complaint(esm_if1(tmp_path / "if1.pt", neighbours=15)) == "a model of 15 neighbours; one of 30 would work"


class Trap:
    """Pickled, it is a call of `print`."""

    def __reduce__(self) -> Any:
        return print, ("executed",)


def test_nothing_in_the_file_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "if1.pt"
    torch.save({"args": Trap(), "model": {}}, path)
    assert complaint(path) == "not the weights of an ESM-IF1 (more than tensors and options)"
    path.write_bytes(pickle.dumps(Trap(), protocol=2))  # torch's
    assert complaint(path) == "not the weights of an ESM-IF1 (more than tensors and options)"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [{"model": {}}, {"args": 1, "model": {}}, [1, 2], torch.zeros(2)])
def test_other_files_of_torch_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "if1.pt")
    assert complaint(tmp_path / "if1.pt").startswith("not the weights of an ESM-IF1 (")


def test_an_encoder_from_scratch_has_the_sizes_that_were_asked_for() -> None:
    params = InverseFoldingParams(hidden=24, heads=3, layers=1, feed_forward=40, graph_layers=3)
    encoder = scratch_encoder(params)
    assert encoder.layers[0].fc1.weight.shape == (40, 24)
    assert (len(encoder.layers), len(encoder.gvp_encoder.encoder_layers), encoder.sizes.heads) == (1, 3, 3)
