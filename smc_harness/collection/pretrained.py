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

_SUFFIXES = (".json", ".txt", ".model")
"""Configuration and tokeniser; the endings of weights are the task's to say."""


def with_pretrained(task: Plugin, options: RunOptions, seed: int, digests: bool = True) -> RunOptions:
    """The options with the place of the task's checkpoint and, unless told not to, the digests of its files.

    Raises UsageError where it is not under --model-dir or its commit is not known.
    """
    wanted = ask(task, "pretrained", options, seed)
    if wanted is None:
        return options
    if not isinstance(wanted, Pretrained):
        raise PluginError(f"{task.name}: pretrained returned {wanted!r}; a Pretrained would work")
    if options.model_dir is None:
        if wanted.url is not None:
            raise UsageError(
                f"{task.name} starts from {wanted.name}, which is on no hub (it is at {wanted.url}): --model-dir DIR "
                f"with {wanted.name} in it would work"
            )
        if wanted.revision is None:
            raise UsageError(
                f"{task.name} starts from {wanted.name}: give its revision (a commit of the hub), or --model-dir DIR, "
                "the folder that holds it"
            )
        files: tuple[tuple[str, str], ...] = ((f"hub:{wanted.name}", wanted.revision),)
        return replace(options, pretrained=wanted, files=(*options.files, *files))
    place = _place(task.name, Path(options.model_dir), wanted)
    read = [place] if place.is_file() else _files(place, wanted.formats)
    files = tuple((f"model:{file.name}", file_digest(file)) for file in read if digests)
    return replace(options, pretrained=Pretrained(str(place), formats=wanted.formats), files=(*options.files, *files))


def _place(task: str, models: Path, wanted: Pretrained) -> Path:
    """Where a checkpoint lies under the folder of models: a file, or a folder named by its hub id or its last part."""
    name, weights = wanted.name, " or ".join(f"*{ending}" for ending in wanted.formats)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(f"{task}: {name!r} leaves --model-dir {models}; a name below it would work")
    offer = f"; it is at {wanted.url}" if wanted.url else ""
    if Path(name).suffix in wanted.formats:
        if not (models / name).is_file():
            raise UsageError(f"{task} starts from {name}: no such file in {models}{offer}")
        return models / name
    tried = list(dict.fromkeys((models / name, models / name.rpartition("/")[2])))
    for folder in tried:
        if (folder / "config.json").is_file():
            if not any(file.suffix in wanted.formats for file in folder.iterdir()):
                raise UsageError(f"{folder}: no {weights}; weights in that format would work")
            return folder
    places = " or ".join(str(folder) for folder in tried)
    raise UsageError(f"{task} starts from {name}: no checkpoint (config.json, {weights}) in {places}{offer}")


def _files(folder: Path, formats: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (*_SUFFIXES, *formats) and file.is_file())
