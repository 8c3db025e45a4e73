from __future__ import annotations

from collections.abc import Callable

import pytest

from smc_harness.cli.options import run_parser
from smc_harness.cli.sessions import load_session_plugins
from smc_harness.config import new_manager
from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.errors import UsageError
from tests.workshop import Ran, Workshop

Command = Callable[..., Ran]
SPEAKER = """
from smc_harness import hookimpl
name = {name!r}

@hookimpl
def addoption(parser):
    parser.add_argument("--greet", default="nobody", metavar="NAME")

@hookimpl
def configure(config):
    print("hello", config.options.greet)
"""
ONE = ("--collect-only", "--tasks", "commonsense-mini", "--pruners", "snip", "--levels", "0.5")


def names(wanted: list[str], catalogue: Catalogue | None = None) -> list[str]:
    manager = new_manager()
    load_session_plugins(manager, catalogue or Catalogue(), wanted)
    return [name for name, _ in manager.list_name_plugin()]


def test_our_own_reports_are_session_plugins_that_can_be_left_out() -> None:
    assert names([]) == ["terminal", "json", "html"]
    assert names(["no:terminal"]) == ["json", "html"]
    assert names(["no:terminal", "no:json", "no:html"]) == []


@pytest.mark.parametrize("word", ["jsn", "no:jsn"])
def test_an_unknown_session_plugin_is_refused_with_the_nearest(word: str) -> None:
    with pytest.raises(UsageError, match=r"-p jsn: no such session plugin; did you mean 'json'\?"):
        names([word])


def test_a_collected_session_plugin_adds_options_and_hears_of_the_run(command: Command, workshop: Workshop) -> None:
    workshop.write("speaker.py", SPEAKER.format(name="speaker"))
    done = command("--collect", "speaker.py", "--greet", "world", *ONE)
    assert done.out.splitlines() == ["hello world", "commonsense-mini::snip[0.5,seed0]", "", "1 cell collected"]
    assert "--greet NAME" in command("--collect", "speaker.py", "--help").out


def test_a_session_plugin_collected_by_pyproject_or_the_environment_works_alike(
    command: Command, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("speaker.py", SPEAKER.format(name="speaker"))
    workshop.write("pyproject.toml", '[tool.smc-harness]\ncollect = ["speaker.py"]\ngreet = "moon"\n')
    assert command(*ONE).out.startswith("hello moon\n")
    monkeypatch.setenv("SMC_HARNESS_ADDOPTS", "-p no:speaker")
    done = command(*ONE)
    assert (done.code, done.err) == (
        4,
        "smc-harness: pyproject.toml: [tool.smc-harness] has no option 'greet'; did you mean 'set'?\n",
    )


def test_what_a_session_plugin_prints_does_not_mix_with_json(command: Command, workshop: Workshop) -> None:
    import json

    workshop.write("speaker.py", SPEAKER.format(name="speaker"))
    done = command("--collect", "speaker.py", *ONE, "--json", "-")
    assert [cell["id"] for cell in json.loads(done.out)["cells"]] == ["commonsense-mini::snip[0.5,seed0]"]
    assert done.err == "hello nobody\n"


def test_a_session_plugin_that_wants_to_be_named_waits_for_it(command: Command, workshop: Workshop) -> None:
    workshop.write("speaker.py", SPEAKER.format(name="speaker") + "\ndefault = False\n")
    assert "hello" not in command("--collect", "speaker.py", *ONE).out
    assert "hello" in command("--collect", "speaker.py", "-p", "speaker", *ONE).out


def test_a_plugin_replaces_the_report_of_its_name(workshop: Workshop, command: Command) -> None:
    workshop.write("speaker.py", SPEAKER.format(name="terminal"))
    assert names([], discover([workshop.folder / "speaker.py"])) == ["json", "html", "terminal"]


def test_a_broken_session_plugin_is_reported_and_counts_under_strict_plugins(
    command: Command, workshop: Workshop
) -> None:
    workshop.write("broken.py", SPEAKER.format(name="broken") + "\n@hookimpl\ndef evaluate(model):\n    pass\n")
    done = command("--collect", "broken.py", *ONE)
    assert done.code == 0
    assert done.err.startswith("PROBLEM broken.py: broken: implements hooks of a session and of a task")
    assert command("--collect", "broken.py", *ONE, "--strict-plugins").code == 7


def test_an_installed_session_plugin_that_does_not_load_is_reported(
    command: Command, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("site/other-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    workshop.write(
        "site/other-1.0.dist-info/entry_points.txt",
        "[smc_harness.plugins]\nlost = nowhere_to_be_found\nspeaker = installed_speaker\n",
    )
    workshop.write("site/installed_speaker.py", SPEAKER.format(name="speaker"))
    monkeypatch.syspath_prepend(workshop.folder / "site")
    done = command(*ONE)
    assert done.code == 0
    assert "hello nobody" in done.out
    assert done.err.startswith("PROBLEM entry point nowhere_to_be_found: import failed: ModuleNotFoundError")
    assert command(*ONE, "--strict-plugins").code == 7
    assert command(*ONE, "-p", "no:lost").err == ""


def test_an_option_that_is_taken_is_refused_with_a_way_out(command: Command, workshop: Workshop) -> None:
    workshop.write("speaker.py", SPEAKER.format(name="speaker").replace("--greet", "--levels"))
    done = command("--collect", "speaker.py", *ONE)
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "addoption() of a session plugin failed: ArgumentError: argument --levels: conflicting option" in done.err
    assert "-p no:NAME leaves it out" in done.err


def test_the_parser_is_the_same_with_and_without_help() -> None:
    def options(add_help: bool) -> set[str]:
        return {option for action in run_parser(add_help)._actions for option in action.option_strings}

    assert options(True) - options(False) == {"-h", "--help"}
