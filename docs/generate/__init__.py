"""Writes the pages that follow from code and from results: `python -m docs.generate`."""

from pathlib import Path

DOCS = Path(__file__).parents[1]
