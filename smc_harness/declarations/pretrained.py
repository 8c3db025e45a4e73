"""The checkpoint that a task starts from. Declarations only: nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights with their configuration and tokeniser, in the format of transformers.

    name: as a task declares it, a hub id (`FacebookAI/roberta-base`), or a file's name with one of the endings in
    `formats`, which the task reads itself; as `context.pretrained` holds it, what `from_pretrained` takes, that id or
    the folder found under --model-dir, or the file's path. revision: the hub's commit, so that a result always means
    the same weights; None where the content is known. formats: endings of the files with weights that the task reads,
    the preferred one first; what is pickled (`.bin`, `.pt`) torch reads as weights only, so that no code in it runs.
    url: where it is published, for one that is on no hub and so needs --model-dir.
    """

    name: str
    revision: str | None = None
    formats: tuple[str, ...] = (".safetensors",)
    url: str | None = None
