"""The part of a run's options that can change a number."""

from __future__ import annotations

from dataclasses import dataclass

from smc_harness.declarations.pretrained import Pretrained
from smc_harness.store.identity import digest

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class RunOptions:
    """What a worker must know about the run, beside the plugins.

    files: (path under data_dir, content digest) of every data file that the task declared, and of its checkpoint's.
    model_dir: --model-dir. pretrained: the place of the task's checkpoint.
    wrappers: identities of the session plugins that wrap hooks of tasks and pruners, since they can change numbers.
    threads: intra-op threads of every stage; one, unless --threads says otherwise.
    device: `cpu`, `cuda` or `mps`; which GPU of several is the worker's affair. precision: one of PRECISIONS.
    evaluate_in: the same, of the evaluations that are reported; None: the precision of all else.
    """

    session_seed: int = 0
    scope: str = "paper"
    limit: int | None = None
    data_dir: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    model_dir: str | None = None
    pretrained: Pretrained | None = None
    threads: int = 1
    device: str = "cpu"
    precision: str = "float32"
    evaluate_in: str | None = None
    wrappers: tuple[str, ...] = ()

    @property
    def evaluated_apart(self) -> str | None:
        """The precision of reported evaluations, where it is not that of the training."""
        return self.evaluate_in if self.evaluate_in != self.precision else None

    def data_identity(self) -> str:
        """Digest of the files and of how many examples are scored; paths do not enter."""
        return digest(self.files, self.limit)
