"""`smc-harness [run]`: the session plugins are loaded, then the session is run."""

from __future__ import annotations

from collections.abc import Sequence

from smc_harness.cli.options import run_parser
from smc_harness.cli.sessions import load_session_plugins
from smc_harness.config import Config, new_manager, parse
from smc_harness.errors import ExitCode


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code. Raises UsageError."""
    parser = run_parser()
    manager = new_manager()
    listeners, problems = load_session_plugins(manager, arguments)
    manager.hook.addoption(parser=parser)
    config = Config(parse(parser, arguments), manager)
    config.stash["listeners"] = listeners
    config.stash["problems"] = problems
    manager.hook.configure(config=config)
    if config.options.collect_only:
        return _collect_only(config)
    from smc_harness.session import run

    return run(config, ["smc-harness", *arguments])


def _collect_only(config: Config) -> int:
    from smc_harness.collection.collect import collect
    from smc_harness.report.collected import show

    collection = collect(config, None)
    show(collection, config)
    if config.options.strict_plugins and collection.catalogue.problems:
        return ExitCode.PLUGIN
    return ExitCode.DONE if collection.cells else ExitCode.NOTHING
