"""A device that is not the CPU, on a machine that has no other: tensors that say so, and compute on the CPU.

What mixes them with tensors of the CPU is refused as a GPU refuses it. torch calls the device `meta`, the only one
beside the CPU that every build knows, and whose gradients need no driver; but here the tensors hold values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")
_COPYING = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
_MAKING = (torch.tensor, torch.as_tensor, torch.scalar_tensor)


class Elsewhere(Tensor):
    """held: its values, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.held = held
        return made

    def __init__(self, held: Tensor) -> None: ...

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def, override]
        return _compute(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Elsewhere({self.held!r})"


class _Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what has no tensor among its arguments, such as torch.zeros(3, device=...), as well."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return _compute(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """What torch does to values without dispatching it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        named = dict(kwargs or {})
        if func in _MAKING and named.get("device") is not None:
            return func(*args, **{k: v for k, v in named.items() if k != "device"}).to(named["device"])
        if args and isinstance(args[0], Elsewhere):
            if func is Tensor.__getitem__ and isinstance(args[1], list):
                return args[0][torch.tensor(args[1])]  # torch would make a tensor without values of the list
            if func is Tensor.tolist:
                return args[0].held.tolist()
            if func in (Tensor.numpy, Tensor.__array__):
                raise TypeError("numpy() of a tensor that is not on the CPU; tensor.cpu().numpy() would work")
        return func(*args, **named)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Computing with tensors of another device, which is given."""
    with _Functions(), _Dispatch():  # type: ignore[no-untyped-call]
        yield DEVICE


def move(model: nn.Module) -> None:
    """Put a model there; a tied parameter stays tied."""
    moved: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                there = moved.setdefault(id(parameter), nn.Parameter(Elsewhere(parameter.detach())))
                module._parameters[name] = there
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = Elsewhere(buffer.detach())


def values(tensor: Tensor) -> Tensor:
    """On the CPU."""
    return tensor.held if isinstance(tensor, Elsewhere) else tensor


def _compute(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    flat, form = tree_flatten((args, dict(kwargs)))
    tensors = [item for item in flat if isinstance(item, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    asked = kwargs.get("device")
    goes = any(there) if asked is None else torch.device(asked).type == DEVICE.type
    if func in (torch.ops.aten.copy_.default, torch.ops.aten.index.Tensor):  # places may be on the CPU, as on a GPU
        goes = isinstance(args[0], Elsewhere)
    elif func not in _COPYING and goes and not all(t or x.dim() == 0 for t, x in zip(there, tensors, strict=True)):
        raise RuntimeError("tensors of the CPU and of another device are mixed; .to(parameter.device) would work")
    if goes and kwargs.get("generator") is not None:
        raise RuntimeError(
            "a generator of the CPU cannot draw on another device; drawing on the CPU, then .to(parameter.device), "
            "would work"
        )
    here = [values(item) if isinstance(item, Tensor) else _at_home(item) for item in flat]
    here_args, here_kwargs = tree_unflatten(here, form)
    result = func(*here_args, **here_kwargs)
    if not goes:
        return result
    # an operation in place returns the tensor that it was given
    known = {id(item.held): item for item in flat if isinstance(item, Elsewhere)}
    return tree_map(lambda item: _back(item, known), result)


def _at_home(item: Any) -> Any:
    return torch.device("cpu") if isinstance(item, torch.device) else item


def _back(item: Any, known: Mapping[int, Elsewhere]) -> Any:
    if not isinstance(item, Tensor):
        return item
    return known[id(item)] if id(item) in known else Elsewhere(item)
