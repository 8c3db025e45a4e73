from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.errors import UsageError
from tests.toys import PRUNER
from tests.workshop import ROOT, Workshop

Distribution = Callable[..., None]


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    modules, paths = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = paths


@pytest.fixture
def distribution(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Install a distribution that has nothing but entry points."""

    def install(name: str, group: str, **points: str) -> None:
        lines = "\n".join(f"{point} = {value}" for point, value in points.items())
        workshop.write(f"site/{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        workshop.write(f"site/{name}-1.0.dist-info/entry_points.txt", f"[smc_harness.{group}]\n{lines}\n")
        monkeypatch.syspath_prepend(workshop.folder / "site")

    return install


def pruner(workshop: Workshop, path: str, name: str = "mine") -> Path:
    return workshop.write(path, PRUNER.format(name=name, phase="after"))


def names(catalogue: Catalogue, kind: str = "pruner") -> list[str]:
    return sorted(catalogue.collected[kind])


def reasons(catalogue: Catalogue) -> dict[str, str]:
    return {problem.source: problem.reason for problem in catalogue.problems}


def test_our_own_plugins_come_in_by_entry_points() -> None:
    installed = discover().installed
    assert {"snip", "magnitude-after", "lth"} <= set(installed["pruner"])
    assert {"commonsense-mini", "arithmetic-mini", "protein-mini", "translation-mini"} <= set(installed["task"])


def test_installed_plugins_are_listed_without_being_imported(distribution: Distribution) -> None:
    distribution("other", "pruners", other="nowhere_to_be_found.other")
    assert discover().installed["pruner"]["other"].module == "nowhere_to_be_found.other"


def test_a_file_is_collected_under_the_name_it_declares(workshop: Workshop) -> None:
    pruner(workshop, "file.py", "declared")
    assert names(discover([Path("file.py")])) == ["declared"]


def test_a_folder_is_searched_deeply_for_files_that_hold_a_plugin(workshop: Workshop) -> None:
    pruner(workshop, "plugins/a.py", "a")
    pruner(workshop, "plugins/deep/er/b.py", "b")
    for path in (
        "_helper.py",
        ".hidden/c.py",
        "_private/d.py",
        "node_modules/e.py",
        "venv/f.py",
        "g.txt",
        "h/__init__.py",
    ):
        workshop.write(f"plugins/{path}", "raise SystemError('hookimpl: this must not be imported')")
    workshop.write("plugins/venv/pyvenv.cfg", "")
    workshop.write("plugins/other.py", "raise SystemError('nor this, which does not mention it')")
    catalogue = discover([Path("plugins")])
    assert names(catalogue) == ["a", "b"]
    assert catalogue.problems == []


def test_a_file_that_is_reached_twice_is_collected_once(workshop: Workshop) -> None:
    path = workshop.write(
        "plugins/a.py", "import builtins\nbuiltins.count += 1\n" + PRUNER.format(name="a", phase="after")
    )
    (workshop.folder / "link.py").symlink_to(path)
    import builtins

    builtins.count = 0  # type: ignore[attr-defined]
    try:
        catalogue = discover([Path("plugins"), Path("plugins/a.py"), Path("link.py")])
        assert (names(catalogue), catalogue.problems, builtins.count) == (["a"], [], 1)  # type: ignore[attr-defined]
    finally:
        del builtins.count  # type: ignore[attr-defined]


def test_a_missing_path_and_a_file_that_is_not_python_are_usage_errors(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="--collect nowhere: no such file or folder"):
        discover([Path("nowhere")])
    workshop.write("notes.txt", "")
    with pytest.raises(UsageError, match=r"--collect notes.txt: not a Python file; a .py file or a folder would work"):
        discover([Path("notes.txt")])


def test_a_folder_without_plugins_is_noticed(workshop: Workshop) -> None:
    (workshop.folder / "empty").mkdir()
    assert discover([Path("empty")]).notices == ["--collect empty: no plugin found there"]


def test_several_plugins_in_one_file_are_all_found(workshop: Workshop) -> None:
    workshop.write(
        "several.py",
        """
        from smc_harness import hookimpl

        class Base:
            phase = "after"
            def __init__(self, name="a class"):
                self.name = name
            @hookimpl
            def compute_scores(self, model, context):
                return {}

        class Named(Base):
            name = "a class"

        plugins = [Named, Base("an instance")]
        """,
    )
    catalogue = discover([Path("several.py")])
    assert {name: place.index for name, place in catalogue.collected["pruner"].items()} == {
        "a class": 0,
        "an instance": 1,
    }


def test_a_broken_plugin_does_not_stop_its_neighbours_in_the_same_file(workshop: Workshop) -> None:
    workshop.write(
        "several.py",
        """
        from smc_harness import hookimpl

        class Good:
            name, phase = "good", "after"
            @hookimpl
            def compute_scores(self, model, context):
                return {}

        class Bad(Good):
            name, phase = "bad", "sometimes"

        plugins = (Bad, Good)
        """,
    )
    catalogue = discover([Path("several.py")])
    assert names(catalogue) == ["good"]
    assert reasons(catalogue) == {
        "several.py": "bad: phase is 'sometimes'; one of before, after, during, iterative would work"
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise ValueError('hookimpl')", "import failed: ValueError: hookimpl"),
        ("from smc_harness import hookimpl", "name is None; a plugin needs a `name`"),
        ("name = ''", "name is ''; a plugin needs a `name`"),
        ("name = 3", "name is 3; a plugin needs a `name`"),
        ("name = 'x'", "x: it implements no hook"),
        ("plugins = 3", "plugins is 3; a tuple such as plugins = (MyPruner,) would work"),
        ("plugins = (3,)", "name is None"),
        ("class P:\n    @property\n    def name(self): 1 / 0\nplugins = (P(),)", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_file_is_reported_by_name_and_reason_and_the_rest_load(
    workshop: Workshop, text: str, expected: str
) -> None:
    workshop.write("plugins/broken.py", text + "  # hookimpl")
    pruner(workshop, "plugins/good.py", "good")
    catalogue = discover([Path("plugins")])
    assert names(catalogue) == ["good"]
    assert list(reasons(catalogue)) == ["plugins/broken.py"]
    assert expected in reasons(catalogue)["plugins/broken.py"]
    assert not catalogue.all_broken


def test_when_all_that_was_collected_is_broken_that_is_known(workshop: Workshop) -> None:
    workshop.write("broken.py", "1 / 0")
    assert discover([Path("broken.py")]).all_broken


def test_two_collected_files_of_one_name_are_not_mixed_up(workshop: Workshop) -> None:
    pruner(workshop, "a.py", "same")
    pruner(workshop, "b.py", "same")
    catalogue = discover([Path("a.py"), Path("b.py")])
    assert catalogue.collected["pruner"]["same"].source == "a.py"
    assert reasons(catalogue) == {"b.py": "a.py offers a pruner named 'same' already; another name would work"}


def test_a_collected_file_takes_the_place_of_an_installed_plugin_with_a_notice(workshop: Workshop) -> None:
    pruner(workshop, "my_snip.py", "snip")
    catalogue = discover([Path("my_snip.py")])
    assert catalogue.known("pruner")["snip"].source == "my_snip.py"
    assert catalogue.notices == ["my_snip.py: takes the place of the installed pruner 'snip'"]


@pytest.mark.parametrize("own_first", [True, False])
def test_a_collected_file_wins_over_a_collected_installed_plugin_in_either_order(
    workshop: Workshop, own_first: bool
) -> None:
    pruner(workshop, "my_snip.py", "snip")
    paths = [Path("my_snip.py"), ROOT / "plugins/smc_pruners/snip.py"]
    catalogue = discover(paths if own_first else paths[::-1])
    assert catalogue.known("pruner")["snip"].source == "my_snip.py"
    assert catalogue.problems == []


def test_an_installed_file_is_collected_as_its_entry_points_without_being_imported(
    workshop: Workshop, distribution: Distribution
) -> None:
    distribution("other", "pruners", first="other_pruners.magnitude:a", second="other_pruners.magnitude:b")
    workshop.write("site/other_pruners/__init__.py", "raise SystemError('imported')")
    path = workshop.write("site/other_pruners/magnitude.py", "raise SystemError('hookimpl')")
    catalogue = discover([path.parent])
    assert names(catalogue) == ["first", "second"]
    assert catalogue.collected["pruner"]["first"] is catalogue.installed["pruner"]["first"]
    assert (catalogue.problems, catalogue.notices) == ([], [])


def test_an_installed_plugin_that_is_a_package_is_found_by_its_init_file(
    workshop: Workshop, distribution: Distribution
) -> None:
    distribution("other", "pruners", whole="other_whole", part="other_whole.part")
    top = workshop.write("site/other_whole/__init__.py", "raise SystemError('hookimpl')")
    part = workshop.write("site/other_whole/part/__init__.py", "raise SystemError('hookimpl')")
    assert names(discover([top, part])) == ["part", "whole"]


def test_two_distributions_that_offer_one_name_are_a_usage_error(distribution: Distribution) -> None:
    distribution("other", "pruners", snip="other.snip")
    with pytest.raises(UsageError, match="two installed distributions offer a pruner named 'snip'") as caught:
        discover()
    assert "other.snip" in str(caught.value)
    assert "smc_pruners.snip" in str(caught.value)


def test_a_name_may_be_both_a_tasks_and_a_pruners(distribution: Distribution) -> None:
    distribution("other", "tasks", snip="other.snip")
    assert "snip" in discover().installed["task"]


def test_an_entry_point_that_cannot_be_parsed_is_reported_and_the_rest_load(distribution: Distribution) -> None:
    distribution("other", "pruners", strange="not a module!")
    catalogue = discover()
    assert "snip" in catalogue.installed["pruner"]
    assert reasons(catalogue) == {
        "entry point not a module!": "pruner 'strange': 'package.module' or 'package.module:attribute' would work"
    }


def test_an_entry_point_to_nowhere_does_not_disturb_collecting(workshop: Workshop, distribution: Distribution) -> None:
    distribution("other", "pruners", lost="nowhere_to_be_found.lost", lost2="nowhere_to_be_found")
    pruner(workshop, "good.py", "good")
    assert names(discover([Path("good.py")])) == ["good"]
