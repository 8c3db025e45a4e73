"""What is measured on a backbone: angles, directions, frames, neighbours."""

from __future__ import annotations

import math
import random

import pytest
import torch
from smc_tasks.protein.geometry import NEIGHBOURS, Geometry, dihedrals, measure, unit

from tests.backbones import HELIX, STRAND, backbone, coil, turned

INNER = slice(2, -2)
"""Nodes whose angles and directions involve neither an end mark nor its neighbour."""


def pairs(geometry: Geometry) -> set[tuple[int, int]]:
    return {(source, target) for source, target in geometry.edges.T.tolist()}


@pytest.mark.parametrize("angles", [HELIX, STRAND, (60.0, -170.0)])
def test_dihedrals_are_those_that_the_backbone_was_built_with(angles: tuple[float, float]) -> None:
    found = dihedrals(backbone([angles] * 6, omega=175.0)).rad2deg()
    expected = torch.tensor([*angles, 175.0], dtype=torch.float64).repeat(6, 1)
    expected[0, 0] = expected[-1, 1] = expected[-1, 2] = 0  # no residue before the first, none after the last
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_flat_right_angled_backbone_is_measured_as_on_paper() -> None:
    """CA at (1, 0), (2, 1) and so on in the plane; N 1 to its left, C 1 above it: a staircase."""
    ca = torch.tensor([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [3.0, 2.0, 0.0]])
    stairs = torch.stack([ca - torch.tensor([1.0, 0, 0]), ca, ca + torch.tensor([0, 1.0, 0])], dim=1)
    found = measure(stairs)
    diagonal = math.sqrt(1 / 2)
    assert found.scalars[:, 6].tolist() == [0, 1, 1, 1, 0]
    middle = 2
    assert found.vectors[middle, 0].tolist() == pytest.approx([diagonal, diagonal, 0], abs=1e-6)
    assert found.vectors[middle, 1].tolist() == pytest.approx([-diagonal, -diagonal, 0], abs=1e-6)
    # C is at (0, 1, 0), N at (-1, 0, 0): away from their bisector, by sqrt(1/3), and their cross product, by sqrt(2/3)
    aside = math.sqrt(1 / 3) * diagonal
    assert found.vectors[middle, 2].tolist() == pytest.approx([aside, -aside, -math.sqrt(2 / 3)], abs=1e-6)
    assert found.axes[middle].flatten().tolist() == pytest.approx([0, 1, 0, -1, 0, 0, 0, 0, 1], abs=1e-6)
    assert found.positions[1:-1].tolist() == ca.tolist()
    assert pairs(found) == {(i, j) for i in (1, 2, 3) for j in (1, 2, 3)}


def test_the_side_chain_points_where_cb_is_in_alanine() -> None:
    """CB of an L-amino acid, seen from N along N-CA, lies at a dihedral near -122 degrees from C."""
    found = measure(backbone([HELIX] * 5))
    n, ca, c = backbone([HELIX] * 5)[2]
    direction = found.vectors[3, 2].double()
    left = torch.linalg.cross(unit(ca - n), unit(c - ca))
    assert float(direction @ unit(n - ca)) == pytest.approx(math.cos(math.radians(110)), abs=0.05)
    assert float(direction @ left) < -0.7


def test_frames_and_directions_turn_with_the_backbone_and_angles_stay() -> None:
    plain = coil(40, random.Random(0))
    before, after = measure(plain), measure(turned(plain))
    torch.testing.assert_close(after.scalars[INNER], before.scalars[INNER], atol=1e-6, rtol=0)
    for turning, still in ((after.vectors, before.vectors), (after.axes, before.axes)):
        torch.testing.assert_close(turning.double(), turned(still.double()), atol=1e-6, rtol=0)
    assert pairs(after) == pairs(before)


def test_moving_the_backbone_changes_only_what_looks_beyond_its_ends() -> None:
    plain = coil(40, random.Random(1))
    before, after = measure(plain), measure(plain + torch.tensor([30.0, -20.0, 10.0]))
    torch.testing.assert_close(after.vectors[INNER], before.vectors[INNER], atol=1e-6, rtol=0)
    torch.testing.assert_close(after.scalars[INNER], before.scalars[INNER], atol=1e-6, rtol=0)
    torch.testing.assert_close(after.axes, before.axes, atol=1e-6, rtol=0)
    assert pairs(after) == pairs(before)
    assert not torch.allclose(after.vectors[0], before.vectors[0])


def test_each_residue_sends_to_its_thirty_nearest_itself_included() -> None:
    coordinates = coil(50, random.Random(2))
    source, target = measure(coordinates).edges.long() - 1  # as residues: node 0 is the end mark
    assert torch.bincount(source).tolist() == [NEIGHBOURS] * 50
    ca = coordinates[:, 1]
    for residue in (0, 17, 49):
        nearest = (ca - ca[residue]).norm(dim=-1).argsort()[:NEIGHBOURS]
        assert set(target[source == residue].tolist()) == set(nearest.tolist())


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_a_residue_without_coordinates_is_marked_and_has_no_edges(missing: float) -> None:
    coordinates = coil(12, random.Random(3))
    coordinates[4, 0, 2] = missing
    found = measure(coordinates)
    assert found.scalars[:, 6].tolist() == [0, *([1] * 4), 0, *([1] * 7), 0]
    assert set(found.edges.flatten().tolist()) == {1, 2, 3, 4, *range(6, 13)}
    assert all(torch.isfinite(part).all() for part in found)


def test_one_residue_is_a_structure() -> None:
    found = measure(backbone([HELIX]))
    assert isinstance(found, Geometry)
    assert [len(part) for part in found[:4]] == [3] * 4
    assert found.edges.tolist() == [[1], [1]]
    assert all(torch.isfinite(part).all() for part in found)
