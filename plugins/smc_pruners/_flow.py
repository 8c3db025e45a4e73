"""Synaptic flow through networks that are more than linear layers and ReLU. Imports torch.

SynFlow (Tanaka et al. 2020) needs R, the sum of the outputs, to be made of non-negative paths along which flow is
neither gained nor lost: then the scores dR/dw * w of the weights into a hidden unit add up to those out of it
(theorem 1), and those of any cut through the network to R (theorem 2). The task's own loss is run on a copy of the
model while a table of rules, `RULES`, one for each torch function that would break this, keeps it true:

* an embedding is a linear layer on one-hot words: its all-ones input is the sum of all rows, at every position;
* an elementwise function is its slope from the origin, f(x) / x, held constant; so are softmax and normalisation;
* of the product of two activations each carries half of the flow. By the product rule each would carry all of it,
  so that in an LSTM flow is multiplied by gates at every word, and the decoder behind it is pruned away entirely;
* minus signs are dropped, like those of the weights, and a loss becomes the sum of what it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from smc_harness.errors import PluginError

Function = Callable[..., Tensor]


def synaptic_flow(
    model: nn.Module, names: Sequence[str], batch: Any, loss: Callable[[nn.Module, Any], Tensor]
) -> dict[str, Tensor]:
    """{name: dR/dw * w at the absolute weights}: float64, not negative, zero for what R does not depend on.

    names: as in `named_parameters(remove_duplicate=False)`. batch: only its shapes count, and what selects among
    activations: masks, positions, trees. Raises PluginError for a flow that is not finite or a negative score.
    """
    network = _absolute(model)
    weights = dict(network.named_parameters(remove_duplicate=False))
    with FlowRules():
        total = loss(network, tree_map_only(Tensor, _ones, batch))
    if not total.requires_grad or not total.isfinite():
        given = f"synflow: the flow through the model is {float(total.detach())}"
        raise PluginError(f"{given}; one that is finite and depends on the weights would work")
    scoped = [weights[name] for name in names]
    # the sign of a loss, such as a negative likelihood's, is no property of the network
    gradients = torch.autograd.grad(total.abs(), scoped, allow_unused=True)
    return {name: _score(name, *pair) for name, *pair in zip(names, scoped, gradients, strict=True)}


def _score(name: str, weight: Tensor, gradient: Tensor | None) -> Tensor:
    score = torch.zeros_like(weight.detach()) if gradient is None else weight.detach() * gradient
    if not score.isfinite().all():
        raise PluginError(f"synflow: the flow through {name!r} is not finite; smaller weights would work")
    if (score < 0).any():
        given = f"synflow: some flow through {name!r} is negative"
        raise PluginError(f"{given}; a model that subtracts no activations and has no negative constants would work")
    return score


def _absolute(model: nn.Module) -> nn.Module:
    """A copy in float64 and eval mode, with absolute weights and buffers, and without biases.

    Biases would be sources of flow above the input, so that the law no longer held for the weights alone. The running
    means of a batch normalisation are biases too.
    """
    network = copy.deepcopy(model).double().eval().requires_grad_(False)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        own_name = name.rpartition(".")[2]
        if "bias" in own_name or own_name == "running_mean":
            tensor.zero_()
        elif tensor.is_floating_point():
            tensor.abs_()
    return network.requires_grad_(True)


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor, dtype=torch.float64) if tensor.is_floating_point() else tensor


class FlowRules(TorchFunctionMode):
    """Within this context, torch functions follow the rules of synaptic flow."""

    def __torch_function__(
        self, func: Function, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # by name: torch, torch.nn.functional and Tensor each have a function of their own for the same thing
        rule = RULES.get(getattr(func, "__name__", ""))
        return rule(func, *args, **(kwargs or {})) if rule else func(*args, **(kwargs or {}))


def _along_slope(flow: Tensor, value: Tensor) -> Tensor:
    """`value`, a function of `flow`, as a constant multiple of it.

    A unit that nothing reaches needs no slope, since there is no flow to hand on. It keeps its value, so that a gate
    whose weights are all pruned stays half open.
    """
    origin = flow.detach()
    slope = (value / origin).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return value + (flow - origin) * slope


def _elementwise(func: Function, flow: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _along_slope(flow, func(flow.detach().clone(), *args, **kwargs))  # a clone: func may work in place


def _is_activation(value: object) -> bool:
    """Whether flow has entered it: it is neither a constant nor a weight nor a view of a weight."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return False
    return not (value if value._base is None else value._base).is_leaf


def _product(func: Function, left: Any, right: Any, **kwargs: Any) -> Tensor:
    if not (_is_activation(left) and _is_activation(right)):
        return func(left, right, **kwargs)
    return (func(left, right.detach(), **kwargs) + func(left.detach(), right, **kwargs)) / 2


def _constant(func: Function, *args: Any, **kwargs: Any) -> Tensor:
    """For what is only met within a gelu or a norm that is written out: with it constant, the whole is a slope."""
    return func(*args, **kwargs).detach()


def _unsigned(func: Function, angles: Tensor) -> Tensor:
    return func(angles).abs()


