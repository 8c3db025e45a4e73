"""What of a task's data and weights is on this machine. Nothing is fetched or read for it."""

from __future__ import annotations

from pathlib import Path

from smc_harness.collection.data_files import ask, required_files
from smc_harness.collection.pretrained import with_pretrained
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.pretrained import Pretrained
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import UsageError

CACHED, ON_HUB, HERE = "in the hub's cache", "on the hub", "here"


def data(task: Plugin, options: RunOptions) -> str:
    """`here`, `missing FILE`, `needs --data-dir`, `in the hub's cache`, `on the hub`, or `built in`."""
    names = required_files(task, options, seed=0)
    if names and options.data_dir is None:
        return "needs --data-dir"
    if names:
        folder = Path(str(options.data_dir))
        missing = [name for name in names if not (folder / name).is_file()]
        return f"missing {missing[0]}" if missing else HERE
    datasets = [Pretrained(*text.split("@", 1)) for text in task.declared("hub", ())]
    if not datasets:
        return "built in"
    return CACHED if all(_is_cached("datasets", dataset) for dataset in datasets) else ON_HUB


def weights(task: Plugin, options: RunOptions) -> str:
    """`here`, `missing NAME`, `needs --model-dir`, `in the hub's cache`, `on the hub`, or `from scratch`."""
    wanted = ask(task, "pretrained", options, seed=0)
    if not isinstance(wanted, Pretrained):
        return "from scratch"
    if options.model_dir is not None:
        try:
            with_pretrained(task, options, seed=0, digests=False)
        except UsageError:
            return f"missing {wanted.name}"
        return HERE
    if wanted.url is not None:
        return "needs --model-dir"
    return CACHED if _is_cached("models", wanted) else ON_HUB


def _is_cached(kind: str, wanted: Pretrained) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"{kind}--{wanted.name.replace('/', '--')}" / "snapshots" / str(wanted.revision)
    return folder.is_dir()
