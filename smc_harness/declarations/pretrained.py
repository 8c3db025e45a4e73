"""The checkpoint that a task starts from. Declarations only: nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights with their configuration and tokeniser, in the format of transformers.

    name: as a task declares it, a hub id (`FacebookAI/roberta-base`); as `context.pretrained` holds it, what
    `from_pretrained` takes: that id, or the folder found under --model-dir. revision: the hub's commit, so that a
    result always means the same weights; None in a folder, whose content is known.
    url: for weights that are on no hub, where people download them: one file, in a format that the task reads itself;
    `name` is then that of the file under --model-dir, and `context.pretrained.name` its path.
    """

    name: str
    revision: str | None = None
    url: str | None = None
