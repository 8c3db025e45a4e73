"""The checkpoint that a task starts from: under --model-dir where that is given, else by hub id and commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smc_harness.collection.data_files import ask
from smc_harness.conversation.options import RunOptions
from smc_harness.declarations.pretrained import Pretrained
from smc_harness.discovery.loading import Plugin
from smc_harness.errors import PluginError, UsageError
from smc_harness.store.identity import file_digest

_SUFFIXES = (".json", ".safetensors", ".txt", ".model")
"""Weights, configuration, tokeniser. Pickled weights are never read."""


def with_pretrained(task: Plugin, options: RunOptions, seed: int, digests: bool = True) -> RunOptions:
    """The options with the place of the task's checkpoint and, unless told not to, the digests of its files.

    Raises UsageError where it is not under --model-dir or its commit is not known.
    """
    wanted = ask(task, "pretrained", options, seed)
    if wanted is None:
        return options
    if not isinstance(wanted, Pretrained):
        raise PluginError(f"{task.name}: pretrained returned {wanted!r}; a Pretrained would work")
    if wanted.url is not None:
        file = _file(task.name, options.model_dir, wanted)
        found = ((f"model:{file.name}", file_digest(file)),) if digests else ()
        return replace(options, pretrained=Pretrained(str(file)), files=(*options.files, *found))
    if options.model_dir is None:
        if wanted.revision is None:
            raise UsageError(
                f"{task.name} starts from {wanted.name}: give its revision (a commit of the hub), or --model-dir DIR, "
                "the folder that holds it"
            )
        files: tuple[tuple[str, str], ...] = ((f"hub:{wanted.name}", wanted.revision),)
        return replace(options, pretrained=wanted, files=(*options.files, *files))
    folder = _folder(task.name, Path(options.model_dir), wanted.name)
    files = tuple((f"model:{file.name}", file_digest(file)) for file in _files(folder) if digests)
    return replace(options, pretrained=Pretrained(str(folder)), files=(*options.files, *files))


def _file(task: str, model_dir: str | None, wanted: Pretrained) -> Path:
    """The file under the folder of models, for weights that are on no hub."""
    if model_dir is None:
        raise UsageError(
            f"{task} starts from {wanted.name}, which is on no hub: --model-dir DIR, with what {wanted.url} offers in "
            "it, would work"
        )
    file = Path(model_dir) / _inside(task, Path(model_dir), wanted.name)
    if not file.is_file():
        raise UsageError(f"{task} starts from {wanted.name}: no such file in {model_dir}; {wanted.url} offers it")
    return file


def _inside(task: str, models: Path, name: str) -> str:
    """The name, if it stays below the folder of models."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(f"{task}: {name!r} leaves --model-dir {models}; a name below it would work")
    return name


def _folder(task: str, models: Path, name: str) -> Path:
    """Where a checkpoint lies under the folder of models: under its whole hub id, or the last part of it."""
    _inside(task, models, name)
    tried = list(dict.fromkeys((models / name, models / name.rpartition("/")[2])))
    for folder in tried:
        if (folder / "config.json").is_file():
            if not any(folder.glob("*.safetensors")):
                raise UsageError(f"{folder}: no *.safetensors; weights in that format would work")
            return folder
    places = " or ".join(str(folder) for folder in tried)
    raise UsageError(f"{task} starts from {name}: no checkpoint (config.json, *.safetensors) in {places}")


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
