"""A protein's backbone as a graph: what each residue sees, and its nearest neighbours. Imports torch.

The features are those of ESM-IF1 (Hsu et al. 2022, "Learning inverse folding from millions of predicted structures"),
which took them from GVP (Jing et al. 2021, "Learning from protein structure with geometric vector perceptrons") and
Ingraham et al. 2019. They are computed once per structure and in float64: near 180 degrees, where most peptide bonds
are, the arc cosine of a float32 is good to three digits only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

NEIGHBOURS = 30
"""Nearest residues that a residue sends messages to, itself included; ESM-IF1's `gvp_top_k_neighbors`."""
ANGLES = 6
"""Cosines and sines of three dihedrals."""


class Geometry(NamedTuple):
    """One structure. Its nodes are the residues in their order, with an end mark before and one after them.

    scalars: float [nodes, 7]: cosines of phi, psi and omega, their sines, and 1 where coordinates are known, else 0.
    vectors: float [nodes, 3, xyz]: unit vectors to the next CA, to the previous CA, and along the side chain.
    axes: float [nodes, 3, xyz]: the residue's own frame, all zero where its coordinates are not known.
    positions: float [nodes, xyz]: of CA, in Å.
    edges: int32 [2, edges]: from node, to node; none where coordinates are not known.
    """

    scalars: Tensor
    vectors: Tensor
    axes: Tensor
    positions: Tensor
    edges: Tensor


def measure(coordinates: Tensor, neighbours: int = NEIGHBOURS) -> Geometry:
    """The graph of a backbone.

    coordinates: [residues, 3 atoms (N, CA, C), xyz] in Å; a residue with a number that is not finite is not known, and
    such numbers count as 0, as those of the end marks do. So the angles beside a gap and at the ends depend on where
    the origin is, in ESM-IF1, too; all else depends on the backbone's shape alone, and turns with it.
    """
    atoms = pad(coordinates.double(), (0, 0, 0, 0, 1, 1), value=math.nan)
    known = atoms.isfinite().all(-1).all(-1)
    atoms = torch.where(atoms.isfinite(), atoms, 0.0)
    positions = atoms[:, 1]
    angles = dihedrals(atoms)
    return Geometry(
        scalars=torch.cat([angles.cos(), angles.sin(), known.unsqueeze(-1)], dim=-1).float(),
        vectors=torch.stack([*_along_the_chain(positions), _side_chain(atoms)], dim=1).float(),
        axes=_axes(atoms).float(),
        positions=positions.float(),
        edges=_edges(positions, known, neighbours).int(),
    )


def dihedrals(atoms: Tensor) -> Tensor:
    """phi, psi and omega of each residue in radians, [residues, 3]; 0 where the chain ends.

    atoms: [residues, 3 (N, CA, C), xyz]. The angle about a bond is that between the planes of it and its neighbours;
    it keeps 4.5e-4 away from 0 and 180 degrees, as in the original.
    """
    bonds = unit(atoms.flatten(0, 1).diff(dim=0))
    normals = unit(torch.linalg.cross(bonds[:-1], bonds[1:]))
    cosines = (normals[:-1] * normals[1:]).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7)
    signs = (bonds[:-2] * normals[1:]).sum(-1).sign()
    return pad(signs * cosines.acos(), (1, 2)).view(-1, 3)


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1, along the last dimension; a vector of zeros stays one."""
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-8).sqrt()


def _along_the_chain(positions: Tensor) -> tuple[Tensor, Tensor]:
    forward = unit(positions.diff(dim=0))
    return pad(forward, (0, 0, 0, 1)), pad(-forward, (0, 0, 1, 0))


def _side_chain(atoms: Tensor) -> Tensor:
    """Where CB would be, seen from CA, if the four bonds of CA pointed to the corners of a tetrahedron."""
    n, ca, c = atoms.unbind(1)
    to_c, to_n = unit(c - ca), unit(n - ca)
    between, across = unit(to_c + to_n), unit(torch.linalg.cross(to_c, to_n))
    return -math.sqrt(1 / 3) * between - math.sqrt(2 / 3) * across


def _axes(atoms: Tensor) -> Tensor:
    """The first axis from CA to C, the second towards N, the third across both (Gram-Schmidt)."""
    n, ca, c = atoms.unbind(1)
    first = unit(c - ca)
    second = unit((n - ca) - first * (first * (n - ca)).sum(-1, keepdim=True))
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)


def _edges(positions: Tensor, known: Tensor, neighbours: int) -> Tensor:
    """From each known node to the known ones whose CA is nearest, itself included; long [2, edges]."""
    distances = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
    distances.masked_fill_(~(known.unsqueeze(0) & known.unsqueeze(1)), math.inf)
    nearest = distances.topk(min(neighbours, len(distances)), largest=False)
    source = torch.arange(len(distances)).unsqueeze(1).expand_as(nearest.indices)
    there = nearest.values.isfinite()
    return torch.stack([source[there], nearest.indices[there]])
