"""`smc-harness [run]`: the session plugins are loaded, then the session is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from smc_harness.cli import COMMANDS
from smc_harness.cli.options import run_parser
from smc_harness.cli.sessions import load_session_plugins
from smc_harness.config import Config, Parser, new_manager, parse
from smc_harness.discovery.catalogue import Catalogue, discover
from smc_harness.discovery.handed import hand_over
from smc_harness.errors import ExitCode, PluginError, UsageError, one_line
from smc_harness.report.files import takes_stdout


def parser() -> Parser:
    """The parser of `smc-harness run`, with the options of our own reports."""
    manager, found = new_manager(), run_parser()
    load_session_plugins(manager, Catalogue(), [])
    manager.hook.addoption(parser=found)
    return found


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    config = configured(arguments)
    # where a program reads standard output, whatever else is printed, by whomever, goes to standard error
    with redirect_stdout(sys.stderr if takes_stdout(config.options) else sys.stdout):
        config.hook.configure(config=config)
        if config.options.collect_only:
            return _collect_only(config)
        if config.options.dry_run:
            return _dry_run(config)
        from smc_harness.session import run

        return run(config, ["smc-harness", *arguments]).code


def configured(arguments: Sequence[str], handed: Sequence[Any] = ()) -> Config:
    """The settled options, session plugins that add some included. Raises UsageError.

    handed: plugins as objects, beside those that are found; see `hand_over`.
    """
    early = parse(run_parser(add_help=False), arguments, known_only=True)
    catalogue = discover([Path(path) for path in early.collect])
    for item in handed:
        hand_over(catalogue, item)
    manager = new_manager()
    listeners = load_session_plugins(manager, catalogue, early.plugins)
    parser = run_parser()
    try:
        manager.hook.addoption(parser=parser)
    except Exception as error:
        raise PluginError(
            f"addoption() of a session plugin failed: {one_line(error)}; -p no:NAME leaves it out"
        ) from error
    config = Config(parse(parser, arguments), manager)
    if misplaced := [word for word in config.options.ids if word in COMMANDS]:
        raise UsageError(f"{misplaced[0]}: a subcommand is the first word, as in smc-harness {misplaced[0]}")
    config.stash |= {"catalogue": catalogue, "listeners": listeners, "stdout": sys.stdout}
    return config


def _collect_only(config: Config) -> int:
    from smc_harness.collection.collect import collect
    from smc_harness.report.collected import show

    collection = collect(config)
    show(collection, config)
    if config.options.strict_plugins and collection.catalogue.problems:
        return ExitCode.PLUGIN
    return ExitCode.DONE if collection.cells else ExitCode.NOTHING


def _dry_run(config: Config) -> int:
    """Say what a run would compute. Nothing is computed, and no store is made."""
    from smc_harness.collection.collect import collect
    from smc_harness.execution.forecast import forecast
    from smc_harness.report.planned import show
    from smc_harness.session import Session, cannot_start, plan
    from smc_harness.store.results import FILE, Results

    session = Session(config, collect(config), Path(config.options.store))
    if (stop := cannot_start(session)) is not None:
        return stop
    tracks = plan(session)
    there = (session.store / FILE).is_file() and not config.options.cache_clear
    with closing(Results(session.store)) if there else nullcontext() as results:
        show(forecast(tracks, results), config)
    return ExitCode.DONE
