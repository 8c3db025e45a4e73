"""Checks of what a pruner leaves behind: on the model, in the process, on the disk, in the network.

The harness puts most of it right after every hook. A plugin that needs that is wrong everywhere else, and slow here.
"""

from __future__ import annotations

from smc_harness.conformance.check import Check, Fault, NotApplicableError
from smc_harness.conformance.subject import PrunerSubject


def _nothing(subject: PrunerSubject, kind: str) -> None:
    if found := subject.overheard.observer.found.get(kind):
        raise Fault(found[0])


def network(subject: PrunerSubject) -> None:
    """It asks nothing of the network: what it needs is declared, and read from files."""
    if asked := subject.overheard.seen.connections:
        raise Fault(f"it asks the network for {asked[0]}; a file, named by a parameter and by `files`, would work")
    if started := subject.overheard.seen.programs:
        raise NotApplicableError(f"it starts the program {started[0]!r}, whose connections are not seen here")


def working_directory(subject: PrunerSubject) -> None:
    """It writes nothing into the working directory."""
    if written := subject.overheard.seen.files:
        raise Fault(f"it writes {written[0]!r} into the working directory; context.log, or context.state, would work")


def weights(subject: PrunerSubject) -> None:
    """Scoring, and updating the mask, leave every parameter and buffer as they found it, to the bit."""
    _nothing(subject, "weights")


def split(subject: PrunerSubject) -> None:
    """It looks at training or validation examples alone, never at those that it is judged by."""
    if "test" in subject.overheard.observer.splits:
        raise Fault("it asks for examples of the split 'test', by which it is judged; 'train' would work")


def dtype(subject: PrunerSubject) -> None:
    """No hook changes a parameter's or buffer's dtype, device or shape, removes it, or adds one."""
    _nothing(subject, "dtype")


def mode(subject: PrunerSubject) -> None:
    """Every module is in the mode, training or eval, in which the hook found it."""
    _nothing(subject, "mode")


def hooks(subject: PrunerSubject) -> None:
    """No hook of torch stays registered on a module, a parameter or all modules, and no forward() is replaced."""
    _nothing(subject, "hooks")


def random_state(subject: PrunerSubject) -> None:
    """The global random generators of torch, numpy and Python are neither drawn from nor seeded."""
    _nothing(subject, "random")


def settings(subject: PrunerSubject) -> None:
    """The settings of torch and numpy, the environment, sys.path and the working directory stay as they were."""
    _nothing(subject, "settings")


NETWORK = Check("network", network, ("plan",))
CHECKS = tuple(
    Check(name, run, ("network",))
    for name, run in {
        "working-directory": working_directory,
        "split": split,
        "weights": weights,
        "dtype": dtype,
        "mode": mode,
        "hooks": hooks,
        "random-state": random_state,
        "settings": settings,
    }.items()
)
