"""A device that only claims to be another one: it computes the same, and refuses what a GPU refuses."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from smc_harness.conformance.elsewhere import DEVICE, elsewhere, is_of_the_stand_in, move, values

RAW = torch.tensor([[1.0, -2.0], [3.0, 0.5]])


def there() -> Tensor:
    return RAW.to(DEVICE)


def test_gradients_there_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 2))
    x = torch.randn(3, 4)
    model(x).square().mean().backward()
    expected = [parameter.grad for parameter in model.parameters()]
    move(model)
    with elsewhere():
        model(x.to(DEVICE)).square().mean().backward()
    assert all(torch.equal(values(p.grad), e) for p, e in zip(model.parameters(), expected, strict=True))


def test_a_tied_parameter_stays_tied() -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    model[1].weight = model[0].weight
    move(model)
    assert model[1].weight is model[0].weight
    assert len(list(model.parameters())) == 3


def test_buffers_go_there_too() -> None:
    model = nn.BatchNorm1d(2)
    move(model)
    with elsewhere():
        assert model.running_mean.device == DEVICE
        model(there())
    assert float(values(model.num_batches_tracked)) == 1


@pytest.mark.parametrize(
    "places",
    [
        [1, 0],
        torch.tensor([1, 0]),
        numpy.array([1, 0]),
        torch.tensor([False, True]),
        (slice(None), torch.tensor([1, 0])),
        (slice(None), [0]),
        [],
    ],
    ids=["list", "tensor", "array", "bool", "columns", "list of columns", "none"],
)
def test_places_may_be_on_the_cpu_as_on_a_gpu(places: Any) -> None:
    expected = RAW.clone()
    expected[places] = 0
    with elsewhere():
        found, changed = there()[places], there()
        changed[places] = 0
        assert found.device == changed.device == DEVICE
    assert torch.equal(values(found), RAW[places])
    assert torch.equal(values(changed), expected)


def test_a_generator_there_draws_what_one_here_draws() -> None:
    with elsewhere():
        drawn = [
            torch.rand(3, generator=torch.Generator(device=DEVICE).manual_seed(7), device=DEVICE),
            there().new_empty(3).uniform_(generator=torch.Generator(DEVICE).manual_seed(7)),
        ]
        own = torch.rand(3, generator=torch.Generator().manual_seed(7))
    assert all(torch.equal(values(tensor), own) for tensor in drawn)


@pytest.mark.parametrize(
    "work",
    [
        lambda w: torch.func.hessian(lambda x: (x**3).sum())(w[0]),
        lambda w: torch.func.vmap(torch.sum)(w),
        lambda w: torch.autograd.grad(w.requires_grad_() * 2, w, torch.ones_like(w)[None], is_grads_batched=True),
        lambda w: torch.autocast(w.device.type),
    ],
    ids=["hessian", "vmap", "batched gradients", "autocast"],
)
def test_what_it_cannot_stand_for_is_told_from_what_a_gpu_refuses(work) -> None:
    with elsewhere(), pytest.raises(Exception) as raised:
        work(there())
    assert is_of_the_stand_in(raised.value), repr(raised.value)


@pytest.mark.parametrize(
    "work",
    [
        lambda w: w + torch.ones(2, 2),
        lambda w: torch.cat([w, torch.ones(2, 2)]),
        lambda w: torch.rand(2, 2, generator=torch.Generator(), device=w.device),
        lambda w: torch.rand(2, 2, generator=torch.Generator(device=w.device)),
        lambda w: w.index_put((torch.tensor([0]),), torch.ones(2)),
        lambda w: torch.ones(2, 2)[torch.tensor([0], device=w.device)],
        lambda w: w.numpy(),
        lambda w: torch.where(torch.ones(2, 2) > 0, w, w),
    ],
)
def test_what_a_gpu_refuses_is_refused(work) -> None:
    with elsewhere(), pytest.raises((RuntimeError, TypeError), match="would work"):
        work(there())


def test_what_a_gpu_refuses_is_not_put_down_to_the_stand_in() -> None:
    with elsewhere(), pytest.raises(RuntimeError) as raised:
        there() + torch.ones(2, 2)
    assert not is_of_the_stand_in(raised.value)


@pytest.mark.parametrize(
    "work",
    [
        lambda w: w * torch.tensor(2.0),
        lambda w: w.cpu() + torch.ones(2, 2),
        lambda w: w + torch.ones(2, 2).to(w.device),
        lambda w: w + torch.ones(2, 2, device=w.device),
        lambda w: w + torch.tensor([1.0, 2.0], device=w.device),
        lambda w: w + torch.zeros_like(w),
        lambda w: w + torch.zeros_like(torch.ones(2, 2), device=w.device),
        lambda w: w[w > 0],
        lambda w: w.sum().item(),
        lambda w: w.tolist(),
        lambda w: bool((w > 0).all()),
        lambda w: torch.linalg.inv(w),
        lambda w: torch.kthvalue(w.reshape(-1), 2).values,
        lambda w: w.masked_fill(w > 0, 0.0),
        lambda w: w.to(torch.bfloat16).float(),
    ],
)
def test_what_a_gpu_does_is_done_with_the_same_result(work) -> None:
    with elsewhere():
        found = work(there())
    expected = work(RAW.clone())
    assert torch.equal(values(found), expected) if isinstance(found, Tensor) else found == expected


def test_an_operation_in_place_changes_the_tensor_itself() -> None:
    with elsewhere():
        tensor = there()
        assert tensor.add_(1.0) is tensor
        tensor[0].zero_()
        assert tensor.tolist() == [[0.0, 0.0], [4.0, 1.5]]
