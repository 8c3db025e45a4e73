"""hp-s-tape: checkpoints as TAPE publishes them, and the recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.protein.alphabets import TAPE
from smc_tasks.protein.classifier import collate
from smc_tasks.protein.tape import URL, TapeParams, hp_s_tape

from smc_harness import LinearWarmup
from smc_harness.errors import UsageError
from tests.checkpoints import tape, tape_weights
from tests.tasks.protein.stabilities import run_words, talk_of, write_proteins

Command = Callable[..., Any]
TASK = "hp-s-tape"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tape")
    tape(folder / "models" / "small")
    write_proteins(folder / "data")
    return folder


def plain_bert() -> torch.nn.Module:
    """A BERT of transformers with the weights of the checkpoint."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, type_vocab_size=1, layer_norm_eps=1e-12,
    )  # fmt: skip
    model: torch.nn.Module = BertModel(config)
    encoder = {name[5:]: weight for name, weight in tape_weights().items() if name.startswith("bert.")}
    model.load_state_dict(encoder)
    return model.eval()


def test_logits_are_those_of_the_plain_encoder_and_head(folder: Path) -> None:
    talk = talk_of(TASK, folder)
    model = talk.build_model().eval()
    plain = plain_bert()
    proteins = talk.data["test"][:4]
    logits = model(collate(proteins, TAPE)["tokens"])
    for number, protein in enumerate(proteins):
        states = plain(input_ids=torch.tensor([protein.tokens])).last_hidden_state[0]
        torch.testing.assert_close(logits[number], model.head(states[1:].mean(0)))


def test_safetensors_with_the_same_names_are_the_same_model(folder: Path) -> None:
    tape(folder / "safe" / "models" / "small", safetensors=True)
    write_proteins(folder / "safe" / "data")
    weights, others = (talk_of(TASK, place).build_model().state_dict() for place in (folder, folder / "safe"))
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


def test_layer_norms_under_their_older_names_are_read(folder: Path) -> None:
    place = tape(folder / "older" / "models" / "small")
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = {
        next((name.replace(new, old) for new, old in older.items() if new in name), name): weight
        for name, weight in tape_weights().items()
    }
    torch.save(weights, place / "pytorch_model.bin")
    write_proteins(folder / "older" / "data")
    norm = talk_of(TASK, folder / "older").build_model().encoder.embeddings.LayerNorm.weight
    assert torch.equal(norm, tape_weights()["bert.embeddings.LayerNorm.weight"])


class Malice:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize("content", [Malice(), None])
def test_a_file_that_is_more_than_weights_is_refused_and_not_run(tmp_path: Path, content: Any) -> None:
    place = tape(tmp_path / "models" / "small")
    if content is None:
        (place / "pytorch_model.bin").write_bytes(b"torn")
    else:
        torch.save({"bert.pooler.dense.bias": content}, place / "pytorch_model.bin")
    write_proteins(tmp_path / "data")
    with pytest.raises(
        UsageError, match=r"small: cannot be read as BertModel \(.*\); a whole checkpoint of one would work$"
    ):
        talk_of(TASK, tmp_path).build_model()
    assert not Path("touched").exists()


def test_attention_and_feed_forward_are_pruned_and_everything_is_trained(folder: Path) -> None:
    names = []
    for settings in ({}, {"model": "scratch", "hidden": "16", "heads": "2", "feed_forward": "32"}):
        talk = talk_of(TASK, folder, **settings)
        model = talk.build_model()
        names.append([name for name, _ in talk.prunable(model)])
        talk.loss(model, talk.collate(list(talk.data["train"][:4]))).backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None for parameter in model.parameters())
    assert names[0] == names[1]
    assert len(names[0]) == 2 * 6
    assert all(name.startswith("encoder.encoder.layer.") for name in names[0])


def test_it_trains_prunes_and_evaluates(command: Command, folder: Path) -> None:
    done = command(*run_words(TASK, folder, warmup="5"))
    assert done.code == 0, done.err
    report = json.loads(Path("out.json").read_text())
    assert report["tasks"][TASK]["dense"] > 0.8
    assert [cell["realised"] for cell in report["cells"]] == [0.5, 0.5]


def test_without_model_dir_it_says_where_the_checkpoint_is(command: Command, folder: Path) -> None:
    done = command("--tasks", TASK, "--data-dir", str(folder / "data"), "--set", f"{TASK}.train=all.csv",
                   "--set", f"{TASK}.test=all.csv")  # fmt: skip
    assert done.code == 4
    assert f"starts from tape-bert-base, which is on no hub (it is at {URL}): --model-dir DIR" in done.err


@pytest.mark.parametrize(
    ("configuration", "settings", "reason"),
    [
        ({"vocab_size": 33}, {}, "knows 33 tokens; one with TAPE's 30 would work"),
        ({}, {"longest": "63"}, "longest=63, but the checkpoint reads at most 62 residues"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    tmp_path: Path, configuration: dict[str, int], settings: dict[str, str], reason: str
) -> None:
    from transformers import BertConfig, BertModel

    place = tape(tmp_path / "models" / "small", **configuration)
    if configuration:
        BertModel(BertConfig.from_pretrained(place)).save_pretrained(place)
        (place / "pytorch_model.bin").unlink()
    write_proteins(tmp_path / "data")
    with pytest.raises(UsageError, match=reason):
        talk_of(TASK, tmp_path, **settings).build_model()


def test_the_recipe_is_the_published_one() -> None:
    recipe = hp_s_tape.recipe(SimpleNamespace(params=TapeParams(), data={"train": range(16_000)}))
    assert (recipe.steps, recipe.batch_size, recipe.schedule) == (4_000, 16, LinearWarmup(0.025))
    module = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    assert recipe.parameter_groups is not None
    for group in recipe.optimizer(recipe.parameter_groups(module)).param_groups:
        assert (group["lr"], group["weight_decay"]) == (1e-4, 0.01)


def test_at_full_size_it_has_92_million_parameters() -> None:
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    with torch.device("meta"):
        model = BertModel(BertConfig(vocab_size=len(TAPE), max_position_embeddings=8192, type_vocab_size=1, **sizes))
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6) == 92
