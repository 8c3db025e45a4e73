"""A pruner's scores of one tensor by itself, without a task."""

from __future__ import annotations

from types import SimpleNamespace

from torch import Tensor, nn

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.relay import implements
from smc_harness.conversation.scoring import compute_scores
from smc_harness.discovery.loading import Locator, Plugin
from smc_harness.errors import PluginError, UsageError


class Scorer:
    """Asks a pruner as a session does: what it must not do is found here, too.

    turned: names of matrices that are [inputs, outputs], to be told. wide: whether scores are brought to float64, since
    those of all tensors have to be of one kind. Raises UsageError for a pruner that needs more than a tensor's own
    values.
    """

    def __init__(self, pruner: Plugin, wide: bool = False) -> None:
        local = bool(pruner.declared("local", False)) and implements(pruner, "compute_scores")
        if not local or implements(pruner, "apply_mask"):
            raise UsageError(
                f"{pruner.name}: its scores need more than a tensor's own values; one that declares "
                "`local` would work, or --calibrate TASK for one that goes block by block"
            )
        nothing = Plugin("task", "checkpoint", SimpleNamespace(), Locator("task", "checkpoint", "smc-harness prune"))
        self.talk = Conversation(nothing, pruner, [], RunOptions(), 0)
        self.name, self.structure, self.turned = pruner.name, pruner.structure, frozenset[str]()
        self.wide = wide

    def __call__(self, name: str, weight: Tensor) -> Tensor:
        """The scores of a tensor, of its shape."""
        model = _holding(name, weight)
        self.talk.adopt(model, [name])
        scores = compute_scores(self.talk, model, name)
        if scores is None:
            raise PluginError(f"{self.talk.pruner.name}: compute_scores returned None; scores would work")
        return scores[name].double() if self.wide else scores[name]


def _holding(name: str, weight: Tensor) -> nn.Module:
    """A module with one parameter of this name."""
    *path, last = name.split(".")
    model = inner = nn.Module()
    for part in path:
        inner.add_module(part, nn.Module())
        inner = inner.get_submodule(part)
    inner.register_parameter(last, nn.Parameter(weight, requires_grad=False))
    return model