def _leave(func: Function, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Activations pass unchanged: without a minus sign, and in float64, whose range flow may need."""
    return tensor if _is_activation(tensor) else func(tensor, *args, **kwargs)


def _embedding(func: Function, words: Tensor, table: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return table.sum(0).expand(*words.shape, -1)


def _layer_norm(
    func: Function,
    flow: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Division by the root mean square. No mean is subtracted: among positive activations that cancels the flow."""
    squares = flow.detach().square().mean(tuple(range(-len(shape), 0)), keepdim=True)
    normal = flow / (squares + eps).sqrt()
    return normal if weight is None else normal * weight


def _rms_norm(
    func: Function, flow: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    return _layer_norm(func, flow, shape, weight, eps=torch.finfo(flow.dtype).eps if eps is None else eps)


def _softmax(func: Function, energies: Tensor, dim: int, *args: Any, **kwargs: Any) -> Tensor:
    """Each weight along the slope of its own energy: the derivatives of a softmax cancel in every row."""
    fixed = energies.detach()
    # a row that is masked throughout has weights of zero, not NaN
    scale = fixed.logsumexp(dim, keepdim=True).clamp(min=torch.finfo(fixed.dtype).min)
    return _along_slope(energies.masked_fill(fixed.isneginf(), 0.0), (fixed - scale).exp())


def _attention(
    func: Function,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` in its parts."""
    if enable_gqa:
        key, value = (part.repeat_interleave(query.shape[-3] // part.shape[-3], -3) for part in (key, value))
    energies = _product(torch.matmul, query, key.mT) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(energies.shape[-2:], dtype=torch.bool, device=energies.device).tril()
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        energies = energies.masked_fill(~attn_mask, float("-inf")) if masked else energies + attn_mask
    return _product(torch.matmul, _softmax(torch.softmax, energies, -1), value)


def _loss(func: Function, outputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The sum of the outputs or, for losses that are not reduced, the sums over the classes, dimension 1.

    Flow is never negative, so that an output below zero is one that a mask took out.
    """
    flow = outputs.clamp(min=0.0)
    shape = func(outputs.detach(), *args, **kwargs).shape
    if not shape:
        return flow.sum()
    return flow if shape == flow.shape else flow.sum(1)


def _lstm(func: Function, inputs: Tensor, start: Any, weights: Sequence[Tensor], *args: Any) -> tuple[Tensor, ...]:
    """`torch.lstm` as a loop over words, inputs [T, B, I], or [B, T, I] if batch_first; biases count as zero."""
    if isinstance(start, Tensor):
        _refuse("a packed sequence", "a padded one")
    has_biases, n_layers, _, _, bidirectional, batch_first = args
    directions, per_cell = 1 + bidirectional, 4 if has_biases else 2
    if len(weights) != n_layers * directions * per_cell:
        _refuse("an LSTM with proj_size", "one without")
    states = inputs.transpose(0, 1) if batch_first else inputs
    last = []
    for layer in range(n_layers):
        sides = []
        for cell in range(layer * directions, (layer + 1) * directions):
            into, across = weights[cell * per_cell : cell * per_cell + 2]
            side, *ends = _one_way(states, start[0][cell], start[1][cell], into, across, cell % directions == 1)
            sides.append(side)
            last.append(ends)
        states = torch.cat(sides, -1)
    hidden, memory = (torch.stack(ends) for ends in zip(*last, strict=True))
    return states.transpose(0, 1) if batch_first else states, hidden, memory


def _one_way(
    inputs: Tensor, hidden: Tensor, memory: Tensor, into: Tensor, across: Tensor, backward: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs [T, B, I] -> states [T, B, H] in the order of the inputs, last state and last memory [B, H]."""
    steps = (inputs @ into.T).unbind()
    states = []
    for step in reversed(steps) if backward else steps:
        gates = (step + hidden @ across.T).chunk(4, -1)
        entering, kept, leaving = (_elementwise(torch.sigmoid, gates[index]) for index in (0, 1, 3))
        content = _elementwise(torch.tanh, gates[2])
        memory = _product(torch.mul, kept, memory) + _product(torch.mul, entering, content)
        hidden = _product(torch.mul, leaving, _elementwise(torch.tanh, memory))
        states.append(hidden)
    return torch.stack(states[::-1] if backward else states), hidden, memory


def _refuse(met: str, instead: str) -> NoReturn:
    raise PluginError(f"synflow: no rule for {met}; {instead} would work")


def _unknown(func: Function, *args: Any, **kwargs: Any) -> NoReturn:
    _refuse(f"the fused {func.__name__}", "linear layers, embeddings, scaled_dot_product_attention and nn.LSTM")


RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "tanh", "sigmoid", "softplus"), _elementwise),
    **dict.fromkeys(("mul", "matmul", "bmm"), _product),
    **dict.fromkeys(("erf", "rsqrt"), _constant),
    **dict.fromkeys(("cos", "sin"), _unsigned),
    **dict.fromkeys(("neg", "float", "to", "log_softmax"), _leave),
    **dict.fromkeys(("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "mse_loss"), _loss),
    **dict.fromkeys(
        ("gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _unknown
    ),
    **dict.fromkeys(("multi_head_attention_forward", "embedding_bag"), _unknown),
    "embedding": _embedding,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "softmax": _softmax,
    "scaled_dot_product_attention": _attention,
    "lstm": _lstm,
}
