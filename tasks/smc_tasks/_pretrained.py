"""Loading checkpoints of transformers: what is missing is one line, and nothing is made up that should be there."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from smc_harness.errors import UsageError, one_line

if TYPE_CHECKING:
    from smc_harness import Pretrained, TaskContext


def load(kind: Any, context: TaskContext, fresh: Sequence[str] = (), **arguments: Any) -> Any:
    """`kind.from_pretrained` of the task's checkpoint.

    kind: a class of transformers for a model, a configuration or a tokeniser. fresh: globs over the names of
    parameters that the checkpoint need not have.
    Raises UsageError where there is no such checkpoint, it cannot be had, or it lacks a parameter.
    """
    place = context.pretrained
    if place is None:
        raise UsageError(f"{context.name}: no checkpoint was declared")
    is_model = "Model" in kind.__name__
    if is_model:
        pickled = ".bin" in place.formats  # then taken where there are no safetensors, and unpickled as weights only
        arguments |= {"output_loading_info": True, "use_safetensors": None if pickled else True}
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    # what a checkpoint lacks is said below, what it has beside that does not matter
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    # nobody sees a worker's, and its semaphore would outlive the worker
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        found = kind.from_pretrained(place.name, revision=place.revision or "main", **arguments)
    except OSError as error:
        raise _missing(place, error) from error
    except Exception as error:  # a torn file raises nearly anything
        reason = one_line(error).split(". ")[0]
        raise UsageError(
            f"{place.name}: cannot be read as {kind.__name__} ({reason}); a whole checkpoint of one would work"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    if not is_model:
        return found
    model, information = found
    lacking = [name for name in sorted(information["missing_keys"]) if not _matches(name, fresh)]
    if lacking:
        raise UsageError(
            f"{context.name}: {place.name} lacks {lacking[0]!r}"
            + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else "")
            + f"; a checkpoint of a {type(model).__name__} would work"
        )
    return model


def checkpointed(model: Any, context: TaskContext) -> Any:
    """A model of transformers, which recomputes activations in its backward pass where `gradient_checkpointing` is set.

    Dropout falls as in the forward pass, so that nothing changes but memory and time. Only in training mode: a pruner
    that scores in eval mode, and may want second derivatives, sees an ordinary model.
    """
    if context.params.gradient_checkpointing:
        # transformers 5 renamed it; reentrant checkpoints cannot serve `autograd.grad`
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        enable = next(getattr(model, name) for name in names if hasattr(model, name))
        enable({"use_reentrant": False})
    return model


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _missing(place: Pretrained, error: OSError) -> UsageError:
    if place.revision is None:
        return UsageError(f"{place.name}: {str(error).splitlines()[0]}")
    return UsageError(
        f"{place.name} at {place.revision[:7]} is neither in the cache of transformers nor on a hub that can be "
        f"reached; --model-dir DIR with a folder {place.name.rpartition('/')[2]} in it would work"
    )
