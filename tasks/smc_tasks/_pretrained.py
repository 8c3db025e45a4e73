"""Loading checkpoints of transformers: what is missing is one line, and nothing is fetched that was not named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError

if TYPE_CHECKING:
    from smc_harness import TaskContext


def load(kind: Any, context: TaskContext, **arguments: Any) -> Any:
    """`kind.from_pretrained` of the task's checkpoint. Raises UsageError where it cannot be had.

    kind: a class of transformers, for a model or a tokeniser.
    """
    place = context.pretrained
    if place is None:
        raise UsageError(f"{context.name}: no checkpoint was declared")
    try:
        return kind.from_pretrained(place.name, revision=place.revision or "main", **arguments)
    except OSError as error:
        if place.revision is None:
            raise UsageError(f"{place.name}: {str(error).splitlines()[0]}") from error
        last = place.name.rpartition("/")[2]
        raise UsageError(
            f"{place.name} at {place.revision[:7]} is neither in the cache of transformers nor on a hub that can be "
            f"reached; --model-dir DIR with a folder {last} in it would work"
        ) from error
