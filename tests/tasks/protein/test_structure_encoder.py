"""The structure encoder: what its states depend on, and whether they are fair-esm's."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from smc_tasks.protein.geometry import measure
from smc_tasks.protein.graph_encoder import bins
from smc_tasks.protein.gvp import Dropout, Features, GraphLayer, Norm, Perceptron, Widths
from smc_tasks.protein.structure_classifier import Structure, StructureClassifier, collate
from smc_tasks.protein.structure_encoder import Sizes, StructureEncoder
from smc_tasks.protein.structure_weights import published_encoder
from torch import Tensor

from tests.backbones import HELIX, coil, turned, varied

SIZES = Sizes(16, 2, 2, 32, Widths(12, 5), Widths(6, 1), 2)


@pytest.fixture
def encoder() -> StructureEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StructureEncoder(SIZES).eval()


def backbones() -> list[Tensor]:
    """Off the origin, in whose plane the one residue's angles would be zero, of either sign."""
    chance = random.Random(0)
    made = [coil(41, chance), varied(HELIX, 9, 10.0, chance), coil(1, chance), varied(HELIX, 33, 10.0, chance)]
    return [one + torch.tensor([3.0, -2.0, 5.0]) for one in made]


def states_of(encoder: StructureEncoder, coordinates: Sequence[Tensor]) -> list[Tensor]:
    """The states of each structure's nodes, from one batch of all."""
    batch = collate([Structure("x", measure(one), 0) for one in coordinates])
    with torch.no_grad():
        return [states[:length] for states, length in zip(encoder(batch), batch["lengths"].tolist(), strict=True)]


def assert_alike(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def test_states_do_not_depend_on_the_orientation(encoder: StructureEncoder) -> None:
    assert_alike(states_of(encoder, [turned(one) for one in backbones()]), states_of(encoder, backbones()))


def test_a_mirror_image_is_another_structure(encoder: StructureEncoder) -> None:
    plain = backbones()[:1]
    mirrored = [one * torch.tensor([1.0, 1.0, -1.0]) for one in plain]
    assert not torch.allclose(states_of(encoder, mirrored)[0], states_of(encoder, plain)[0], atol=0.01)


def test_a_structure_s_states_do_not_depend_on_its_batch(encoder: StructureEncoder) -> None:
    alone = [states_of(encoder, [one])[0] for one in backbones()]
    assert_alike(states_of(encoder, backbones()), alone)
    assert_alike(states_of(encoder, backbones()[::-1]), alone[::-1])


def test_gaps_leave_finite_states(encoder: StructureEncoder) -> None:
    coordinates = backbones()[0]
    coordinates[3:7] = math.nan
    assert states_of(encoder, [coordinates])[0].isfinite().all()


def test_every_parameter_is_trained(encoder: StructureEncoder) -> None:
    model = StructureClassifier(encoder, 3)
    batch = collate([Structure("x", measure(one), 0) for one in backbones()])
    torch.nn.functional.cross_entropy(model(batch), batch["labels"]).backward()  # type: ignore[no-untyped-call]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_the_head_reads_the_mean_over_residues(encoder: StructureEncoder) -> None:
    model = StructureClassifier(encoder, 3).eval()
    states = states_of(encoder, backbones())
    with torch.no_grad():
        logits = model(collate([Structure("x", measure(one), 0) for one in backbones()]))
        expected = torch.cat([model.head(one[1:-1].mean(0, keepdim=True)) for one in states])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_the_graph_layers_turn_their_vectors_with_the_structure() -> None:
    nodes, edges = Widths(6, 4), Widths(3, 2)
    layer = GraphLayer(nodes, edges, dropout=0.0)
    ends = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 0, 1, 2]])
    made = [Features(torch.randn(n, w.scalars), torch.randn(n, 3, w.vectors)) for n, w in ((4, nodes), (5, edges))]
    also = [part._replace(vectors=turned(part.vectors.mT.double()).float().mT) for part in made]
    before, after = layer(*made, *ends), layer(*also, *ends)
    torch.testing.assert_close(after.scalars, before.scalars, atol=1e-5, rtol=0)
    torch.testing.assert_close(after.vectors.mT, turned(before.vectors.mT.double()).float(), atol=1e-5, rtol=0)


