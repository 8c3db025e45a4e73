"""Which matrices of a checkpoint are [inputs, outputs]: its configuration knows, by the model that is made of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from smc_harness.errors import UsageError, one_line
from smc_harness.sparsity import scope


def turned(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Of the names of a checkpoint. A model is laid out for it that has no weights. Raises UsageError without a
    configuration.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder)
        causal = type(config) in AutoModelForCausalLM._model_mapping
        with torch.device("meta"):
            model = (AutoModelForCausalLM if causal else AutoModel).from_config(config)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{folder}: what is pruned by rows has to know the model ({one_line(error)}); a config.json of a model of "
            "transformers, or allocation=uniform, would work"
        ) from error
    found = scope.turned(model, [name for name, _ in model.named_parameters()])
    # a checkpoint may have been saved without the head's prefix
    return frozenset(name for name in names if any(f".{other}".endswith(f".{name}") for other in found))
