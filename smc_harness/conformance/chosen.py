"""What a pruner chooses in a process of its own: on the CPU, and on another device, of which this one may die."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from smc_harness.conformance import elsewhere
from smc_harness.conformance.apart import HERE, THERE
from smc_harness.conformance.check import NotApplicableError, told
from smc_harness.conformance.subject import Mask, PrunerSubject
from smc_harness.conversation.device import repeatable
from smc_harness.discovery.loading import Locator

GPU = torch.device("cuda")


def answer(question: str, folder: Path) -> dict[str, Any]:
    """What `Apart` holds beside the masks, which are written into the folder, each as soon as it is there.

    question: a locator and settings, as JSON.
    """
    asked = json.loads(question)
    subject = PrunerSubject(Locator(**asked["locator"]), asked["settings"])
    try:
        _keep(subject.mask(*subject.talk(), subject.level()), folder / HERE)
        found, said = _on_gpu(subject) if torch.cuda.is_available() else _on_stand_in(subject)
        _keep(found, folder / THERE)
    except NotApplicableError as error:
        return {"skipped": str(error)}
    except (Exception, SystemExit) as error:
        return {"fault": told(error, subject)}
    return said


def _keep(mask: Mask, file: Path) -> None:
    save_file({name: kept.cpu().clone(memory_format=torch.contiguous_format) for name, kept in mask.items()}, file)


def _on_stand_in(subject: PrunerSubject) -> tuple[Mask, dict[str, Any]]:
    talk, model = subject.talk()
    elsewhere.move(model)
    try:
        with elsewhere.elsewhere() as talk.device:
            found = subject.mask(talk, model, subject.level())
    except Exception as error:
        if elsewhere.is_of_the_stand_in(error):
            why = told(error, subject).removeprefix("StandInError: ")
            raise NotApplicableError(f"cannot be told here: {why}; a GPU would tell") from error
        raise
    return {name: elsewhere.values(kept) for name, kept in found.items()}, {"exact": True, "drawn": False}


def _on_gpu(subject: PrunerSubject) -> tuple[Mask, dict[str, Any]]:
    talk, model = subject.talk()
    talk.device = GPU
    with repeatable(GPU.type), DrawsOn(GPU.type) as draws:
        found = subject.mask(talk, model.to(GPU), subject.level())
    return found, {"exact": False, "drawn": draws.any}


class DrawsOn(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """any: whether random numbers were drawn on a device of that type."""

    def __init__(self, kind: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.any = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.any |= any(tensor.device.type == self.kind for tensor in tree_leaves(result))
        return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    file = Path(sys.argv[2])
    file.write_text(json.dumps(answer(sys.argv[1], file.parent)), encoding="utf-8")
