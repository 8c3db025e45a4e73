from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from smc_harness.discovery.parameters import build
from smc_harness.errors import PluginError, UsageError


@dataclass(frozen=True)
class Params:
    batches: int = 8
    rate: float = 0.1
    fast: bool = False
    kind: Literal["l1", "l2"] = "l1"
    bits: Literal[4, 8] = 4
    note: str | None = None
    limit: int | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    layers: tuple[str, ...] = ()
    steps: tuple[int, ...] | None = None
    folder: Path = Path()
    number: int | float = 0
    derived: int = field(default=0, init=False)


def test_without_settings_the_defaults_hold() -> None:
    assert build(Params, {}, "snip") == Params()
    assert build(None, {}, "snip") is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batches", "64", 64),
        ("batches", "-1", -1),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("fast", "true", True),
        ("fast", "False", False),
        ("fast", "1", True),
        ("kind", "l2", "l2"),
        ("bits", "8", 8),
        ("note", "a=b, c", "a=b, c"),
        ("note", "none", None),
        ("limit", "None", None),
        ("limit", "3", 3),
        ("betas", "0.8,0.9", (0.8, 0.9)),
        ("betas", "(0.8, 0.9)", (0.8, 0.9)),
        ("layers", "q,k", ("q", "k")),
        ("layers", "['q', 'k']", ("q", "k")),
        ("layers", "", ()),
        ("steps", "1,2,3", (1, 2, 3)),
        ("steps", "none", None),
        ("folder", "/tmp/x", Path("/tmp/x")),
        ("number", "1.5", 1.5),
    ],
)
def test_text_is_read_as_the_type_of_the_field(name: str, text: str, value: Any) -> None:
    found = getattr(build(Params, {name: text}, "snip"), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("batches", "many", "int"),
        ("batches", "1.5", "int"),
        ("batches", "", "int"),
        ("rate", "fast", "float"),
        ("fast", "perhaps", "bool"),
        ("kind", "l3", "Literal['l1', 'l2']"),
        ("bits", "16", "Literal[4, 8]"),
        ("limit", "few", "int | None"),
        ("betas", "0.9", "tuple[float, float]"),
        ("betas", "0.9,0.99,0.999", "tuple[float, float]"),
        ("steps", "1,two", "tuple[int, ...] | None"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_right_one(name: str, text: str, kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(Params, {name: text}, "snip")
    assert str(caught.value) == f"snip.{name}={text}: a value of type {kind} would work"


def test_an_unknown_parameter_is_refused_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match=r"snip has no parameter 'batchs'; did you mean 'batches'\? \(it has batches,"):
        build(Params, {"batchs": "3"}, "snip")


def test_a_field_that_the_class_fills_itself_cannot_be_set() -> None:
    with pytest.raises(UsageError, match="no parameter 'derived'"):
        build(Params, {"derived": "3"}, "snip")


def test_a_plugin_without_parameters_says_so() -> None:
    with pytest.raises(UsageError, match="magnitude has no parameter 'batches', nor any other"):
        build(None, {"batches": "3"}, "magnitude")


def test_an_instance_gives_its_values_as_defaults() -> None:
    assert build(Params(batches=3), {"rate": "1"}, "snip") == Params(batches=3, rate=1.0)


@pytest.mark.parametrize("declared", [{"batches": 8}, 3, dict])
def test_params_that_are_no_dataclass_are_the_plugins_fault(declared: object) -> None:
    with pytest.raises(PluginError, match="a frozen dataclass would work"):
        build(declared, {}, "snip")


@dataclass(frozen=True)
class Positive:
    batches: int = 8

    def __post_init__(self) -> None:
        if self.batches <= 0:
            raise AssertionError(f"batches is {self.batches}\nbut must be positive")


def test_what_the_class_itself_refuses_is_one_line() -> None:
    with pytest.raises(UsageError, match="snip: AssertionError: batches is 0 but must be positive"):
        build(Positive, {"batches": "0"}, "snip")


@dataclass(frozen=True)
class Incomplete:
    batches: int


def test_a_field_without_a_default_is_the_plugins_fault() -> None:
    with pytest.raises(PluginError, match="give every field a default"):
        build(Incomplete, {}, "snip")
    assert build(Incomplete, {"batches": "3"}, "snip") == Incomplete(3)


@dataclass(frozen=True)
class Unreadable:
    batches: Missing = 8  # type: ignore[name-defined]  # noqa: F821


def test_a_type_that_cannot_be_read_matters_only_when_it_is_set() -> None:
    assert build(Unreadable, {}, "snip").batches == 8
    with pytest.raises(PluginError, match="the type of parameter 'batches' cannot be read"):
        build(Unreadable, {"batches": "3"}, "snip")
