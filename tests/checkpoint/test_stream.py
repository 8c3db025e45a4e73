"""A checkpoint pruned tensor by tensor is the one that a model in memory would be pruned to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from smc_harness.checkpoint.note import NAME, Pruned
from smc_harness.checkpoint.shards import Shard, shards
from smc_harness.checkpoint.stream import prune
from smc_harness.declarations.structure import NofM, Structure
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Plugin, load
from smc_harness.errors import UsageError
from smc_harness.sparsity.select import select
from tests.checkpoints import causal

LAYERS = 4


def saved(folder: Path, dtypes: tuple[torch.dtype, ...] = (torch.bfloat16,), files: int = 3) -> Path:
    """A made-up checkpoint of several files."""
    folder.mkdir()
    draw = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {"model.embed.weight": torch.randn(20, 8, generator=draw)}
    for layer in range(LAYERS):
        tensors[f"model.layers.{layer}.mlp.weight"] = torch.randn(24, 8, generator=draw) * (1 + layer)
        tensors[f"model.layers.{layer}.attn.weight"] = torch.randn(8, 12, generator=draw)
        tensors[f"model.layers.{layer}.norm.weight"] = torch.ones(8)
    tensors = {name: tensor.to(dtypes[number % len(dtypes)]) for number, (name, tensor) in enumerate(tensors.items())}
    names, placed = list(tensors), {}
    each = -(-len(names) // files)
    for number in range(files):
        part = names[number * each : (number + 1) * each]
        file = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        placed |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    (folder / "config.json").write_text('{"model_type": "mystery"}')
    return folder


def read(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def pruner(**settings: str) -> Plugin:
    return load(discover().installed["pruner"]["magnitude-one-shot"], settings)


def in_blocks(name: str) -> bool:
    return "layers" in name


def quiet(what: str, done: int, of: int) -> None:
    pass


def done(source: Path, target: Path, level: float = 0.5, told: Any = quiet, **settings: str) -> Pruned:
    return prune(source, target, pruner(**settings), level, in_blocks, told)


def order(folder: Path) -> list[str]:
    return [
        entry.name for shard in shards(folder) for entry in shard.entries if entry.is_matrix and in_blocks(entry.name)
    ]


@pytest.mark.parametrize("dtypes", [(torch.bfloat16,), (torch.float32,), (torch.float32, torch.bfloat16)], ids=str)
@pytest.mark.parametrize("structure", [Structure("global"), Structure("uniform"), Structure("erk")], ids=str)
@pytest.mark.parametrize("level", [0.0, 0.3, 0.77])
def test_it_is_pruned_as_in_memory(
    tmp_path: Path, dtypes: tuple[torch.dtype, ...], structure: Structure, level: float
) -> None:
    source = saved(tmp_path / "in", dtypes)
    before = read(source)
    found = done(source, tmp_path / "out", level, allocation=structure.allocation)
    after = read(tmp_path / "out")
    mask = select({name: before[name].abs().double() for name in order(source)}, level, structure)
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        expected = tensor.masked_fill(~mask[name], 0) if name in mask else tensor
        assert after[name].dtype == tensor.dtype and torch.equal(after[name], expected), name
    total = sum(kept.numel() for kept in mask.values())
    assert (found.weights, found.pruned) == (total, int(level * total + 0.5)) and found.resumed == 0


def test_what_is_not_pruned_stays_where_it_was_to_the_byte(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    done(source, tmp_path / "out")
    names = {path.name for path in source.iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {NAME}
    for shard in shards(source):
        mine, other = shard.path.read_bytes(), (tmp_path / "out" / shard.path.name).read_bytes()
        assert len(mine) == len(other) and mine[: len(shard.head)] == other[: len(shard.head)]
        for entry in shard.entries:
            if not (entry.is_matrix and in_blocks(entry.name)):
                assert mine[entry.begin : entry.end] == other[entry.begin : entry.end]
    assert (tmp_path / "out" / "config.json").read_text() == '{"model_type": "mystery"}'


@pytest.mark.parametrize("allocation", ["global", "uniform"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_that_was_killed_goes_on_with_the_next_file(
    tmp_path: Path, allocation: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tmp_path / "in", (torch.bfloat16,))
    done(source, tmp_path / "whole", allocation=allocation)
    written: list[str] = []
    write = Shard.write

    def dying(self: Shard, target: Path, change: Callable[[str, Tensor], Tensor], names: set[str]) -> None:
        if len(written) == at:
            seen: list[str] = []

            def once(name: str, weight: Tensor) -> Tensor:
                seen.append(name)
                if len(seen) == 2:  # in the middle of the file
                    raise KeyboardInterrupt
                return change(name, weight)

            write(self, target, once, names)
        write(self, target, change, names)
        written.append(target.name)

    monkeypatch.setattr(Shard, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        done(source, tmp_path / "out", allocation=allocation)
    monkeypatch.setattr(
        Shard, "write", lambda self, target, *rest: (written.append(target.name), write(self, target, *rest))
    )
    found = done(source, tmp_path / "out", allocation=allocation)
    assert found.resumed == at and sorted(written) == sorted({path.name for path in source.glob("*.safetensors")})
    for file in source.glob("*.safetensors"):
        assert (tmp_path / "out" / file.name).read_bytes() == (tmp_path / "whole" / file.name).read_bytes()


def test_a_second_run_finds_all_done(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    first = done(source, tmp_path / "out")
    assert done(source, tmp_path / "out") == Pruned(first.weights, first.pruned, 3, 3)


@pytest.mark.parametrize("allocation", ["global", "uniform"])
def test_where_a_file_was_taken_away_all_are_written_again(tmp_path: Path, allocation: str) -> None:
    source = saved(tmp_path / "in")
    first = done(source, tmp_path / "out", allocation=allocation)
    before = read(tmp_path / "out")
    next(iter(sorted((tmp_path / "out").glob("*.safetensors")))).unlink()
    assert done(source, tmp_path / "out", allocation=allocation) == first
    after = read(tmp_path / "out")
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("pattern", ["2:4", "1:2"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_patterns_go_along_what_a_layer_reads_and_the_model_loads(tmp_path: Path, kind: str, pattern: str) -> None:
    from transformers import AutoModelForCausalLM

    from smc_harness.sparsity.patterns import broken
    from smc_harness.sparsity.scope import turned

    source = causal(tmp_path / "in", ["the cat sat on the mat"], kind)
    prune(source, tmp_path / "out", pruner(pattern=pattern), 0.5, lambda name: ".h." in name or "layers" in name, quiet)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    names = [n for n, p in model.named_parameters() if p.dim() == 2 and (".h." in n or "layers" in n)]
    other = turned(model, names)
    assert bool(other) == (kind == "gpt2")
    masks = {n: (p.t() if n in other else p) != 0 for n, p in model.named_parameters() if n in names}
    n, m = map(int, pattern.split(":"))
    assert broken(masks, NofM(n, m)) is None


def test_the_target_may_hold_nothing_else(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    done(source, tmp_path / "out")
    with pytest.raises(UsageError, match=r"holds another pruning \(magnitude-one-shot at 0.5\); another would work"):
        done(source, tmp_path / "out", 0.6)
    with pytest.raises(UsageError, match="that is the checkpoint itself"):
        done(source, source)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds something else; an empty or a new folder would work"):
        done(source, tmp_path / "full")


def test_a_pruner_that_needs_more_than_the_tensor_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    for name in ("wanda", "snip", "magnitude-after"):
        with pytest.raises(
            UsageError, match=rf"{name}: its scores need more than a tensor.s own values; one that declares `local`"
        ):
            prune(source, tmp_path / name, load(discover().installed["pruner"][name]), 0.5, in_blocks, quiet)
    assert not (tmp_path / "wanda").exists()


def test_a_checkpoint_without_a_matrix_in_scope_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    with pytest.raises(UsageError, match="no matrix in scope; --scope all would take every one"):
        prune(source, tmp_path / "out", pruner(), 0.5, lambda name: False, quiet)


def test_weights_that_are_no_number_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_file({"layers.0.weight": torch.tensor([[1.0, float("nan")]])}, tmp_path / "in" / "model.safetensors")
    with pytest.raises(Exception, match="NaN"):
        done(tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "out").glob("model*"))
