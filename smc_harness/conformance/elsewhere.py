"""A device that is not the CPU, on a machine that has no other: tensors that say so, and compute on the CPU.

What mixes them with tensors of the CPU is refused as a GPU refuses it. torch calls the device `meta`, the only one
beside the CPU that every build knows, and whose gradients need no driver; but here the tensors hold values. Not all of
torch works with such tensors: what does not raises `StandInError` where it can be foreseen, and may break down where
not, so a plugin is run with them in a process of its own.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

DEVICE = torch.device("meta")
_MAKING = (torch.tensor, torch.as_tensor, torch.scalar_tensor)
_INDEXING = tuple(
    getattr(torch.ops.aten, name)
    for name in ("index", "index_put", "index_put_", "_unsafe_index", "_unsafe_index_put", "_index_put_impl_")
)
"""Their second argument, the places, may be on the CPU where the first one is elsewhere."""
_OF_THE_STAND_IN = re.compile(r"\bmeta\b|not allocated|have storage", re.IGNORECASE)
"""What torch says of tensors that only claim to be elsewhere, and never of those on a GPU."""


class StandInError(RuntimeError):
    """What a GPU does and the device here cannot."""


def is_of_the_stand_in(error: BaseException) -> bool:
    """Whether an error comes from the device here, and not from what was asked of it."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        isinstance(error, StandInError)
        or _OF_THE_STAND_IN.search(str(error)) is not None
        or any("_functorch" in frame.filename for frame in frames)
    )


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


_drawing: list[bool] = []
"""Of the calls under way, whether each one draws with a generator of the device; torch dispatches a copy of it."""


class _Functions(TorchFunctionMode):
    """What torch does to values without dispatching it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        named = dict(kwargs or {})
        if named.get("is_grads_batched") or torch._C._functorch.peek_interpreter_stack() is not None:
            raise StandInError("torch.func, torch.vmap and batched gradients ask for tensors that are what they claim")
        if func in _MAKING and named.get("device") is not None:
            return func(*args, **{k: v for k, v in named.items() if k != "device"}).to(named["device"])
        if args and isinstance(args[0], Elsewhere):
            if func in (Tensor.__getitem__, Tensor.__setitem__):
                args = (args[0], _places(args[1]), *args[2:])
            if func is Tensor.tolist:
                return args[0].held.tolist()
            if func in (Tensor.numpy, Tensor.__array__):
                raise TypeError("numpy() of a tensor that is not on the CPU; tensor.cpu().numpy() would work")
        _drawing.append(getattr(named.get("generator"), "device", None) == DEVICE)
        try:
            return func(*args, **named)
        finally:
            _drawing.pop()


def _places(index: Any) -> Any:
    """The same as tensors: of lists and arrays torch would make tensors without values."""
    if isinstance(index, tuple):
        return tuple(map(_places, index))
    if isinstance(index, list | numpy.ndarray):
        return torch.as_tensor(index) if len(index) else torch.empty(0, dtype=torch.long)
    return index


class Generator(torch.Generator):
    """What `torch.Generator` is in the meantime; one of the device draws there what one of the CPU draws here."""

    device = torch.device("cpu")

    def __new__(cls, device: torch.device | str = "cpu") -> Generator:
        made = super().__new__(cls)
        made.device = torch.device(device)
        return made


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Computing with tensors of another device, which is given."""
    autocast = torch.autocast.__init__

    def refusing(self: torch.autocast, device_type: str, *args: Any, **named: Any) -> None:
        if device_type == DEVICE.type:
            raise StandInError("autocast would compute in another precision there")
        autocast(self, device_type, *args, **named)

    with (
        mock.patch.object(torch, "Generator", Generator),
        mock.patch.object(torch.autocast, "__init__", refusing),
        _Functions(),
        _Dispatch(),  # type: ignore[no-untyped-call]
    ):
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
    goes = _goes(func, args, kwargs, flat)
    if kwargs.get("generator") is not None and goes != (_drawing[-1:] == [True]):
        raise RuntimeError(
            "a generator of one device cannot draw on another; drawing on the CPU with one of the CPU, then "
            ".to(parameter.device), would work"
        )
    here = [values(item) if isinstance(item, Tensor) else _at_home(item) for item in flat]
    here_args, here_kwargs = tree_unflatten(here, form)
    result = func(*here_args, **here_kwargs)
    if not goes:
        return result
    # an operation in place returns the tensor that it was given
    known = {id(item.held): item for item in flat if isinstance(item, Elsewhere)}
    return tree_map(lambda item: _back(item, known), result)


def _goes(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], flat: list[Any]) -> bool:
    """Whether the result is elsewhere. Raises RuntimeError where that is not clear, as on a GPU."""
    if func is torch.ops.aten.copy_.default:
        return isinstance(args[0], Elsewhere)
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type == DEVICE.type
    if func.overloadpacket in _INDEXING and isinstance(args[0], Elsewhere):
        flat = tree_flatten((args[0], args[2:]))[0]
    tensors = [item for item in flat if isinstance(item, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    if any(there) and not all(t or x.dim() == 0 for t, x in zip(there, tensors, strict=True)):
        raise RuntimeError("tensors of the CPU and of another device are mixed; .to(parameter.device) would work")
    return any(there)


def _at_home(item: Any) -> Any:
    return torch.device("cpu") if isinstance(item, torch.device) else item


def _back(item: Any, known: Mapping[int, Elsewhere]) -> Any:
    if not isinstance(item, Tensor):
        return item
    return known[id(item)] if id(item) in known else Elsewhere(item)
