"""What a script does: one cell after the other, each from nothing, pruned by `torch.nn.utils.prune`.

    python -m benchmarks.plain TASK ... [--pruners NAME,...] --level LEVEL [--json FILE]

Data, model, loss, recipe, seeds and scores are those of the same plugins, so the mathematics is the same; what a
script lacks is what the harness adds: nothing is shared between cells, and nothing runs beside another. Pruners that
move their mask keep the one they start with, which saves the script their updates.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from smc_harness.conversation import conversation
from smc_harness.conversation.conversation import Conversation, seed_globally
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.splits import Kept
from smc_harness.declarations.plans import Prune, Stage, Train
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.lifecycle.keys import plan_of


class Script:
    """One cell."""

    def __init__(self, task: str, pruner: str, level: float) -> None:
        found = discover().installed
        self.level = level
        self.talk = Conversation(load(found["task"][task]), load(found["pruner"][pruner]), [], RunOptions(), 0)
        self.model = self.talk.build_model()
        self.start = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.masks: dict[str, Tensor] = {}
        self.turn = 0

    def run(self) -> float:
        """The score after the pruner's plan."""
        talk = self.talk
        assert talk.pruner_plugin is not None
        for stage in plan_of(talk.hook, talk.pruner_plugin, self.level, talk.pruner):
            self.do(stage)
        return talk.evaluate(self.model, "test")[1]

    def do(self, stage: Stage) -> None:
        match stage:
            case Train():
                self.train(stage)
                self.turn += 1
            case Prune(level=level):
                self.prune(level)
            case _:  # a lottery ticket goes back to the start
                self.model.load_state_dict(self.start)
                self.mask()
                self.turn = 0

    def prune(self, level: float) -> None:
        """Score the weights as they are, and prune to a level of all of them."""
        masks = self.masks
        self.model.eval()
        with torch.enable_grad():
            given = self.talk.hook.compute_scores(model=self.model, context=self.talk.pruner)
        scores = {
            name: given[name].masked_fill(~masks[name], -torch.inf) if name in masks else given[name] for name in given
        }
        self.model.zero_grad(set_to_none=True)
        places = {self.place(name): scores[name] for name in scores}
        count = int(level * sum(tensor.numel() for tensor in scores.values()) + 0.5)
        prune.global_unstructured(list(places), prune.L1Unstructured, importance_scores=_positive(places), amount=count)
        for name in scores:
            module, attribute = self.place(name)
            self.masks[name] = getattr(module, f"{attribute}_mask").bool()
            prune.remove(module, attribute)

    def place(self, name: str) -> tuple[nn.Module, str]:
        module, _, attribute = name.rpartition(".")
        return self.model.get_submodule(module), attribute

    @torch.no_grad()
    def mask(self) -> None:
        """Zero what is pruned, after every step: reparametrised weights are not seen by layers that share them."""
        weights = dict(self.model.named_parameters())
        for name, flags in self.masks.items():
            weights[name].mul_(flags)

    def train(self, stage: Train) -> None:
        recipe = self.talk.recipe(retraining=self.turn > 0)
        level = 0.0
        optimizer = self.optimizer(recipe)
        rates = [group["lr"] for group in optimizer.param_groups]
        self.model.train()
        for step, indices in zip(range(recipe.steps), self.batches(recipe), strict=False):
            if stage.prune is not None and stage.prune(step / recipe.steps) > level:
                level = stage.prune(step / recipe.steps)
                self.prune(level)
                self.model.train()
            seed_globally(self.talk.task.seed_for("step", self.turn, step))
            self.talk.task.reseed("step", self.turn, step)
            optimizer.zero_grad(set_to_none=True)
            train = self.talk.data["train"]
            self.talk.loss(self.model, self.talk.collate([train[i] for i in indices])).backward()  # type: ignore[no-untyped-call]
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * (recipe.schedule(step, recipe.steps) if recipe.schedule else 1.0)
            optimizer.step()
            self.mask()
        if stage.prune is not None and stage.prune(1.0) > level:
            self.prune(stage.prune(1.0))

    def optimizer(self, recipe: Any) -> torch.optim.Optimizer:
        groups = recipe.parameter_groups(self.model) if recipe.parameter_groups else None
        found: torch.optim.Optimizer = recipe.optimizer(groups or [{"params": list(self.model.parameters())}])
        return found

    def batches(self, recipe: Any) -> Iterator[list[int]]:
        count, epoch = len(self.talk.data["train"]), 0
        while True:
            draws = torch.Generator().manual_seed(self.talk.task.seed_for("order", self.turn, epoch))
            if recipe.batch_order is not None:
                yield from recipe.batch_order(count, recipe.batch_size, draws)
            else:
                order = torch.randperm(count, generator=draws).tolist()
                yield from (order[at : at + recipe.batch_size] for at in range(0, count, recipe.batch_size))
            epoch += 1


def _positive(scores: Mapping[tuple[nn.Module, str], Tensor]) -> dict[tuple[nn.Module, str], Tensor]:
    """The same order above zero: torch prunes the smallest magnitudes."""
    joined = torch.cat([tensor.detach().reshape(-1) for tensor in scores.values()])
    ranks = torch.empty(len(joined))
    ranks[joined.argsort()] = torch.arange(1.0, len(joined) + 1)
    pieces = ranks.split([tensor.numel() for tensor in scores.values()])
    return {place: piece.view_as(tensor) for (place, tensor), piece in zip(scores.items(), pieces, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--pruners", help="default: those that run by default")
    parser.add_argument("--level", type=float, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plugins = {name: load(place) for name, place in discover().installed["pruner"].items()}
    wanted = options.pruners.split(",") if options.pruners else [name for name, p in plugins.items() if p.default]
    scores = []
    for task in options.tasks:
        for pruner in wanted:
            conversation._splits = Kept()  # a script reads its data
            scores.append((task, pruner, Script(task, pruner, options.level).run()))
            print(*scores[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(scores), encoding="utf-8")


if __name__ == "__main__":
    main()
