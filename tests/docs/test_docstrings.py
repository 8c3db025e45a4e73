"""How docstrings are read."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from docs.generate.docstrings import described, listed, names_of


def test_names_are_described_from_the_start_of_a_sentence() -> None:
    prose, found = described("Cut it.\n\n    low: its end. high: the\n    other (see low: above).", ["low", "high"])
    assert prose == ["Cut it."]
    assert found == {"low": "its end.", "high": "the other (see low: above)."}


def test_two_names_may_share_a_description() -> None:
    assert described("low, high: ends.", ["low", "high"])[1] == {"low": "ends.", "high": "ends."}


def test_what_is_no_name_is_prose() -> None:
    assert described("Note: this.\n\nlow: an end.", ["low"])[0] == ["Note: this."]


@pytest.mark.parametrize("text", ["One line.", "Two.\n\nParagraphs."])
def test_prose_is_kept_paragraph_by_paragraph(text: str) -> None:
    assert "\n\n".join(described(text, ["low"])[0]) == text


def test_a_docstring_is_prose_and_a_list() -> None:
    assert listed("Cut it.\n\nlevel: a share. how: a way.", ["level", "how"]) == [
        "Cut it.",
        "",
        "- `level`: a share.",
        "- `how`: a way.",
        "",
    ]


def test_fields_and_properties_of_a_class_may_be_described() -> None:
    @dataclass
    class Pair:
        low: float

        @property
        def width(self) -> float:
            return 1.0

    assert names_of(Pair) == ["low", "width"]
