"""The data files that tasks declare: present, or one clear line; digested, so that edited data is seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smc_harness.conversation.context import TaskContext
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import relay
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import HarnessError, PluginError, UsageError, one_line
from smc_harness.store.identity import file_digest


def with_files(task: Plugin, options: RunOptions, seed: int) -> RunOptions:
    """The options with the digests of what the task reads. Raises UsageError naming what is missing."""
    names = required_files(task, options, seed)
    if not names:
        return options
    if options.data_dir is None:
        raise UsageError(f"{task.name} reads {names[0]} and needs --data-dir DIR, the folder that holds it")
    folder = Path(options.data_dir)
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(os.path.normpath(name)).parts]:
        raise UsageError(f"{task.name} reads {outside[0]}; a path that stays within --data-dir would work")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise UsageError(f"--data-dir {folder}: {task.name} needs {', '.join(missing)}: not there")
    return replace(options, files=tuple((name, file_digest(folder / name)) for name in names))


def required_files(task: Plugin, options: RunOptions, seed: int) -> list[str]:
    """What the task reads under --data-dir, for one seed. Raises HarnessError."""
    names = ask(task, "data_files", options, seed) or ()
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise PluginError(f"{task.name}: data_files returned {names!r}; a list of paths under --data-dir would work")
    return list(names)


def ask(task: Plugin, hook: str, options: RunOptions, seed: int) -> Any:
    """What a hook of the task that runs before there is any data returns. Raises HarnessError."""
    context = TaskContext(
        name=task.name,
        params=task.params,
        seed=seed,
        session_seed=options.session_seed,
        training=task.training,
        data_dir=Path(options.data_dir) if options.data_dir else None,
    )
    try:
        return getattr(relay(task, None), hook)(context=context)
    except HarnessError:
        raise
    except Exception as error:
        raise PluginError(f"{task.name}: {hook} failed: {one_line(error)}") from error
