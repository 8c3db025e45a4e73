"""A device beside the CPU, for machines that have none: computes like the CPU, but refuses tensors that are not on it.

Tensors of the CPU are wrapped so that they say `lazy` for their device, and every torch operation is watched. An
operation on tensors of both devices fails as it would with a GPU; `.to(device)` moves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

ELSEWHERE = torch.device("lazy")
aten = torch.ops.aten
_COPIES = {aten.copy_.default, aten._to_copy.default}
_INDEXING = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
"""These take indices and masks from the CPU on a GPU, too."""


class Elsewhere(Tensor):
    """inner: what it holds, on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=ELSEWHERE,
        )
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], context: None, size: Any, stride: Any) -> Elsewhere:
        return Elsewhere(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    tensors = [item for item in tree_flatten((args, kwargs))[0] if isinstance(item, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    asked = kwargs.get("device")
    if there and func not in _COPIES:
        first = tensors[:1] if func in _INDEXING else tensors
        if any(not isinstance(tensor, Elsewhere) and tensor.dim() for tensor in first):
            raise RuntimeError(f"{func}: tensors on two devices")
    goes = bool(there) if asked is None else torch.device(asked) == ELSEWHERE
    if func is aten.copy_.default:
        goes = isinstance(args[0], Elsewhere)
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    plain_args, plain_kwargs = tree_map_only(Elsewhere, lambda tensor: tensor.inner, (args, kwargs))
    found = func(*plain_args, **plain_kwargs)
    if not goes:
        return found
    # what works in place hands back the tensor that it was given
    same = {id(tensor.inner): tensor for tensor in there}
    return tree_map_only(Tensor, lambda tensor: same[id(tensor)] if id(tensor) in same else Elsewhere(tensor), found)


class _Watch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def watched() -> Iterator[None]:
    """Within this context, `lazy` is a device that computes.

    Views of wrapped tensors cannot be made in inference mode; without gradients they can. `torch.tensor` makes its
    tensor where no mode sees it.
    """
    made = torch.tensor

    def tensor(data: Any, *, device: Any = None, **arguments: Any) -> Tensor:
        return made(data, **arguments).to(device)

    with _Watch(), patch("torch.inference_mode", torch.no_grad), patch("torch.tensor", tensor):
        yield