def test_a_node_hears_the_mean_of_what_is_sent_to_it() -> None:
    widths = Widths(2, 1)
    conv = GraphLayer(widths, widths, dropout=0.0).conv
    nodes, edges = (Features(torch.randn(3, 2), torch.randn(3, 3, 1)) for _ in range(2))
    source, target = torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0])
    heard = conv(nodes, edges, source, target)
    sent = [conv(nodes, edges.at(torch.tensor([i])), source[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(heard.scalars[1], (sent[0].scalars[1] + sent[1].scalars[1]) / 2)
    torch.testing.assert_close(heard.vectors[0], sent[2].vectors[0])
    assert heard.scalars[2].tolist() == [0, 0]


def test_a_perceptron_on_one_number_and_one_vector_is_what_the_paper_writes() -> None:
    layer = Perceptron(Widths(1, 1), Widths(1, 1), gated=True)
    with torch.no_grad():
        for parameter, value in ((layer.wh, 2.0), (layer.ws, 1.0), (layer.wv, 3.0)):
            parameter.weight.fill_(value)
        assert layer.wg is not None
        layer.wg.weight.fill_(0.0)
        layer.ws.bias.zero_()
        layer.wg.bias.zero_()
        found = layer(Features(torch.tensor([[1.0]]), torch.tensor([[[3.0], [0.0], [4.0]]])))
    assert found.scalars.tolist() == [[pytest.approx(1 + 2 * 5)]]  # what was there, and the vector's length
    assert found.vectors.flatten().tolist() == pytest.approx([9.0, 0.0, 12.0])  # 2 x 3 x sigmoid(0)


def test_normalised_vectors_have_a_mean_square_length_of_one_and_tiny_ones_vanish() -> None:
    vectors = torch.tensor([[[3.0, 0.0, 0.001], [4.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    found = Norm(Widths(2, 3))(Features(torch.randn(1, 2), vectors)).vectors
    lengths = found.square().sum(-2)[0]
    assert float(lengths[:2].mean()) == pytest.approx(1.0, abs=1e-3)
    assert float(lengths[2]) == 0


def test_dropout_leaves_out_whole_vectors() -> None:
    dropped = Dropout(0.5)(Features(torch.ones(50, 4), torch.ones(50, 3, 4))).vectors
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))


def test_bins_are_gaussian() -> None:
    assert bins(torch.tensor([0.0, 20.0]), 20.0)[:, 0].tolist() == pytest.approx([1.0, 0.0])
    assert float(bins(torch.tensor(1.25), 20.0)[0]) == pytest.approx(math.exp(-1))


def test_states_are_those_of_fair_esm(tmp_path: Path) -> None:
    """Where fair-esm can be imported, which needs torch_geometric, torch_scatter and biotite, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        esm = pytest.importorskip("esm")
        pytest.importorskip("esm.inverse_folding")
    from argparse import Namespace

    width = 32
    options = Namespace(
        arch="vt_medium_with_invariant_gvp", dropout=0.1, attention_dropout=0.1, gvp_dropout=0.1, encoder_layers=2,
        encoder_embed_dim=width, encoder_attention_heads=4, encoder_ffn_embed_dim=64, decoder_layers=1,
        decoder_embed_dim=width, decoder_attention_heads=4, decoder_ffn_embed_dim=64, decoder_input_dim=width,
        decoder_output_dim=width, share_decoder_input_output_embed=False, max_target_positions=1024,
        no_scale_embedding=False, gvp_node_hidden_dim_scalar=24, gvp_node_hidden_dim_vector=8,
        gvp_edge_hidden_dim_scalar=16, gvp_edge_hidden_dim_vector=1, gvp_num_encoder_layers=2, gvp_top_k_neighbors=30,
    )  # fmt: skip
    alphabet = esm.data.Alphabet.from_architecture(options.arch)
    theirs = esm.inverse_folding.gvp_transformer.GVPTransformerModel(options, alphabet).eval()
    torch.save({"args": options, "model": theirs.state_dict()}, tmp_path / "theirs.pt")
    ours = published_encoder(tmp_path / "theirs.pt").eval()
    coordinates = [one.float() for one in backbones()]
    coordinates[0][4:8] = math.inf
    convert = esm.inverse_folding.util.CoordBatchConverter(alphabet)
    inputs, confidence, _, _, padding = convert([(one.tolist(), None, None) for one in coordinates])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.encoder(inputs, padding, confidence)["encoder_out"][0].transpose(0, 1)
    for found, other in zip(states_of(ours, coordinates), expected, strict=True):
        torch.testing.assert_close(found, other[: len(found)], atol=1e-4, rtol=0)
