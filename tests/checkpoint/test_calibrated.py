"""A checkpoint pruned block by block is the one that a model in memory would be pruned to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from smc_harness import Prune, PrunerContext, Train, hookimpl
from smc_harness.checkpoint import calibrated
from smc_harness.checkpoint.calibrated import BlockFiles, prune
from smc_harness.checkpoint.note import NAME, Pruned
from smc_harness.checkpoint.shards import shards
from smc_harness.collection.data_files import with_files
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.walk import BlockOfLayers
from smc_harness.declarations.pretrained import Pretrained
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Locator, Plugin, load
from smc_harness.errors import PluginError, UsageError
from smc_harness.sparsity import mask as masks
from tests.checkpoints import causal

TEXT = ["the cat sat on the mat and looked at the dog", "a dog ran over the hill after the cat", "nobody sat still"]
MAPS = Path("/proc/self/maps")


@pytest.fixture(params=["llama", "gpt2"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(folder: Path, kind: str = "llama", files: bool = True, dtype: torch.dtype = torch.float32) -> Path:
    """A checkpoint of two blocks in several files, and a text beside it."""
    from transformers import AutoModelForCausalLM

    source = causal(folder / "in", TEXT, kind)
    (folder / "text.txt").write_text("\n".join(TEXT * 40))
    model = AutoModelForCausalLM.from_pretrained(source).to(dtype)
    (source / "model.safetensors").unlink()
    model.save_pretrained(source, **({"max_shard_size": "8KB"} if files else {}))
    return source


def task(name: str = "wikitext2") -> Plugin:
    given = {"train": "text.txt", "test": "text.txt", "length": "16"}
    return load(discover().installed["task"][name], given)


def pruner(name: str = "wanda", **settings: str) -> Plugin:
    return load(discover().installed["pruner"][name], {"examples": "6", **settings})


def options(source: Path) -> RunOptions:
    found = with_files(task(), RunOptions(data_dir=str(source.parent)), 0)
    return replace(found, pretrained=Pretrained(str(source)))


def in_blocks(name: str) -> bool:
    return ".h." in name or "layers" in name


def quiet(what: str, done: int, of: int) -> None:
    pass


def done(source: Path, target: Path, level: float = 0.5, by: Plugin | None = None, told: Any = quiet) -> Pruned:
    return prune(source, target, by or pruner(), level, in_blocks, task(), options(source), told)


def read(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def in_memory(source: Path, level: float, by: Plugin) -> dict[str, Tensor]:
    """The model's weights after the same pruning as in a session."""
    talk = Conversation(task(), by, [], options(source), 0)
    model = talk.build_model().eval()
    prunable = talk.prunable(model)
    with torch.no_grad(), talk.seeded(talk.pruner, "mask", level):
        given = talk.hook.apply_mask(model=model, scores=None, level=level, context=talk.pruner)
    masks.put_on(masks.check_mask(given, prunable, by.name), prunable)
    return {name: weight.detach() for name, weight in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("wanda", {}),
        ("wanda", {"pattern": "2:4"}),
        ("wanda", {"owl": "0.08"}),
        ("sparsegpt", {}),
        ("sparsegpt", {"pattern": "2:4", "columns": "8"}),
        ("sparsegpt", {"owl": "0.08", "allocation": "erk"}),
    ],
)
def test_it_is_pruned_as_in_memory(tmp_path: Path, kind: str, name: str, settings: dict[str, str]) -> None:
    source = made(tmp_path, kind)
    expected = in_memory(source, 0.5, pruner(name, **settings))
    found = done(source, tmp_path / "out", 0.5, pruner(name, **settings))
    before, after = read(source), read(tmp_path / "out")
    assert before.keys() == after.keys() and len(shards(source)) > 2
    zeros = 0
    for key, tensor in after.items():
        assert torch.equal(tensor, expected[key]), key
        if in_blocks(key) and tensor.dim() == 2:
            zeros += int((tensor == 0).sum())
        else:
            assert torch.equal(tensor, before[key]), key
    assert found.resumed == 0 and found.pruned == zeros and 2 * zeros == found.weights


