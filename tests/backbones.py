"""Protein backbones of ideal bond lengths and angles, and the files that hold real ones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

HELIX, STRAND = (-57.0, -47.0), (-120.0, 130.0)
"""phi and psi in degrees."""

_BONDS = {"N": (1.329, 116.2), "CA": (1.458, 121.7), "C": (1.525, 111.2)}
"""Of the bond that ends in an atom: its length in Å, and the angle in degrees that it makes with the one before."""


def backbone(angles: Sequence[tuple[float, float]], omega: float = 180.0) -> Tensor:
    """N, CA and C, float64 [residues, 3, xyz] in Å, from phi and psi of each residue in degrees.

    An atom follows from the three before it, by its bond length, angle and dihedral (NeRF, Parsons et al. 2005).
    """
    atoms = [torch.tensor(place, dtype=torch.float64) for place in ((0, 0, 0), (1.458, 0, 0), (2.009, 1.422, 0))]
    for (phi_next, _), (_, psi) in zip(angles[1:], angles[:-1], strict=True):
        for name, dihedral in (("N", psi), ("CA", omega), ("C", phi_next)):
            atoms.append(_next_atom(*atoms[-3:], *_BONDS[name], dihedral))
    return torch.stack(atoms).view(-1, 3, 3)


def _next_atom(a: Tensor, b: Tensor, c: Tensor, length: float, angle: float, dihedral: float) -> Tensor:
    along = torch.nn.functional.normalize(c - b, dim=0)
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, along), dim=0)
    bend, turn = math.radians(180 - angle), math.radians(dihedral)
    return c + length * (
        math.cos(bend) * along
        + math.sin(bend) * math.cos(turn) * torch.linalg.cross(normal, along)
        + math.sin(bend) * math.sin(turn) * normal
    )


def varied(around: tuple[float, float], residues: int, spread: float, chance: random.Random) -> Tensor:
    """A backbone whose phi and psi scatter around a pair of angles, its omega at 178 degrees."""
    angles = [(chance.gauss(around[0], spread), chance.gauss(around[1], spread)) for _ in range(residues)]
    return backbone(angles, omega=178.0)


def coil(residues: int, chance: random.Random) -> Tensor:
    """A backbone of arbitrary phi and psi."""
    return backbone([(chance.uniform(-180, 180), chance.uniform(-180, 180)) for _ in range(residues)], omega=178.0)


def turned(coordinates: Tensor, seed: int = 0) -> Tensor:
    """The coordinates in another orientation."""
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    return coordinates @ (turn * turn.det().sign()).T


def atom_record(serial: int, name: str, residue: str, chain: str, number: int, place: Sequence[float]) -> str:
    """One ATOM record of the PDB format, version 3.3."""
    x, y, z = place
    return (
        f"ATOM  {serial:5d}  {name:<3} {residue} {chain}{number:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 90.00          {name[0]:>2}  "
    )


def write_pdb(path: Path, coordinates: Tensor, chain: str = "A", leave_out: Sequence[tuple[int, str]] = ()) -> Path:
    """A PDB file of the backbone as one chain. leave_out: (residue from 0, atom) that the file lacks."""
    kept = [
        (number, name, place)
        for number, residue in enumerate(coordinates.tolist())
        for name, place in zip(("N", "CA", "C"), residue, strict=True)
        if (number, name) not in leave_out
    ]
    lines = [
        atom_record(serial, name, ("ALA", "GLY", "LEU")[number % 3], chain, number + 1, place)
        for serial, (number, name, place) in enumerate(kept, start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, f"TER   {len(lines) + 1:5d}", "END", ""]))
    return path
