"""Blocks are calibrated on what they read in the model whose earlier blocks are as the walk left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from smc_harness.conversation.walk import BlockOfLayers, Walk
from smc_harness.errors import PluginError

BATCHES = [torch.randn(size, 5, 8, generator=torch.Generator().manual_seed(size)) for size in (3, 3, 2)]


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.down = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, hidden: Tensor, shift: float = 0.0) -> tuple[Tensor, None]:
        return hidden + self.down(torch.tanh(self.left(hidden) * self.right(hidden) + shift)), None


class Chain(nn.Module):
    """Blocks that are told something beside their input, and layers before and after them."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.layers = nn.ModuleList(Layer() for _ in range(depth))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        for number, layer in enumerate(self.layers):
            hidden, _ = layer(hidden, shift=float(number))
        return self.last(hidden)


class Skipping(Chain):
    """The last block reads what the first one gave, too."""

    def forward(self, inputs: Tensor) -> Tensor:
        first, _ = self.layers[0](inputs)
        second, _ = self.layers[1](first)
        return self.layers[2](second)[0] + first


class Two(nn.Module):
    """Two chains; the second one is handed the end of the first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.encoder, self.decoder = (nn.ModuleList(Layer() for _ in range(2)) for _ in range(2))
        self.cross = nn.Linear(8, 8)

    def forward(self, inputs: Tensor) -> Tensor:
        memory = inputs
        for layer in self.encoder:
            memory, _ = layer(memory)
        memory = self.cross(memory)
        hidden = inputs.flip(0)
        for layer in self.decoder:
            hidden = layer(hidden)[0] + memory
        return hidden


def run(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def walk_over(model: nn.Module, blocks: list[nn.Module], batches: list[Tensor] = BATCHES) -> Walk:
    names = [name for name, weight in model.named_parameters() if weight.dim() == 2]

    def drawn() -> Iterator[Tensor]:
        return iter(batches)

    return Walk(model.eval(), blocks, names, run, drawn)


def read(see: Callable[[Callable[[tuple[str, ...], Tensor], None]], None]) -> dict[str, Tensor]:
    """{name: all that its layer read}."""
    found: dict[str, list[Tensor]] = {}

    def note(names: tuple[str, ...], inputs: Tensor) -> None:
        for name in names:
            found.setdefault(name, []).append(inputs.clone())

    see(note)
    return {name: torch.cat(parts) for name, parts in found.items()}


def truly_read(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """The same of the model run as a whole."""

    def see(note: Callable[[tuple[str, ...], Tensor], None]) -> None:
        hooks = [
            model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(
                lambda _, inputs, name=name: note((name,), inputs[0].flatten(0, -2))
            )
            for name in names
        ]
        with torch.no_grad():
            for batch in BATCHES:
                model(batch)
        for hook in hooks:
            hook.remove()

    return read(see)


def halved(block: BlockOfLayers) -> dict[str, Tensor]:
    return {name: layer.weight.abs() > layer.weight.abs().median() for name, layer in block.layers.items()}


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("kind", [Chain, Two])
def test_every_layer_reads_what_it_reads_in_the_model_as_it_is_by_then(kind: type[nn.Module], prune: bool) -> None:
    model = kind()
    lists = [model.layers] if isinstance(model, Chain) else [model.encoder, model.decoder]
    walk = walk_over(model, [layer for layers in lists for layer in layers])
    seen: list[str] = []
    for block in walk:
        expected = truly_read(model, list(block.layers))
        found = read(block.observe)
        assert found.keys() == expected.keys() == block.layers.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        if prune:
            block.prune(halved(block))
        seen += block.layers
    weights = {name for name, weight in model.named_parameters() if weight.dim() == 2}
    assert set(seen) == weights and len(seen) == len(weights)
    assert walk.mask.keys() == (weights if prune else set())
    assert all(torch.equal(model.get_parameter(name) != 0, mask) for name, mask in walk.mask.items())


def test_layers_that_read_one_tensor_are_told_of_together() -> None:
    model = Chain()
    block = next(iter(walk_over(model, list(model.layers))))
    told: list[tuple[str, ...]] = []
    block.observe(lambda names, inputs: told.append(names))
    together = [name for name in block.layers if "down" not in name]
    assert set(map(tuple, told)) == {tuple(together), ("layers.0.down.weight",)}
    assert len(told) == 2 * len(BATCHES)


def test_no_block_runs_more_than_twice_for_an_example_beside_the_first_look() -> None:
    model = Chain(6)
    calls: Counter[int] = Counter()
    for number, layer in enumerate(model.layers):
        layer.down.register_forward_hook(lambda *_, number=number: calls.update([number]))
    for block in walk_over(model, list(model.layers)):
        block.observe(lambda names, inputs: None)
    assert set(calls.values()) == {2 * len(BATCHES) + 1}


def test_the_walk_ends_with_the_last_block_that_has_layers_in_the_scope() -> None:
    model = Chain()
    walk = walk_over(model, list(model.layers))
    walk._layers = {name: layer for name, layer in walk._layers.items() if name.startswith("layers.1")}
    calls: Counter[str] = Counter()
    model.layers[2].down.register_forward_hook(lambda *_: calls.update(["last"]))
    assert [list(block.layers) for block in walk] == [[f"layers.1.{name}.weight" for name in ("left", "right", "down")]]
    assert calls["last"] == 1


def test_what_a_block_gives_to_others_than_the_next_is_refused() -> None:
    model = Skipping()
    with pytest.raises(PluginError, match="read by more than the next block; blocks that follow"):
        next(iter(walk_over(model, list(model.layers))))


def test_blocks_that_are_called_twice_are_refused() -> None:
    model = Chain()
    model.layers[1] = model.layers[0]
    with pytest.raises(PluginError, match=r"3 calls of 2 blocks in a forward pass; blocks that are called once"):
        next(iter(walk_over(model, list(model.layers)[1:])))


def test_a_model_is_left_with_its_own_forward_passes() -> None:
    model = Chain()
    walk = iter(walk_over(model, list(model.layers)))
    block = next(walk)
    with pytest.raises(ZeroDivisionError):
        block.observe(lambda names, inputs: 1 / 0)
    walk.close()
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
