"""The declarations of the tasks on real data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from smc_tasks.arithmetic.problems import Example, Problem, encode, vocabulary_of
from smc_tasks.arithmetic.training import bucketed
from smc_tasks.arithmetic.word_problems import (
    FoldedParams,
    WordProblemParams,
    asdiv_a_gts,
    mawps_gts,
    plugins,
    svamp_gts,
)

from smc_harness.errors import UsageError

CSV = "Question,Numbers,Equation,Answer\n" + "".join(
    f"ann has number0 {thing} and buys number1 {thing} .,{count} 2,{sign} number0 number1,0\n"
    for count, (thing, sign) in enumerate([("eggs", "+"), ("cats", "-"), ("dogs", "+"), ("pens", "*")])
)
TINY = {"hidden": 4, "embedding": 4, "batch": 2, "epochs": 3, "beam": 2}


def context_of(data_dir: Path | None, params: WordProblemParams, seed: int = 0) -> Any:
    context = SimpleNamespace(data_dir=data_dir, params=params, seed=seed, retraining=False, data=None, pretrained=None)
    context.outputs = lambda split, _, function, length: function(mawps_gts.collate(list(context.data[split])))
    return context


def write(data_dir: Path, folder: str) -> None:
    place = data_dir / "arithmetic" / folder
    place.mkdir(parents=True)
    (place / "train.csv").write_text(CSV)
    (place / "dev.csv").write_text(CSV)


def test_declaring_and_naming_files_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "from smc_tasks.arithmetic import mini, word_problems\n"
        "context = SimpleNamespace(data_dir=None, seed=0, params=word_problems.FoldedParams())\n"
        "word_problems.mawps_gts.data_files(context)\n"
        "print(sorted({'torch', 'pandas', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("seed", "fold", "expected"), [(0, None, 0), (7, None, 2), (7, 4, 4)])
def test_the_fold_follows_the_seed_unless_it_is_set(seed: int, fold: int | None, expected: int) -> None:
    files = mawps_gts.data_files(context_of(None, FoldedParams(fold=fold), seed))
    assert files == (
        f"arithmetic/cv_mawps/fold{expected}/train.csv.gz",
        f"arithmetic/cv_mawps/fold{expected}/dev.csv.gz",
    )


def test_plain_files_are_used_where_there_are_no_gzipped_ones(tmp_path: Path) -> None:
    write(tmp_path, "cv_asdiv-a/fold0")
    files = asdiv_a_gts.data_files(context_of(tmp_path, FoldedParams()))
    assert files == ("arithmetic/cv_asdiv-a/fold0/train.csv", "arithmetic/cv_asdiv-a/fold0/dev.csv")


def test_svamp_is_scored_on_the_original_json_where_the_csv_is_missing(tmp_path: Path) -> None:
    (tmp_path / "arithmetic").mkdir()
    (tmp_path / "arithmetic" / "SVAMP.json").write_text("[]")
    files = svamp_gts.data_files(context_of(tmp_path, WordProblemParams()))
    assert files == ("arithmetic/mawps-asdiv-a_svamp/train.csv.gz", "arithmetic/SVAMP.json")


def test_without_a_data_folder_one_line_says_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"mawps-gts reads arithmetic/.* --data-dir"):
        mawps_gts.prepare_data(context_of(None, FoldedParams()))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"recipe": "labtop"}, "recipe='labtop': expected paper or workstation or laptop; did you mean 'laptop'"),
        ({"selection": "test"}, "selection='test': expected valid or paper"),
        ({"hidden": 0}, "hidden=0: expected a whole number from 1 on"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0: expected a number above 0"),
        ({"dropout": 1.0}, "dropout=1.0: expected a number from 0 to below 1"),
        ({"fold": 5}, "fold=5: expected 0 to 4"),
    ],
)
def test_a_wrong_parameter_says_what_would_work(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        FoldedParams(**setting)
    assert message in str(caught.value)


def test_the_paper_recipe_is_the_published_one() -> None:
    settings = FoldedParams().settings("GTS", paper_batch=4)
    assert (settings.hidden, settings.embedding, settings.batch, settings.epochs) == (512, 768, 4, 50)
    assert (settings.learning_rate, settings.dropout, settings.beam, settings.halve_every) == (1e-3, 0.5, 5, 20)


def test_single_values_replace_those_of_the_recipe() -> None:
    settings = WordProblemParams(recipe="laptop", hidden=96, batch=32).settings("GTS", paper_batch=8)
    assert (settings.hidden, settings.embedding, settings.batch) == (96, 128, 32)


def prepared(tmp_path: Path, **settings: Any) -> Any:
    write(tmp_path, "cv_mawps/fold0")
    context = context_of(tmp_path, FoldedParams(recipe="laptop", **{**TINY, **settings}))
    context.data = mawps_gts.prepare_data(context)
    return context


def test_the_best_epoch_is_chosen_on_the_split_that_was_asked_for(tmp_path: Path) -> None:
    context = prepared(tmp_path, selection="paper")
    recipe = mawps_gts.recipe(context)
    assert recipe.steps == 6
    assert recipe.selection is not None
    assert (recipe.selection.split, recipe.selection.every) == ("test", 2)
    context.params = FoldedParams(recipe="laptop", **TINY)
    recipe = mawps_gts.recipe(context)
    assert recipe.selection is not None
    assert recipe.selection.split == "valid"


def test_an_epoch_in_batches_of_similar_length_visits_every_example_once() -> None:
    lengths = [index % 17 for index in range(101)]
    batches = list(bucketed(lengths, 4, torch.Generator().manual_seed(0)))
    assert sorted(index for batch in batches for index in batch) == list(range(101))
    assert max(len(batch) for batch in batches) == 4
    spread = sum(max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches) / len(batches)
    assert spread < 4.0  # unsorted batches of four spread over about ten


def test_the_order_of_an_epoch_follows_its_generator() -> None:
    lengths = [index % 17 for index in range(50)]
    first = list(bucketed(lengths, 4, torch.Generator().manual_seed(0)))
    assert first == list(bucketed(lengths, 4, torch.Generator().manual_seed(0)))
    assert first != list(bucketed(lengths, 4, torch.Generator().manual_seed(1)))


def test_evaluation_scores_values_and_names_every_problem(tmp_path: Path) -> None:
    context = prepared(tmp_path)
    torch.manual_seed(0)
    model = mawps_gts.prepare_model(context).eval()
    outcomes = mawps_gts.evaluate(model, "test", context)
    assert outcomes.ids == [f"cv_mawps-fold0-test-{index}" for index in range(4)]
    assert outcomes.values.shape == (4,)
    assert set(outcomes.values.tolist()) <= {0.0, 1.0}


def test_a_model_that_went_to_nan_is_not_scored(tmp_path: Path) -> None:
    context = prepared(tmp_path)
    model = mawps_gts.prepare_model(context).eval()
    with torch.no_grad():
        model.decoder.score.energy.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        mawps_gts.evaluate(model, "test", context)


def test_presets_name_matrices_of_the_model_once(tmp_path: Path) -> None:
    model = mawps_gts.prepare_model(prepared(tmp_path))
    presets = mawps_gts.prunable(model)
    matrices = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    assert presets["paper"] == matrices
    left_out = set(matrices) - set(presets["backbone"])
    assert left_out == {
        "encoder.words.embedding.weight",
        "decoder.symbols.weight",
        "decoder.score.query.weight",
        "decoder.score.key.weight",
        "decoder.score.energy.weight",
        "decoder.operators.weight",
    }


def test_an_equation_with_an_unseen_constant_can_still_be_answered() -> None:
    vocabulary = vocabulary_of([Problem("a", ("number0",), (1.0,), ("number0",), 1.0)])
    example: Example = encode(Problem("b", ("number0",), (1.0,), ("*", "number0", "3.0"), 3.0), vocabulary)
    assert example.symbols == ()


def test_a_number_without_a_place_in_the_question_is_refused() -> None:
    vocabulary = vocabulary_of([])
    with pytest.raises(ValueError, match="number1 does not occur"):
        encode(Problem("b", ("number0",), (1.0, 2.0), ("number0",), 1.0), vocabulary)


def test_rare_words_are_unknown() -> None:
    problems = [Problem("a", ("egg", "egg", "rare"), (), ("2.0",), 2.0)]
    vocabulary = vocabulary_of(problems, min_count=2)
    assert encode(problems[0], vocabulary).tokens == (2, 2, 1)


def test_the_paper_recipe_of_graph2tree_is_the_one_of_its_scripts() -> None:
    settings = WordProblemParams().settings("Graph2Tree")
    assert (settings.hidden, settings.batch, settings.epochs, settings.learning_rate) == (384, 8, 50, 8e-4)


def test_six_tasks_are_published_and_none_runs_unasked() -> None:
    data = ("mawps", "asdiv-a", "svamp")
    assert [plugin.name for plugin in plugins] == [
        f"{name}-{model}" for model in ("gts", "graph2tree") for name in data
    ]
    assert not any(plugin.default for plugin in plugins)
