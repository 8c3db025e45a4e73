"""What of a plugin loads torch, found out in a process of its own.

It must not import torch itself, as the modules of the checks do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from smc_harness.conformance import example
from smc_harness.conversation.context import PrunerContext, TaskContext
from smc_harness.conversation.relay import relay
from smc_harness.discovery.loading import Locator, Plugin, load


def answer(question: str) -> str:
    """`import`, the name of a hook, or `nothing`. question: a locator and settings, as JSON."""
    asked = json.loads(question)
    plugin = load(Locator(**asked["locator"]), asked["settings"])
    if "torch" in sys.modules:
        return "import"
    return _by_plans(plugin) if plugin.kind == "pruner" else _by_declarations(plugin)


def _by_plans(pruner: Plugin) -> str:
    if pruner.lacking:
        return "nothing"
    where = Locator("task", example.name, "conformance kit", module=example.__name__)
    hook = relay(load(where), pruner)
    for level in pruner.levels or (0.5,):
        context = PrunerContext(pruner.name, pruner.params, 0, 0, example.name, structure=pruner.structure)
        hook.plan(level=level, context=context)
    return "plan" if "torch" in sys.modules else "nothing"


def _by_declarations(task: Plugin) -> str:
    hook, context = relay(task, None), TaskContext(task.name, task.params, 0, 0, task.training)
    for name in ("data_files", "pretrained"):
        getattr(hook, name)(context=context)
        if "torch" in sys.modules:
            return name
    return "nothing"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(answer(sys.argv[1]), encoding="utf-8")
