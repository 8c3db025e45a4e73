"""`pytest --smc`, in processes of its own. What is measured is the toy task, kept in one store by all tests."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.workshop import Workshop

BROKEN = """
from smc_harness import hookimpl

name, phase = "broken", "after"

@hookimpl
def compute_scores(model, context):
    print("I was here")
    {}
"""
LEVELS = "0.2,0.99,0.995"
HARNESS = (sys.executable, "-m", "smc_harness")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture
def here(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, store: Path) -> Workshop:
    """pytester's folder with the task `toy` and the pruners `mine` and `yours`."""
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", f"--store {store} -n 0 --levels {LEVELS}")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    workshop = Workshop(pytester.path)
    workshop.toy()
    workshop.pruner("mine")
    workshop.pruner("yours", "before")
    return workshop


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--smc", "plugins", "-W", "error", "-p", "no:randomly", *words, timeout=120)


def collected(pytester: pytest.Pytester, *words: str) -> list[str]:
    lines = run(pytester, "--co", "-q", *words).outlines
    return [line for line in lines if "::" in line]


def properties(file: Path) -> dict[str, dict[str, str]]:
    """By id, of what junit says."""
    found = {}
    for case in ElementTree.parse(file).iter("testcase"):
        name = f"{case.attrib['classname']}::{case.attrib['name']}"
        found[name] = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
    return found


@pytest.mark.parametrize("processes", ["0", "2"])
def test_items_have_the_verdicts_and_values_of_the_command_line(
    pytester: pytest.Pytester, here: Workshop, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", f"--levels {LEVELS} --seeds 2 -n 1")
    told = here.run("--collect", "plugins", "--store", "other").cells()
    result = run(pytester, "-n", processes, "--junitxml", "junit.xml", "-v", "-p", "xdist")
    found = properties(pytester.path / "junit.xml")
    assert found.keys() == told.keys()
    for name, cell in told.items():
        assert found[name]["verdict"] == cell["verdict"]
        assert float(found[name].get("value", "nan")) == pytest.approx(cell["value"], abs=0, nan_ok=True) or (
            cell["value"] is None and "value" not in found[name]
        )
    verdicts = [cell["verdict"] for cell in told.values()]
    assert result.parseoutcomes() == {
        "passed": verdicts.count("pass"),
        "xfailed": verdicts.count("fail"),
        "skipped": verdicts.count("not-run"),
    }
    assert result.ret == 0
    if processes == "2":  # no dense model is trained by both
        homes = {
            (seed, line.split()[0])
            for seed in ("seed0", "seed1")
            for line in result.outlines
            if line.startswith("[gw") and seed in line
        }
        assert len(homes) == 2


def test_a_fail_is_a_result_and_what_the_search_leaves_out_is_skipped(
    pytester: pytest.Pytester, here: Workshop
) -> None:
    result = run(pytester, "-k", "mine", "-rxs")
    result.assert_outcomes(passed=1, xfailed=1, skipped=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "collected 6 items*",
            "*= first fails =*",
            "toy::mine seed0 (0.2, 0.99[]]*",
            "XFAIL toy::mine[[]0.99,seed0[]] - fail: accuracy 0.*, dense 0.*",
            "SKIPPED*not needed: first fails at 0.99",
        ]
    )


def test_strict_makes_failed_tests_that_lf_and_x_know(pytester: pytest.Pytester, here: Workshop) -> None:
    strict = ("--smc-options=--strict",)
    result = run(pytester, *strict, "-x", "-k", "mine")
    result.assert_outcomes(passed=1, failed=1, deselected=3)
    result.stdout.fnmatch_lines(["fail: accuracy 0.*, dense 0.*"])
    assert collected(pytester, "--lf") == ["toy::mine[0.99,seed0]"]
    again = run(pytester, *strict, "--lf")
    again.assert_outcomes(failed=1, deselected=5)


def test_cells_are_chosen_by_pytests_own_means(pytester: pytest.Pytester, here: Workshop) -> None:
    every = [f"toy::{name}[{level},seed0]" for name in ("mine", "yours") for level in LEVELS.split(",")]
    assert collected(pytester) == every
    assert collected(pytester, "-k", "mine and not 0.99") == every[:1]
    assert collected(pytester, "--deselect", "toy::yours") == every[:3]
    assert collected(pytester, every[1]) == every[1:2]
    assert collected(pytester, "toy::yours", "-k", "0.2") == every[3:4]
    assert collected(pytester, "--smc-options", "--pruners yours --levels 0.5") == ["toy::yours[0.5,seed0]"]


def test_other_tests_run_beside_them_where_their_paths_are_named(pytester: pytest.Pytester, here: Workshop) -> None:
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    assert len(collected(pytester)) == 6
    assert collected(pytester, "test_other.py", "-k", "other or yours")[::3] == [
        "test_other.py::test_other",
        "toy::yours[0.995,seed0]",
    ]


