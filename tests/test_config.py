from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import pytest

from smc_harness.cli.options import run_parser
from smc_harness.config import ADDOPTS, PAPER_LEVELS, new_manager, parse, read_levels
from smc_harness.errors import UsageError
from smc_harness.hookspecs import PRUNER_HOOKS, SESSION_HOOKS, TASK_HOOKS


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ADDOPTS, raising=False)


def table(text: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.smc-harness]\n{text}\n", encoding="utf-8")


def parsed(*words: str) -> argparse.Namespace:
    return parse(run_parser(), words)


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parsed(*words)
    return str(caught.value)


def test_the_command_line_overrides_the_environment_which_overrides_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    table('levels = "0.1"\nseeds = 2\ntolerance = 0.2')
    monkeypatch.setenv(ADDOPTS, "--levels 0.3 --seeds 3")
    options = parsed("--levels", "0.5")
    assert (options.levels, options.seeds, options.tolerance, options.seed) == ("0.5", 3, ["0.2"], 0)


def test_an_option_given_its_default_overrides_the_layers_below() -> None:
    table('levels = "0.1"')
    assert parsed("--levels", "paper").levels == "paper"


def test_a_list_is_replaced_by_the_layer_above(monkeypatch: pytest.MonkeyPatch) -> None:
    table('collect = ["a", "b"]')
    assert parsed().collect == ["a", "b"]
    monkeypatch.setenv(ADDOPTS, "--collect c")
    assert parsed().collect == ["c"]


def test_settings_variants_and_plugins_add_up_over_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    table('set = ["snip.batches=8"]\np = "no:json"')
    monkeypatch.setenv(ADDOPTS, "--set snip.batches=9 -p x --variant 'a=snip,batches=3'")
    options = parsed("--set", "snip.batches=10")
    assert options.set == ["snip.batches=8", "snip.batches=9", "snip.batches=10"]
    assert (options.plugins, options.variant) == (["no:json", "x"], ["a=snip,batches=3"])


def test_parsing_twice_gives_the_same() -> None:
    parser = run_parser()
    first = parse(parser, ["--collect", "a", "--set", "a.b=c", "x"])
    assert parse(parser, ["--collect", "a", "--set", "a.b=c", "x"]) == first
    assert parse(parser, []).collect == []


def test_pyproject_values_become_options() -> None:
    table('strict = true\nlf = false\nv = 2\nn = 4\nlevels = [0.2, 0.36]\npruners = ["snip", "gmp"]\nk = "not -x"')
    options = parsed()
    assert (options.strict, options.last_failed, options.verbose, options.n) == (True, False, 2, "4")
    assert (options.levels, options.pruners, options.keyword) == ("0.2,0.36", "snip,gmp", "not -x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("level = 1", "[tool.smc-harness] has no option 'level'; did you mean 'levels'?"),
        ('strict = "yes"', "strict is 'yes'; true would work"),
        ("x = 1", "x is 1; true would work"),
        ("seeds = 0", "argument --seeds: '0' given; a whole number from 1 on would work"),
        ("levels = true", "argument --levels: expected one argument"),
        ('search = "fast"', "argument --search: invalid choice: 'fast'"),
        ("a = [", "Invalid value"),
    ],
)
def test_a_bad_entry_of_pyproject_is_refused_with_its_place(text: str, expected: str) -> None:
    table(text)
    message = refused()
    assert message.startswith("pyproject.toml: ")
    assert expected in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[tool]\nsmc-harness = 3", "tool.smc-harness is 3; a table [tool.smc-harness] would work"),
        (b"\xff", "can't decode byte 0xff"),
        (b"[tool.smc-harness]\n[tool.smc-harness]", "Cannot declare"),
    ],
)
def test_a_pyproject_that_cannot_be_read_is_refused(content: bytes, expected: str) -> None:
    Path("pyproject.toml").write_bytes(content)
    assert expected in refused()