def test_weights_are_written_as_the_source_has_them(tmp_path: Path) -> None:
    source = made(tmp_path, dtype=torch.bfloat16, files=False)
    done(source, tmp_path / "out")
    (mine,), (other,) = shards(source), shards(tmp_path / "out")
    assert mine.head == other.head and {entry.dtype for entry in other.entries} == {"BF16"}
    names = {path.name for path in source.iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {NAME}


class Killed(BaseException):
    """As a signal would."""


@pytest.mark.parametrize("by", ["wanda", "owl"])
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_one_that_was_killed_goes_on_with_the_next_block(
    tmp_path: Path, kind: str, by: str, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(tmp_path, kind)
    chosen = pruner(**({"owl": "0.08"} if by == "owl" else {}))
    whole = done(source, tmp_path / "whole", 0.5, chosen)
    seen: list[tuple[str, ...]] = []
    prune_block, keep = BlockOfLayers.prune, BlockFiles.keep

    def noted(self: BlockOfLayers, mask: Mapping[str, Tensor]) -> None:
        if tuple(self.layers) not in seen:
            seen.append(tuple(self.layers))
        prune_block(self, mask)

    def dying(self: BlockFiles, layers: Mapping[str, Any], mask: Mapping[str, Tensor]) -> None:
        if mask and len(seen) == blocks + 1:
            with monkeypatch.context() as patch:  # in the middle of writing
                patch.setattr(calibrated, "as_bytes", torn)
                keep(self, layers, mask)
        keep(self, layers, mask)

    def torn(weight: Tensor) -> bytes:
        raise Killed

    def killed_at_the_end(self: BlockFiles) -> None:
        shard = self._files[0]
        self._path(shard).replace(self._target / shard.path.name)
        raise Killed

    monkeypatch.setattr(BlockOfLayers, "prune", noted)
    with monkeypatch.context() as patch:
        patch.setattr(BlockFiles, "keep", dying)
        patch.setattr(BlockFiles, "close", killed_at_the_end)
        with pytest.raises(Killed):
            done(source, tmp_path / "out", 0.5, chosen)
    assert not read_whole(tmp_path / "out")
    pruned_before = seen[:blocks]
    seen.clear()
    found = done(source, tmp_path / "out", 0.5, chosen)
    assert not set(seen) & set(pruned_before) and len(seen) == 2 - blocks
    assert found == replace(whole, resumed=sum(len(names) for names in pruned_before))
    for file in source.glob("*.safetensors"):
        assert (tmp_path / "out" / file.name).read_bytes() == (tmp_path / "whole" / file.name).read_bytes()


def read_whole(folder: Path) -> bool:
    """Whether all files are there under their names."""
    return bool(json.loads((folder / NAME).read_text())["files"])


def test_a_second_run_finds_all_done_and_builds_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(tmp_path)
    first = done(source, tmp_path / "out")
    monkeypatch.setattr(Conversation, "build_model", None)
    assert done(source, tmp_path / "out") == replace(first, resumed=14)


@pytest.mark.parametrize("partial", [True, False])
def test_where_a_file_was_taken_away_all_is_done_again(
    tmp_path: Path, partial: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(tmp_path)
    if partial:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(BlockFiles, "close", killed)
            done(source, tmp_path / "half")
        next((tmp_path / "half").glob(".*.safetensors.partial")).unlink()
    else:
        done(source, tmp_path / "half")
        next((tmp_path / "half").glob("*.safetensors")).unlink()
    first = done(source, tmp_path / "out")
    assert replace(done(source, tmp_path / "half"), resumed=0) == first
    after, expected = read(tmp_path / "half"), read(tmp_path / "out")
    assert after.keys() == expected.keys() and all(torch.equal(after[name], expected[name]) for name in after)


def killed(self: BlockFiles) -> None:
    raise Killed


def test_other_examples_are_another_pruning(tmp_path: Path) -> None:
    source = made(tmp_path)
    done(source, tmp_path / "out")
    (tmp_path / "text.txt").write_text("\n".join(reversed(TEXT * 40)))
    with pytest.raises(UsageError, match=r"holds another pruning \(wanda at 0.5\)"):
        done(source, tmp_path / "out")


def test_what_cannot_be_had_is_refused_and_is_not_in_the_way(tmp_path: Path) -> None:
    source, out = made(tmp_path), tmp_path / "out"

    def asked(by: Plugin, wanted: Any = in_blocks) -> None:
        prune(source, out, by, 0.5, wanted, task(), options(source), quiet)

    for name in ("magnitude-one-shot", "snip"):
        with pytest.raises(UsageError, match=f"{name}: does not prune block after block; one that walks"):
            asked(load(discover().installed["pruner"][name]))
    with pytest.raises(UsageError, match="wanda: trains what it pruned, which is not done here"):
        asked(pruner(train="true"))
    with pytest.raises(
        UsageError, match=r"wanda prunes linear layers; 'model.embed_tokens.weight' is none: --scope bl"
    ):
        asked(pruner(), lambda name: True)
    with pytest.raises(UsageError, match="no matrix in scope; --scope all would take every one"):
        asked(pruner(), lambda name: False)
    with pytest.raises(UsageError, match="allocation"):
        asked(pruner(allocation="global"))
    asked(pruner())


def test_a_model_that_is_not_the_checkpoint_is_refused(tmp_path: Path) -> None:
    source = made(tmp_path)
    other = made(tmp_path / "other", dtype=torch.bfloat16)
    with pytest.raises(
        UsageError, match=r"is not what the model has as 'model.*'; its own weights, in bfloat16, would"
    ):
        prune(source, tmp_path / "out", pruner(), 0.5, in_blocks, task(), options(other), quiet)


class Own:
    """A pruner that walks as it is told."""

    name, phase, prunes = "own", "after", "linear"

    def __init__(self, walks: int, most: int) -> None:
        self.walks, self.most = walks, most

    @hookimpl
    def plan(self, level: float) -> list[Any]:
        return [Train(), Prune(level)]

    @hookimpl
    def apply_mask(self, model: nn.Module, level: float, context: PrunerContext) -> Mapping[str, Tensor]:
        for _ in range(self.walks):
            walk = context.walk(model, 2)
            for number, block in enumerate(walk):
                if number == self.most:
                    break
                block.prune({name: layer.weight > 0 for name, layer in block.layers.items()})
        return walk.mask


@pytest.mark.parametrize(
    ("walks", "most", "message"),
    [
        (2, 9, "pruned by two walks over the blocks; one would work"),
        (1, 1, "own: 'model.layers.1.*' was not pruned; `block.prune` of every block would work"),
    ],
)
def test_a_pruner_that_walks_in_another_way_is_told(tmp_path: Path, walks: int, most: int, message: str) -> None:
    source = made(tmp_path)
    plugin = Plugin("pruner", "own", Own(walks, most), Locator("pruner", "own", "here"))
    with pytest.raises(PluginError, match=message):
        done(source, tmp_path / "out", 0.5, plugin)


@pytest.mark.skipif(not MAPS.exists(), reason="what is mapped is told by Linux alone")
@pytest.mark.parametrize("owl", ["0", "0.08"])
def test_a_block_that_is_done_with_is_the_file_s(tmp_path: Path, owl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(tmp_path, dtype=torch.bfloat16)
    held: list[int] = []
    observe = BlockOfLayers.observe
    model: list[nn.Module] = []
    build = Conversation.build_model

    def built(self: Conversation) -> nn.Module:
        model.append(build(self))
        return model[0]

    def looked(self: BlockOfLayers, see: Any) -> None:
        weights = [weight for name, weight in model[0].named_parameters() if in_blocks(name) and weight.dim() == 2]
        held.append(sum(not mapped(weight) for weight in weights))
        observe(self, see)

    monkeypatch.setattr(Conversation, "build_model", built)
    monkeypatch.setattr(BlockOfLayers, "observe", looked)
    done(source, tmp_path / "out", 0.5, pruner(owl=owl))
    assert held == [7] * (2 if owl == "0" else 4)  # those of one block
    assert all(mapped(weight) for name, weight in model[0].named_parameters() if in_blocks(name) and weight.dim() == 2)


def mapped(weight: Tensor) -> bool:
    """Whether a tensor's memory is that of a file of a checkpoint."""
    at = weight.data_ptr()
    for line in MAPS.read_text().splitlines():
        first, last = (int(edge, 16) for edge in line.split()[0].split("-"))
        if first <= at < last:
            return ".safetensors" in line
    raise AssertionError("a tensor outside of all memory")