def test_what_breaks_or_ends_its_process_is_an_error_of_its_cells_alone(
    pytester: pytest.Pytester, here: Workshop, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write("plugins/broken.py", BROKEN.format("raise ValueError('on purpose')"))
    here.write("plugins/deadly.py", BROKEN.replace("broken", "deadly").format("import os; os._exit(3)"))
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", f"--store {store} -n 1 --levels {LEVELS}")
    here.write("plugins/nothing.py", "from smc_harness import hookimpl\nimport nowhere_to_be_found\n")
    result = run(pytester, "-k", "0.2", "--junitxml", "junit.xml")
    result.assert_outcomes(errors=2, passed=2, deselected=8)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of toy::broken[[]0.2,seed0[]] *",
            "ValueError: on purpose",
            "*output of the plugins*",
            "*I was here",
            "*ERROR at setup of toy::deadly[[]0.2,seed0[]] *",
            "the worker process ended with exit code 3 (tried twice)",
            "PROBLEM plugins/nothing.py: import failed: ModuleNotFoundError*",
            "toy::broken seed0 error",
        ]
    )
    errors = {
        case.attrib["name"] for case in ElementTree.parse(pytester.path / "junit.xml").iterfind(".//testcase[error]")
    }
    assert errors == {"broken[0.2,seed0]", "deadly[0.2,seed0]"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--smc", "nowhere"], "--smc: --collect nowhere: no such file or folder; leave --collect out *"),
        (["--smc", "nowhere", "-n", "2"], "--smc: --collect nowhere: no such file or folder; leave --collect out *"),
        (["--smc-options", "--levels 2"], "--smc: --levels 2: 2 is outside [0, 1); *"),
        (["--smc-options=--lf"], "--smc: --lf of smc-harness is set; pytest's own would work"),
        (
            ["--smc-options", "--json x"],
            "--smc: --json of smc-harness is set; smc-harness --json would work, on the same store",
        ),
        (["--smc-options=-k 'mine"], "--smc-options=-k 'mine: No closing quotation; quote it as for a shell"),
        (["toy::min"], "--smc: toy::min: no cell has this id; did you mean *"),
        (
            ["--smc-options", "--tasks mawps-gts --data-dir ."],
            "--smc: --data-dir *: mawps-gts needs * not there",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_pytests_usage_error(
    pytester: pytest.Pytester, here: Workshop, words: list[str], expected: str
) -> None:
    result = run(pytester, *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line]
    assert len(errors) == 1
    result.stderr.fnmatch_lines([f"ERROR: {expected.replace('[', '[[]')}"])


def test_data_that_is_not_there_is_an_error_of_every_item_in_processes_of_xdist(
    pytester: pytest.Pytester, here: Workshop
) -> None:
    options = "--tasks mawps-gts --data-dir . --levels 0.2 --pruners mine"
    result = run(pytester, "-n", "1", "--smc-options", options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["--data-dir *: mawps-gts needs *"])


def test_options_without_plugins_are_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--smc-options=--strict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --smc-options without --smc; --smc PATH, a plugin file or folder, would work"])


def test_a_session_plugin_that_fails_is_an_error(pytester: pytest.Pytester, here: Workshop) -> None:
    here.write(
        "plugins/listener.py",
        """
        from smc_harness import hookimpl
        name = "listener"

        @hookimpl
        def cell_finished(result):
            raise OSError("nobody listens")
        """,
    )
    result = run(pytester, "-k", "mine and 0.2")
    result.assert_outcomes(errors=1, deselected=5)
    result.stdout.fnmatch_lines(["a session plugin failed: OSError: nobody listens"])


def test_a_run_of_pytest_is_a_session_of_the_store(pytester: pytest.Pytester, here: Workshop, store: Path) -> None:
    run(pytester, "-k", "yours and 0.2")
    listed = pytester.run(*HARNESS, "list", "runs", "--store", str(store))
    assert listed.outlines[-1].split()[1:4] == ["1", "cell", "pytest"]
    number = listed.outlines[-1].split()[0]
    pytester.run(*HARNESS, "report", number, "--store", str(store)).stdout.fnmatch_lines(["*yours*before*"])


def test_without_smc_nothing_is_imported_but_two_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(request):
            ours = {name for name in sys.modules if name.startswith("smc_harness")}
            assert ours <= {"smc_harness", "smc_harness.deprecated", "smc_harness.errors", "smc_harness.hookspecs",
                            "smc_harness.testing", "smc_harness.testing.pytest_plugin"}
            assert not {"torch", "numpy", "rich", "transformers"} & set(sys.modules)
            assert "--smc" in request.config._parser.optparser.format_help()
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_the_fixture_takes_a_class_of_a_test_file_and_tells_the_curve_where_an_assert_fails(
    pytester: pytest.Pytester, here: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMC_HARNESS_ADDOPTS")
    here.write(
        "test_mine.py",
        """
        import plugins.toy
        from smc_harness import hookimpl

        class Mine:
            name, phase = "of-a-test", "after"

            @hookimpl
            def compute_scores(self, model, context):
                return {n: p.detach().abs() for n, p in context.prunable(model)}

        def test_it_holds(smc):
            run = smc.run(pruners=Mine, tasks=plugins.toy, levels=[0.2, 0.99])
            assert run.first_fail() > 0.2
            assert run.first_fail() > 0.5
        """,
    )
    here.write("pytest.ini", "[pytest]\npythonpath = .\nfilterwarnings = error\n")
    result = pytester.runpytest_subprocess(timeout=120)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *assert <first fail of toy::of-a-test seed0: (0.2, 0.99[]]*; dense 0.*, 0.2: 0.* pass, 0.99: * > 0.5",
            "*first fail: (last pass, first fail[]]",
        ]
    )
