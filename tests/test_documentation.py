"""What README and docs show is run as it stands."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
import yaml
from safetensors.numpy import save_file
from smc_pruners.adapters import torch_prune

from docs.generate import capacity, command_line, decisions, performance, study
from docs.generate.plugins import PRUNERS, TASKS, pruners, tasks
from smc_harness.cli import COMMANDS, check, prune
from smc_harness.store import folder
from smc_harness.store.results import Results
from smc_harness.verdict.paired import Paired, p_at_least, p_at_most
from tests.pruners.pruning import mask_of, pruned, talk_of
from tests.workshop import ROOT, Ran, Workshop

COMMAND = "smc-harness "
ADAPTERS = ROOT / "docs/how-to/adapters.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shell_commands() -> list[str]:
    # a tutorial's commands need what was done before them: `tests/docs/test_follow.py` follows it; the examples of
    # the parsers are of runs and sessions that there are not here
    pages = [page for page in PAGES if page.parent.name != "tutorial" and page != command_line.PAGE]
    shown = [block for page in pages for block in blocks(page, "sh")]
    for page in PAGES:
        for block in blocks(page, "yaml"):
            yaml.safe_load(block)
            # a step of a job, and what our action gives the harness
            shown.append(
                re.sub(
                    r"^ *(- |arguments: (?=--))", lambda found: COMMAND * ("arguments" in found[0]), block, flags=re.M
                )
            )
    text = "\n".join(shown).replace("\\\n", " ")
    return [line.partition(" #")[0].strip() for line in text.splitlines() if line.startswith(COMMAND)]


def test_the_one_file_pruner_of_the_readme_runs_from_outside_the_repository(workshop: Workshop) -> None:
    (source,) = blocks(ROOT / "README.md", "python")
    assert len(source.strip().splitlines()) < 15
    workshop.write("elsewhere/sqrt_magnitude.py", source)
    workshop.write("tasks/toy.py", workshop.toy().read_text())
    ran = workshop.run(
        *["--collect", "elsewhere/sqrt_magnitude.py", "--collect", "tasks", "--levels", "0.2,0.5", "--search", "grid"]
    )
    assert ran.code == 0, ran.out + ran.err
    assert [cell["value"] is not None for cell in ran.cells().values()] == [True, True]


@pytest.mark.parametrize("line", shell_commands())
def test_every_command_shown_is_understood(
    line: str, command: Callable[..., Ran], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PART", "2")
    (source,) = blocks(ROOT / "README.md", "python")
    workshop.write("sqrt_magnitude.py", source)
    workshop.write("my_methods.py", blocks(ADAPTERS, "python")[0])
    (task,) = blocks(ROOT / "docs/how-to/hub_dataset.md", "python")
    workshop.write("boolq.py", task)
    (workshop.folder / "plugins").symlink_to(ROOT / "plugins")
    (workshop.folder / "SPARSE").mkdir()
    save_file({"weight": numpy.eye(2)}, workshop.folder / "SPARSE" / "model.safetensors")
    (workshop.folder / "MODELS" / "my-llama").mkdir(parents=True)
    save_file({"layers.0.weight": numpy.eye(2)}, workshop.folder / "MODELS" / "my-llama" / "model.safetensors")
    for name in ("results.json", "earlier.json"):
        (workshop.folder / name).symlink_to(ROOT / "docs/results/mawps-gts.json")
    for part in "1234":
        Results(folder.prepare(workshop.folder / "stores" / part)).close()
    words = shlex.split(os.path.expandvars(line.removesuffix("&")))[1:]
    if "--calibrate" in words:  # `tests/cli/test_prune.py` has a model that runs
        assert prune.parser().parse_args(words[1:]).calibrate
        return
    if words[0] == "check":  # takes what it takes to run a plugin thirty times
        assert check.parser().parse_args(words[1:]).what
        return
    ran = command(*words, *([] if words[0] in COMMANDS else ["--collect-only"]))
    assert ran.code == 0, ran.err


def test_the_method_of_the_page_on_adapters_prunes_what_is_smallest(workshop: Workshop) -> None:
    file = workshop.write("my_methods.py", blocks(ADAPTERS, "python")[0])
    params = torch_prune.Params(), torch_prune.Params(f"{file}:Smallest")
    built_in, own = (mask_of(*talk_of(torch_prune, given), 0.5) for given in params)
    assert pruned(own) == 64
    assert all(torch.equal(built_in[name], own[name]) for name in built_in)


FROM_PYTEST = ROOT / "docs/how-to/pytest.md"


@pytest.fixture
def here(pytester: pytest.Pytester) -> Workshop:
    """What the page on pytest speaks of; its task is a toy under the name of the mini one."""
    workshop = Workshop(pytester.path)
    toy = workshop.toy()
    toy.write_text(toy.read_text().replace('name = "toy"', 'name = "protein-mini"'))
    workshop.write("my_pruner.py", workshop.pruner("mine").read_text())
    workshop.write("tests/test_nothing.py", "def test_mine():\n    pass\n")
    workshop.write("pytest.ini", "[pytest]\npythonpath = .\nfilterwarnings = error\n")
    return workshop


@pytest.mark.parametrize("line", "".join(blocks(FROM_PYTEST, "sh")).splitlines())
def test_every_command_of_pytest_shown_collects_cells(line: str, pytester: pytest.Pytester, here: Workshop) -> None:
    program, *words = shlex.split(line)
    assert program == "pytest"
    ran = pytester.runpytest_subprocess(*words, "--co", "-q")
    assert ran.ret == 0
    ran.stdout.fnmatch_lines(["protein-mini::mine[[]0.36,seed0[]]"])


def test_the_tests_of_the_page_on_pytest_pass(
    pytester: pytest.Pytester, here: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", "--collect plugins/toy.py -n 0 --tolerance 0.1")
    (source,) = blocks(FROM_PYTEST, "python")
    here.write("test_of_the_page.py", source)
    pytester.runpytest_subprocess("test_of_the_page.py").assert_outcomes(passed=2)


def test_the_page_on_pruners_is_what_the_plugins_say() -> None:
    assert PRUNERS.read_text(encoding="utf-8") == pruners(), "python -m docs.generate writes it anew"


def test_the_page_on_tasks_is_what_the_plugins_say() -> None:
    assert TASKS.read_text(encoding="utf-8") == tasks(), "python -m docs.generate writes it anew"


def test_the_page_on_the_arithmetic_study_is_what_its_files_say() -> None:
    assert study.PAGE.read_text(encoding="utf-8") == study.page(), "python -m docs.generate writes it anew"


def test_the_page_on_capacity_is_what_its_benchmarks_wrote() -> None:
    assert capacity.PAGE.read_text(encoding="utf-8") == capacity.page(), "python -m docs.generate writes it anew"


def test_the_page_on_performance_is_what_the_benchmarks_wrote() -> None:
    assert performance.PAGE.read_text(encoding="utf-8") == performance.page(), "python -m docs.generate writes it anew"


def examples() -> list[tuple[str, str]]:
    """Python with what it prints, from the explanations."""
    found = []
    for page in sorted((ROOT / "docs/explanation").glob("*.md")):
        found += list(zip(blocks(page, "python"), blocks(page, "text"), strict=True))
    return found


@pytest.mark.parametrize(("source", "printed"), examples())
def test_an_example_prints_what_is_said(source: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(source, {})
    assert capsys.readouterr().out == printed


def test_the_decisions_of_the_rules_are_those_of_the_page() -> None:
    page = decisions.PAGE.read_text(encoding="utf-8")
    for n, drop in ((282, 0.0), (500, 0.02), (2000, 0.005)):
        assert decisions.row(n, drop) in page, "python -m docs.generate writes it anew"


def test_the_decisions_are_those_of_drawn_models() -> None:
    """On 282 questions, give or take four standard errors of 1 000 draws."""
    draws, n, drop = numpy.random.default_rng(0), 282, 0.02
    share = decisions.differing(drop)
    chances = [(share + drop) / 2, (share - drop) / 2, 1 - share]
    counts = [Paired(n, *map(int, drawn[:2])) for drawn in draws.multinomial(n, chances, size=1000)]
    passed = sum(p_at_least(table, decisions.TOLERANCE) <= decisions.ALPHA for table in counts) / 1000
    failed = sum(p_at_most(table, decisions.TOLERANCE) <= decisions.ALPHA for table in counts) / 1000
    found = decisions.chances("noninferiority", n, drop)
    assert passed == pytest.approx(found.passed, abs=4 * (found.passed * (1 - found.passed) / 1000) ** 0.5 + 1e-3)
    assert failed == pytest.approx(found.failed, abs=4 * (found.failed * (1 - found.failed) / 1000) ** 0.5 + 1e-3)
    plain = decisions.chances("tolerance", n, drop)
    dropped = sum(table.drop > decisions.TOLERANCE for table in counts) / 1000
    assert dropped == pytest.approx(plain.failed, abs=4 * (plain.failed * (1 - plain.failed) / 1000) ** 0.5)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
