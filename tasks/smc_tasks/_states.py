"""A language model's head costs as much as several layers, and is asked of few places. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def states_only_at(model: Any, places: Tensor) -> Iterator[None]:
    """The head meanwhile sees the last states of these places alone, as one row of [1, places, width].

    places: bool [rows, tokens].
    """

    def chosen(module: nn.Module, given: object, states: Any) -> Any:
        states.last_hidden_state = states.last_hidden_state[places].unsqueeze(0)
        return states

    hook = model.base_model.register_forward_hook(chosen)
    try:
        yield
    finally:
        hook.remove()
