"""Content keys change with what they must and with nothing else."""

from __future__ import annotations

import pytest

from smc_harness.store import identity


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget()


def forget() -> None:
    """As a new process would: a source is read once in the life of one."""
    identity._sources.cache_clear()
    identity.source_digest.cache_clear()


def digest_after(path, text: str, of) -> str:
    path.write_text(text)
    forget()
    return identity.source_digest(of)


def test_a_plugin_digest_follows_imports_within_its_package(tmp_path) -> None:
    package = tmp_path / "mypack"
    package.mkdir()
    (package / "__init__.py").touch()
    plugin, helper, unrelated = package / "plugin.py", package / "helper.py", package / "other.py"
    plugin.write_text("def f():\n    from mypack.helper import g\n")
    helper.write_text("from . import deep\n")
    deep = package / "deep.py"
    deep.write_text("x = 1\n")
    unrelated.write_text("y = 1\n")
    before = identity.source_digest(plugin)
    assert digest_after(unrelated, "y = 2\n", plugin) == before
    assert digest_after(deep, "x = 2\n", plugin) != before
    assert digest_after(deep, "x = 1\n", plugin) == before
    assert digest_after(plugin, plugin.read_text() + "\n", plugin) != before


def test_a_plugin_digest_follows_a_file_beside_a_stand_alone_plugin(tmp_path) -> None:
    plugin, helper = tmp_path / "mine.py", tmp_path / "_helper.py"
    plugin.write_text("import _helper\n")
    helper.write_text("x = 1\n")
    before = identity.source_digest(plugin)
    assert digest_after(helper, "x = 2\n", plugin) != before


def test_a_plugin_digest_does_not_follow_what_is_installed_beside_it(tmp_path, monkeypatch) -> None:
    """Else it would read all of torch."""
    (tmp_path / "library-1.0.dist-info").mkdir()
    for name in ("mypack", "library"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    plugin, helper, library = tmp_path / "mypack/plugin.py", tmp_path / "mypack/helper.py", tmp_path / "library/deep.py"
    plugin.write_text("from library import deep\nfrom . import helper\n")
    helper.touch()
    library.touch()
    versions = {"library": "1.0"}
    monkeypatch.setattr(identity, "_version", versions.get)
    before = identity.source_digest(plugin)
    assert digest_after(library, "x = 1\n", plugin) == before
    assert digest_after(helper, "x = 1\n", plugin) != before
    helper.write_text("")
    versions["library"] = "2.0"
    assert digest_after(library, "x = 1\n", plugin) != before


def test_a_plugin_digest_names_the_versions_of_its_libraries(tmp_path, monkeypatch) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("import torch\n")
    before = identity.source_digest(plugin)
    monkeypatch.setattr(identity, "_version", lambda name: "99" if name == "torch" else None)
    forget()
    assert identity.source_digest(plugin) != before


def test_a_plugins_own_modules_are_those_that_its_digest_follows(tmp_path) -> None:
    package = tmp_path / "mypack"
    package.mkdir()
    for name, text in (
        ("__init__", ""),
        ("plugin", "def f():\n    from mypack import helper\n"),
        ("helper", ""),
        ("other", ""),
    ):
        (package / f"{name}.py").write_text(text)
    assert sorted(identity.own_modules(package / "plugin.py")) == ["mypack", "mypack.helper", "mypack.plugin"]


def test_import_cycles_end(tmp_path) -> None:
    (tmp_path / "one.py").write_text("import two\n")
    (tmp_path / "two.py").write_text("import one\n")
    assert identity.source_digest(tmp_path / "one.py")


def test_seeds_depend_on_every_part_and_fit_a_generator() -> None:
    seeds = {identity.seed_from(*parts) for parts in [(0, 0), (0, 1), (1, 0), ("0", 0), (0, 0, 0)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_digest_does_not_depend_on_the_order_of_a_mapping() -> None:
    assert identity.digest({"a": 1, "b": 2}) == identity.digest({"b": 2, "a": 1})
