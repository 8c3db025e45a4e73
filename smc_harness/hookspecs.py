"""The contract between the harness and its plugins. No logic lives here.

Read from top to bottom, this file is the life of one run. Every hook says when it is called, what its arguments
are, what it returns, who may implement it, and what it may change. "First result wins" means that the first
implementation that returns something other than None decides; plugins are asked before the harness's defaults.

Three kinds of plugins exist. A *task* (dataset, model, training recipe, metric) and a *pruner* (a sparse algorithm)
meet in a cell. A *session plugin* sees the whole run; it may wrap the hooks of tasks and pruners
(`@hookimpl(wrapper=True)`) but never answer for them.

A hook implementation takes any subset of the documented arguments, by the documented names, without defaults and
without keyword-only arguments. A plugin that breaks these rules, or implements a hook of the wrong kind, is refused
when it is loaded, with the reason and the remedy.

Beside hooks, a plugin declares attributes, of which only `name` must be there, and of a pruner `phase`.

Of every plugin:
    name: any text that is not empty.
    api: the version of this contract that it was written for, such as "1.0"; a harness that has another one refuses it
        with the remedy.
    description: one line, for `smc-harness list`; else the first line of its docstring.
    version: raise it when code that the harness cannot see changes.
    params: a frozen dataclass, set by --set.
    needs: names of the parameters without which it cannot run.
    default: False: runs only when named.

Of a task:
    metric: what its score is called.
    unit: `fraction`, or the name of the unit.
    chance: the score of guessing. May be a function of the parameters.
    higher_is_better: False where a lower score is the better one.
    floor: what the dense score must exceed. May be a function of the parameters.
    tolerance: the largest drop that passes where --tolerance does not say, as it takes it: 0.01, or "0.5abs".
    published: the published dense score, for comparison; it decides nothing.
    training: an id; tasks with the same one share one trained model. Else the name.
    folds: where its data are so many folds and seed k sees fold k mod `folds`: verdicts are then taken on the outcomes
        of all folds together. May be a function of the parameters.
    head: globs over the parameter names of its output layers, for the diagnosis.
    prediction: what it calls what it predicts (`class`), for the diagnosis.
    model: in words, for `smc-harness list tasks`.
    dataset: in words, for the same.
    hub: "id@commit" of datasets that come from the hub without --data-dir, for the same.
    published_curves: where a paper has some: a CSV file, relative to the plugin's own, with columns `task`, `pruner`,
        `level`, `value` (in the task's unit; `dense` at level 0) and, if need be, `uncertain`, `figure`, `reading` and
        `note`. It is read by nothing but `smc-harness report --published`.
    published_params: the parameters it was published with, where not the defaults.

Of a pruner:
    phase: when it prunes: before, during, after or iterative. May be a function of the parameters, as `levels`.
    levels: the only ones it exists at. May be a function of the parameters, called before anything runs; it must not
        import torch.
    files: paths of what it reads beside the task's data, relative to the working directory: a missing one is a usage
        error, and the content of each is part of the content keys, in place of parameters of type `Path`. May be a
        function of the parameters, as `levels`.
    prunes: `linear` where it can prune nothing else.
    allocation: where it wants another than `global`.
    pattern: where it wants another than `none`.
    nested: True: from the same weights, a higher level keeps a part of what a lower one keeps.
    local: True: the scores of a tensor follow from its own values alone, so that `smc-harness prune` may take a
        checkpoint beyond memory one tensor after another.
    score: in words, for the page on pruners.
    cost: in words, for the same.
    paper: in words, for the same.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import torch

    from smc_harness.cells import Cell, CellResult
    from smc_harness.config import Config
    from smc_harness.conversation.context import PrunerContext, TaskContext
    from smc_harness.declarations.outcomes import Outcomes
    from smc_harness.declarations.plans import Stage
    from smc_harness.declarations.pretrained import Pretrained
    from smc_harness.declarations.recipe import Recipe
    from smc_harness.session import Session

PROJECT = "smc_harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

SESSION_HOOKS = frozenset(
    {
        "addoption",
        "configure",
        "modify_cells",
        "session_started",
        "cell_started",
        "cell_finished",
        "session_finished",
        "report",
    }
)
TASK_HOOKS = frozenset(
    {
        "data_files",
        "pretrained",
        "prepare_data",
        "prepare_model",
        "prunable",
        "recipe",
        "collate",
        "compute_loss",
        "blocks",
        "evaluate",
        "aggregate",
    }
)
PRUNER_HOOKS = frozenset({"plan", "compute_scores", "apply_mask", "update_mask"})


# ---------------------------------------------------------------------------------------------------------------
# The session begins. Implemented by session plugins.
# ---------------------------------------------------------------------------------------------------------------


@hookspec
def addoption(parser: ArgumentParser) -> None:
    """Add command-line options of your own.

    When: once, before the command line is parsed, in the driver.
    parser: the parser of `smc-harness run`.
    May change: the parser, by adding arguments or argument groups.
    Example: `parser.add_argument("--my-report", metavar="FILE")`.
    """


@hookspec
def configure(config: Config) -> None:
    """Read your options and get ready, or register the plugin object that does the work.

    When: once, after the command line was parsed, before anything is collected.
    config: the settled options as `config.options`; `config.pluginmanager.register(...)` adds a plugin object.
    May change: what the plugin manager knows, and `config.stash`, under a key of its own.
    Example: `config.pluginmanager.register(MyReport(config.options.my_report))`.
    """


@hookspec
def modify_cells(cells: list[Cell], config: Config) -> None:
    """Reorder, drop or add cells.

    When: once, after collection and before selection by id, -k and --deselect.
    cells: the collected cells in order.
    config: the settled options.
    May change: the list `cells`, in place; a cell itself is frozen.
    Example: `cells[:] = [cell for cell in cells if cell.level < 0.9]`.
    """


@hookspec
def session_started(session: Session) -> None:
    """The cells are settled and the store is open.

    When: once, before the first cell.
    session: `session.collection.cells`, `session.config`, `session.store`.
    May change: nothing.
    """


@hookspec
def cell_started(cell: Cell) -> None:
    """A cell is about to be computed (never called for one whose result the store already has).

    When: in the driver, as soon as the worker that runs it says so.
    cell: its task, pruner, level, seed and id.
    May change: nothing.
    Example: `self.started[cell.id] = time.monotonic()`.
    """


# ---------------------------------------------------------------------------------------------------------------
# The task prepares. Implemented by tasks; global random state is seeded around every call and restored after it.
# ---------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def data_files(context: TaskContext) -> Sequence[str] | None:
    """Name the files under --data-dir that this task reads.

    When: in the driver, before anything runs; must not import torch. First result wins; default: none.
    context: only `params`, `seed` and `data_dir` are meaningful here.
    Returns: paths relative to --data-dir. A missing one is a usage error that names it. The content of each one is
    part of every content key, so that edited data never meets a stale result.
    Example: `return [context.params.train, context.params.test]`.
    """


@hookspec(firstresult=True)
def pretrained(context: TaskContext) -> Pretrained | None:
    """Name the checkpoint that this task starts from.

    When: in the driver, before anything runs; must not import torch. First result wins; default: none.
    context: only `params`, `seed` and `data_dir` are meaningful here.
    Returns: `Pretrained(hub id, commit)`. With --model-dir DIR it is read from DIR/<hub id> or DIR/<its last part>, and
    the content of its files is part of every content key; else from the hub, by id and commit. Later hooks find the
    place as `context.pretrained`. What is not there is a usage error. One file that the task reads itself
    is `Pretrained("name.pt", formats=(".pt",))`, DIR/name.pt; `url` says where weights that are on no hub are.
    Example: `Pretrained("FacebookAI/roberta-base", "e2da8e2f811d1448a5b465c236feacd80ffbac7b")`.
    """


@hookspec(firstresult=True)
def prepare_data(context: TaskContext) -> Mapping[str, Sequence[Any]] | None:
    """Read or generate the examples, tokenised, ready to be collated.

    When: once per process and (task, seed). First result wins; required of every task.
    context: `params`, `seed`, `data_dir`, `generator`; there is no model yet.
    Returns: {"train": examples, "test": examples} and optionally "valid"; where a recipe selects on `valid` and it is
    absent, the harness carves every tenth example of a seeded shuffle of `train` out for it. An example is what
    `collate` takes. Respect `context.limit` (examples to score) by leaving it to the harness: it cuts `test` itself.
    Example: `return {"train": read(context.data_dir / "train.csv"), "test": read(context.data_dir / "test.csv")}`.
    """


@hookspec(firstresult=True)
def prepare_model(context: TaskContext) -> torch.nn.Module | None:
    """Build the model with its start weights (pretrained or fresh), in float32 on the CPU.

    When: once per process and (training id, seed). First result wins; required of every task.
    context: `context.data` holds the splits (for a vocabulary, a number of classes).
    Returns: the model. Must give the same weights for the same (parameters, seed): draw from the global generators or
    `context.generator`, both of which are seeded.
    Example: `return RobertaForMultipleChoice(RobertaConfig(hidden_size=context.params.hidden_size))`.
    """


@hookspec(firstresult=True)
def prunable(model: torch.nn.Module, context: TaskContext) -> Mapping[str, Sequence[str]] | None:
    """Name the prunable tensors, by scope preset.

    When: after the model was built. First result wins.
    May change: nothing.
    Returns: {preset: names as in `model.named_parameters()`}; the order of the names is the order in which ties are
    broken. `paper` is the preset used unless --scope says otherwise. A tied tensor is listed once, by the first of
    its names. Leave out tensors that the forward pass never uses.
    Default: {"paper": every parameter with two dimensions}.
    Example: `return {"paper": matrices, "backbone": [name for name in matrices if "embed" not in name]}`.
    """


@hookspec(firstresult=True)
def recipe(context: TaskContext) -> Recipe | None:
    """Say how the model is trained.

    When: at the start of every training stage. First result wins; required of every task.
    context: `context.retraining` is False for a training that starts from start weights (or was rewound), True for
    one that starts from weights trained to the end; the latter may be shorter (a fine-tune).
    Returns: a `Recipe`.
    Example: `return Recipe(steps=900, batch_size=32, optimizer=partial(torch.optim.AdamW, lr=3e-3))`.
    """


@hookspec(firstresult=True)
def collate(examples: list[Any], context: TaskContext) -> Any:
    """Turn a list of examples into a batch.

    When: for every batch. First result wins; required of every task.
    examples: of one split, as `prepare_data` returned them.
    May change: nothing; examples are used again in every epoch.
    Returns: a tensor, or a (nested) dict, list or tuple of tensors; the harness moves it to the device.
    Example: `return {"x": torch.stack([x for x, _ in examples]), "y": torch.tensor([y for _, y in examples])}`.
    """


@hookspec(firstresult=True)
def compute_loss(model: torch.nn.Module, batch: Any, context: TaskContext) -> torch.Tensor | None:
    """The training loss.

    When: every training step, and whenever a pruner asks for `context.loss(model, batch)`; under torch's autocast with
    `--precision bfloat16`, as `evaluate` is. First result wins; required of every task.
    model: in train mode while it is trained, in eval mode while a pruner scores it.
    batch: what `collate` returned, on the model's device.
    May change: nothing.
    Returns: a scalar, the mean over the examples of the batch, attached to the graph.
    Example: `return torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])`.
    """


@hookspec(firstresult=True)
def blocks(model: torch.nn.Module, context: TaskContext) -> Sequence[torch.nn.Module] | None:
    """The model's blocks in forward order, for pruners that work layer by layer.

    When: a pruner asks for `context.blocks(model)`. First result wins.
    May change: nothing.
    Returns: modules of the model, in the order of the forward pass.
    Example: `return [*model.encoder.layer, *model.decoder.layer]`.
    Default: the longest `torch.nn.ModuleList` of the model.
    """


# ---------------------------------------------------------------------------------------------------------------
# The pruner prunes. Implemented by pruners.
# ---------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def plan(level: float, context: PrunerContext) -> Sequence[Stage] | None:
    """The stages that lead from start weights to a sparse model.

    When: in the driver and in the worker, for each level; must not import torch. First result wins.
    level: the asked sparsity in [0, 1).
    context: only `params`, `structure` and `seed` are meaningful here.
    Returns: `Train`, `Prune` and `Rewind` stages. Levels whose plans begin alike share that work. What becomes of dead
    weights in a training is said there, by `Train(dead=...)`.
    Default, by the pruner's `phase`: before = [Prune, Train]; after = [Train, Prune, Train]; during = [Train under
    the cubic schedule]; iterative = rounds of [Train, Prune, Rewind to the start] and a last Train.
    Example: `return [Train(until=0.5), Prune(level), Train()]`.
    """


@hookspec(firstresult=True)
def compute_scores(model: torch.nn.Module, context: PrunerContext) -> Mapping[str, torch.Tensor] | None:
    """Score every prunable weight: its saliency.

    When: before each pruning. First result wins.
    model: in eval mode, gradients are enabled, `.grad` is None, pruned weights are zero. Its weights are float32, or
        bfloat16 or float16 where a checkpoint is kept so.
    May change: nothing that lasts; weights must be left as found. The harness restores mode, gradients, hooks and
        random state afterwards. `context.state` is the plugin's own.
    Returns: {name: scores of the parameter's shape} for every name of `context.prunable(model)`. Higher means keep,
    -inf is pruned first, +inf last, NaN is an error. Scores do not depend on the level (they are computed once for
    all levels that prune from the same weights), so `context.level` is not set here.
    Example: `return {n: p.detach().abs() for n, p in context.prunable(model)}`.
    """


@hookspec(firstresult=True)
def apply_mask(
    model: torch.nn.Module, scores: Mapping[str, torch.Tensor] | None, level: float, context: PrunerContext
) -> Mapping[str, torch.Tensor] | None:
    """Choose the weights that live.

    When: after `compute_scores`, for each level. First result wins.
    model: in eval mode, without gradients; mode and hooks are restored afterwards.
    scores: what `compute_scores` returned, or None for a pruner that does not implement it.
    level: the sparsity to reach at this stage, pruned / prunable, counting what was pruned before.
    May change: `scores`; surviving weights in place, and parameters and buffers out of scope. The harness zeroes the
        pruned ones and checks that they stay zero.
    Returns: {name: bool tensor of the parameter's shape, True = keep}.
    Default: `context.select(scores, level)`, exact selection under the pruner's allocation and pattern: pruned =
    floor(level x N + 1/2); ties keep the lowest index in scope order; what is already pruned stays pruned.
    Example: `return {name: mask & ~outliers[name] for name, mask in context.select(scores, level).items()}`.
    """


@hookspec(firstresult=True)
def update_mask(
    model: torch.nn.Module, mask: Mapping[str, torch.Tensor], context: PrunerContext
) -> Mapping[str, torch.Tensor] | None:
    """Change the mask during training, or gather statistics for a later pruning.

    When: every optimiser step of a training stage that has a mask or a pruning schedule, after the backward pass.
    First result wins.
    model: `.grad` holds the gradients of all weights, dead ones included, before masking and clipping.
    mask: the present mask, {name: bool}.
    context: `step`, `total_steps`, `level` (the level asked of the cell), `state` (tensors to keep).
    May change: `context.state`; not `mask` in place, and no weight.
    Returns: a new mask, or None to leave it. Newly living weights start at zero with fresh optimiser state, unless the
    stage's `dead` says otherwise.
    Example: `return regrown(model, mask) if context.step % 100 == 0 else None`.
    """


# ---------------------------------------------------------------------------------------------------------------
# The task judges. Implemented by tasks.
# ---------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def evaluate(model: torch.nn.Module, split: str, context: TaskContext) -> Outcomes | None:
    """Score the model on a split.

    When: after the last stage of a plan (split "test"), and during training where the recipe selects. Under
    --evaluate-in, a dense model is scored twice, in either precision.
    First result wins; required of every task.
    model: in eval mode, without gradients.
    split: "test", or "valid".
    May change: nothing.
    Returns: `Outcomes`, one row per example of `context.data[split]`, in its order.
    Example: `return Outcomes(torch.tensor(context.outputs(split, 64, lambda batch: right(model, batch))))`.
    """


@hookspec(firstresult=True)
def aggregate(outcomes: Outcomes, context: TaskContext) -> float | None:
    """Compute the metric from per-example outcomes.

    When: after `evaluate`, and by resampling statistics on subsets. First result wins.
    outcomes: what `evaluate` returned, or some of its rows, a row perhaps several times.
    May change: nothing.
    Returns: the metric in the task's unit.
    Default: the mean of `outcomes.values`.
    Example: `return bleu(outcomes.values.sum(dim=0))`.
    """


# ---------------------------------------------------------------------------------------------------------------
# The session ends. Implemented by session plugins.
# ---------------------------------------------------------------------------------------------------------------


@hookspec
def cell_finished(result: CellResult) -> None:
    """A cell has its verdict, and its measurement is durable.

    When: in the driver, once for every cell of the run, those found in the store included.
    result: the cell, its verdict, and what it was measured to be.
    May change: nothing; a result is what gets written.
    Example: `print(result.cell.id, result.verdict, file=self.file)`.
    """


@hookspec
def session_finished(session: Session, results: Sequence[CellResult]) -> None:
    """No more cells will be computed, because all are done or because the run was stopped.

    When: once, before `report`.
    session: as in `session_started`, and `session.number`, which `smc-harness report` takes; `session.interrupted` and
        `session.faults` say what went wrong.
    results: in collection order, one per collected cell that was settled.
    May change: nothing.
    """


@hookspec
def report(results: Sequence[CellResult], config: Config) -> None:
    """Write a report.

    When: once, last.
    results: as in `session_finished`.
    config: the settled options.
    May change: nothing.
    Example: `Path(config.options.my_report).write_text(table(results))`.
    """
