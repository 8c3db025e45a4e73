from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smc_harness.collection import choose
from smc_harness.collection.choose import Choice, Variant, read_settings, read_variant
from smc_harness.discovery.catalogue import Catalogue
from smc_harness.discovery.loading import Locator, Plugin
from smc_harness.errors import PluginError, UsageError

DEFAULTS = {"shy": False}


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Plugins that need no file: `broken` does not load, `shy` wants to be named, `needy` to be told a word.

    Returns the names of those that were loaded.
    """

    def offered(locator: Locator) -> Any:
        if locator.name == "broken":
            raise PluginError(f"{locator.source}: import failed: ImportError")
        return SimpleNamespace(phase="after", default=DEFAULTS.get(locator.name, True))

    def load(locator: Locator, settings: dict[str, str], name: str) -> Plugin:
        loaded.append(name)
        hooks = offered(locator)
        if locator.name == "needy":
            hooks.needs = ("word",)
        return Plugin(locator.kind, name, hooks, locator, settings, params=SimpleNamespace(word=settings.get("word")))

    monkeypatch.setattr(choose, "offered", offered)
    monkeypatch.setattr(choose, "load", load)
    loaded: list[str] = []
    return loaded


def catalogue(installed: str = "", collected: str = "", **state: Any) -> Catalogue:
    found = Catalogue(**state)
    for place, names in ((found.installed, installed), (found.collected, collected)):
        place["pruner"] = {name: Locator("pruner", name, f"{name}.py") for name in names.split()}
    return found


def chosen(found: Catalogue, *patterns: str, variants: tuple[Variant, ...] = ()) -> list[str]:
    return [plugin.name for plugin in Choice(found, {}).choose("pruner", patterns, variants)]


def test_without_patterns_the_installed_ones_run_in_order_of_name() -> None:
    assert chosen(catalogue("snip gmp lth")) == ["gmp", "lth", "snip"]


def test_without_patterns_the_collected_ones_replace_the_installed_ones() -> None:
    assert chosen(catalogue("snip gmp", "mine")) == ["mine"]


def test_what_wants_to_be_named_and_is_not_is_not_loaded(loaded: list[str]) -> None:
    chosen(catalogue("shy snip"))
    assert loaded == ["snip"]


def test_where_all_that_was_collected_is_broken_nothing_else_runs_in_its_place() -> None:
    assert chosen(catalogue("snip", all_broken=True)) == []
    assert chosen(catalogue("snip", all_broken=True), "snip") == ["snip"]


def test_a_plugin_that_wants_to_be_named_runs_only_when_it_is() -> None:
    assert chosen(catalogue("snip shy")) == ["snip"]
    assert chosen(catalogue("snip", "shy mine")) == ["mine"]
    assert chosen(catalogue("snip shy"), "shy") == ["shy"]
    assert chosen(catalogue("snip shy"), "s*") == ["shy", "snip"]


def test_patterns_choose_among_collected_and_installed_and_variants() -> None:
    variant = Variant("snip-64", "snip", {})
    assert chosen(catalogue("snip gmp", "mine"), "mine", "snip*", variants=(variant,)) == ["mine", "snip", "snip-64"]


def test_an_exact_name_comes_before_a_glob() -> None:
    assert chosen(catalogue("a[b] ab a"), "a[b]") == ["a[b]"]
    assert chosen(catalogue("a* ab"), "a*") == ["a*"]


def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^no pruner 'snap'; did you mean 'snip'\?$"):
        chosen(catalogue("snip gmp"), "gmp", "snap")


def test_a_pattern_that_matches_nothing_recalls_which_plugins_are_broken_and_why() -> None:
    found = catalogue("gmp")
    found.add_problem("mine.py", PluginError("import failed"))
    with pytest.raises(UsageError, match=r"^no pruner 'mine'; .* shows what there is; mine.py: import failed$"):
        chosen(found, "mine")


def test_a_plugin_that_does_not_load_becomes_a_problem_once_and_the_rest_run() -> None:
    found = catalogue("broken gmp")
    variant = Variant("again", "broken", {})
    assert chosen(found, variants=(variant,)) == ["gmp"]
    assert [(problem.source, problem.reason) for problem in found.problems] == [
        ("broken.py", "import failed: ImportError")
    ]


def test_a_variant_runs_beside_what_runs_by_default() -> None:
    assert chosen(catalogue("snip gmp"), variants=(Variant("snip-64", "snip", {}),)) == ["gmp", "snip", "snip-64"]
    assert chosen(catalogue("snip", "mine"), variants=(Variant("snip-64", "snip", {}),)) == ["mine", "snip-64"]
    assert chosen(catalogue("gmp shy"), variants=(Variant("bold", "shy", {}),)) == ["bold", "gmp"]


def test_a_variant_of_nothing_or_with_a_taken_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--variant x: no pruner 'snap'; did you mean 'snip'\?"):
        chosen(catalogue("snip"), variants=(Variant("x", "snap", {}),))
    with pytest.raises(UsageError, match="--variant snip: there is a pruner of that name; another name would work"):
        chosen(catalogue("snip gmp"), variants=(Variant("snip", "gmp", {}),))


def test_a_plugin_that_was_not_told_what_it_needs_is_refused_but_passed_over_by_a_glob() -> None:
    lack = "needy needs word; --set needy.word=VALUE would work"
    with pytest.raises(UsageError, match=f"^{lack}$"):
        chosen(catalogue("snip needy"), "needy")
    with pytest.raises(UsageError, match=f"^{lack}$"):
        chosen(catalogue("snip needy"))
    with pytest.raises(UsageError, match="^mine needs word; --set mine.word=VALUE would work$"):
        chosen(catalogue("snip needy"), "snip", "mine", variants=(Variant("mine", "needy", {}),))
    found = catalogue("snip needy")
    assert chosen(found, "*") == ["snip"]
    assert found.notices == [f"{lack}; passed over"]
    told = Choice(catalogue("snip needy"), {"needy": {"word": "yes"}})
    assert [plugin.name for plugin in told.choose("pruner", ["*"])] == ["needy", "snip"]


def test_settings_reach_the_plugin_of_their_name_and_override_a_variants_own() -> None:
    choice = Choice(catalogue("snip"), {"snip": {"batches": "1"}, "snip-64": {"batches": "2"}})
    variant = Variant("snip-64", "snip", {"batches": "64", "fast": "true"})
    settings = {plugin.name: dict(plugin.settings) for plugin in choice.choose("pruner", (), (variant,))}
    assert settings == {"snip": {"batches": "1"}, "snip-64": {"batches": "2", "fast": "true"}}


def test_settings_of_a_plugin_that_does_not_run_stay_unused() -> None:
    choice = Choice(catalogue("snip shy broken"), {"shy": {"x": "1"}, "snip": {"x": "1"}})
    choice.choose("pruner", ())
    assert set(choice.settings) - choice.used == {"shy"}


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("a=snip", Variant("a", "snip", {})),
        ("a=snip,batches=64,fast=true", Variant("a", "snip", {"batches": "64", "fast": "true"})),
        ("a=snip,note=x=y", Variant("a", "snip", {"note": "x=y"})),
        ("a=snip,note=", Variant("a", "snip", {"note": ""})),
    ],
)
def test_a_variant_is_read(text: str, variant: Variant) -> None:
    assert read_variant(text) == variant


@pytest.mark.parametrize("text", ["", "a", "a=", "=snip", "a=snip,", "a=snip,batches", "a=,batches=3", "a=snip,=3"])
def test_a_malformed_variant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"--variant {text}: something like snip-64=snip,batches=64 would work"):
        read_variant(text)


def test_settings_are_read_and_later_ones_win() -> None:
    texts = ["snip.batches=8", "snip.batches=9", "a.b.c=d=e", "snip.note="]
    assert read_settings(texts) == {"snip": {"batches": "9", "note": ""}, "a.b": {"c": "d=e"}}


@pytest.mark.parametrize("text", ["", "snip", "snip.batches", "snip=8", ".batches=8", "snip.=8", "=8", ".=8"])
def test_a_malformed_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"something like snip.batches=8 would work"):
        read_settings([text])
