"""The relay of one task and one pruner under the session plugins. Torch is not imported."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from smc_harness import hookspecs
from smc_harness.conversation import defaults
from smc_harness.discovery.loading import Plugin
from smc_harness.discovery.rules import implementations


def relay(task: Plugin, pruner: Plugin | None, listeners: Sequence[Plugin] = ()) -> pluggy.HookRelay:
    """Hooks that ask the pruner or the task first and the harness's defaults last; session plugins wrap them."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(defaults, "defaults")
    manager.register(task.hooks, f"task {task.name}")
    if pruner is not None:
        manager.register(pruner.hooks, f"pruner {pruner.name}")
    for listener in listeners:
        manager.register(listener.hooks, f"session {listener.name}")
    return manager.hook


def implements(plugin: Plugin | None, hook: str) -> bool:
    """Whether the plugin itself answers a hook."""
    return plugin is not None and hook in plugin.implemented


def wraps(listener: Plugin) -> bool:
    """Whether a session plugin wraps a hook of tasks or pruners."""
    return any(hook not in hookspecs.SESSION_HOOKS for _, hook, _, _ in implementations(listener.hooks))