@pytest.mark.parametrize("content", ["", "tool = 3", "[tool.other]\nlevel = 1"])
def test_a_pyproject_without_our_table_says_nothing(content: str) -> None:
    Path("pyproject.toml").write_text(content)
    assert parsed().levels == "paper"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("--foo", f"{ADDOPTS}: unknown option --foo"),
        ("-k 'x", f"{ADDOPTS}: No closing quotation; quote it as for a shell"),
        ("--seeds many", f"{ADDOPTS}: argument --seeds: 'many' given"),
    ],
)
def test_a_bad_environment_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv(ADDOPTS, value)
    assert refused().startswith(expected)


MARGIN = "a share of dense such as 0.01, or an amount in the metric's unit such as 0.5abs, would work"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--colect", "x"], "unknown option --colect; did you mean '--collect'?"),
        (["--collec=x"], "unknown option --collec=x; did you mean '--collect'?"),
        (["-z"], "unknown option -z"),
        (["--seeds"], "argument --seeds: expected one argument"),
        (["--seeds", "0"], "argument --seeds: '0' given; a whole number from 1 on would work"),
        (["--seeds", "-1"], "argument --seeds: '-1' given; a whole number from 1 on would work"),
        (["--maxfail", "x"], "argument --maxfail: 'x' given; a whole number from 1 on would work"),
        (["-n", "x"], "argument -n: 'x' given; a number of workers, or auto, would work"),
        (["-n", "-1"], "argument -n: '-1' given; a number of workers, or auto, would work"),
        (["--tolerance", "1"], f"argument --tolerance: '1' given; {MARGIN}"),
        (["--tolerance", "nan"], f"argument --tolerance: 'nan' given; {MARGIN}"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_work(words: list[str], expected: str) -> None:
    assert refused(*words) == expected


def test_options_are_not_abbreviated() -> None:
    assert refused("--toleranc", "0.1") == "unknown option --toleranc; did you mean '--tolerance'?"


def test_ids_may_stand_on_both_sides_of_options() -> None:
    options = parsed("a::b[0.5,seed0]", "-v", "c", "--seeds", "2", "d")
    assert (options.ids, options.verbose, options.seeds) == (["a::b[0.5,seed0]", "c", "d"], 1, 2)
    assert parsed("-v", "a").ids == ["a"]
    assert parsed("--collect", "x").ids == []


def test_what_a_parser_does_not_know_yet_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    table('their-option = 1\np = "a"')
    monkeypatch.setenv(ADDOPTS, "--their-option 3")
    options = parse(run_parser(add_help=False), ["--help", "--their-option=1", "-vp", "b"], known_only=True)
    assert options.plugins == ["a", "b"]


def test_levels_are_read_in_order_and_once() -> None:
    assert read_levels("0.5,0.2, 0.5,0") == (0.0, 0.2, 0.5)
    assert read_levels("paper") == PAPER_LEVELS
    assert str(read_levels("-0.0")) == "(0.0,)"


def test_the_grid_of_the_paper_has_ten_levels_in_order() -> None:
    assert len(PAPER_LEVELS) == 10
    assert sorted(PAPER_LEVELS) == list(PAPER_LEVELS)
    # each rung prunes about a fifth of what the one below leaves
    assert all(0.75 <= (1 - high) / (1 - low) <= 0.86 for low, high in pairwise(PAPER_LEVELS))


@pytest.mark.parametrize("text", ["1", "1.0", "-0.1", "50", "nan", "inf", "0.2,1.5"])
def test_a_level_outside_the_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is outside \[0, 1\); a share of the weights such as 0.5 would work"):
        read_levels(text)


@pytest.mark.parametrize("text", ["", "half", "0.2,,0.3", "0.2;0.3", "paper,0.2", "50%"])
def test_a_level_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number; 0.2,0.36 or paper would work"):
        read_levels(text)


def test_the_plugin_manager_knows_every_hook() -> None:
    hook = new_manager().hook
    assert all(hasattr(hook, name) for name in SESSION_HOOKS | TASK_HOOKS | PRUNER_HOOKS)
