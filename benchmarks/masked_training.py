"""A training step at 80 % sparsity, beside the dense step, and beside `torch.nn.utils.prune`.

    python -m benchmarks.masked_training [--steps 20]

12.6 million prunable weights, batches of 8 x 64 tokens, fused AdamW. Ours is the harness's trainer, which masks
gradients before they are clipped and weights after the step; torch's reparametrisation multiplies in the forward pass.
Checked before any time is told: after the steps of a plain loop and of ours from the same weights, the weights agree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from benchmarks import encoder_task
from benchmarks.measure import Result, arguments, in_turn
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.loading import Locator, load
from smc_harness.sparsity import select_global
from smc_harness.training.trainer import Training

LEVEL = 0.8


class Ours:
    """The harness's trainer on one model, from where it stopped."""

    def __init__(self, talk: Conversation, model: nn.Module, mask: dict[str, Tensor] | None) -> None:
        self.talk, self.model, self.done = talk, copy.deepcopy(model), 0
        self.recipe = talk.recipe(retraining=False)
        self.training = Training(
            talk,
            self.model,
            self.recipe,
            turn=0,
            mask=mask,
            schedule=None,
            prune_to=lambda level: {},
            follow_mask=False,
            progress=lambda step, of: None,
        )

    def step(self, count: int) -> None:
        total = self.recipe.steps
        self.training.run(self.done / total, (self.done + count) / total)
        self.done += count


class Plain:
    """A loop as scripts have it, with the same batches."""

    def __init__(self, talk: Conversation, model: nn.Module, mask: dict[str, Tensor] | None) -> None:
        self.model, self.done = copy.deepcopy(model), 0
        if mask is not None:
            for path, flags in mask.items():
                module, _, name = path.rpartition(".")
                prune.custom_from_mask(self.model.get_submodule(module), name, flags)
        recipe = talk.recipe(retraining=False)
        self.optimizer = recipe.optimizer([{"params": list(self.model.parameters())}])
        draws = torch.Generator().manual_seed(talk.task.seed_for("order", 0, 0))
        order = torch.randperm(len(talk.data["train"]), generator=draws).tolist()
        size = recipe.batch_size
        self.batches = [[talk.data["train"][i] for i in order[at : at + size]] for at in range(0, len(order), size)]

    def step(self, count: int) -> None:
        self.model.train()
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            batch = encoder_task.collate(self.batches[self.done % len(self.batches)])
            encoder_task.compute_loss(self.model, batch).backward()
            self.optimizer.step()
            self.done += 1


def main() -> int:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--steps", type=int, default=20, help="of each side in a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = Result("A training step at 80 % sparsity", "python -m benchmarks.masked_training")
    result.figures["threads"] = "1"
    for batch in (8, 2):
        sides = made(batch)
        if batch == 8:
            agree(result, {name: maker() for name, maker in sides.items()})
        running = {name: maker() for name, maker in sides.items()}
        actions = {name: lambda side=side: side.step(options.steps) for name, side in running.items()}  # type: ignore[misc]
        times = in_turn(actions, options.rounds, options.clock)
        limit = 1.05 if batch == 8 else None
        result.add(f"masked, batch {batch}", times, "ours, masked", "ours, dense", at_most=limit)
        result.add(f"torch.nn.utils.prune, batch {batch}", times, "plain, masked", "plain, dense")
        result.add(f"the harness's loop, batch {batch}", times, "ours, dense", "plain, dense")
    return result.finish(options.json)


def made(batch: int) -> dict[str, Callable[[], Ours | Plain]]:
    """The four sides, each from the same weights."""
    place = Locator("task", encoder_task.name, encoder_task.__name__, path=str(Path(encoder_task.__file__)))
    talk = Conversation(load(place, {"batch": str(batch)}), None, [], RunOptions(), 0)
    model = talk.build_model()
    mask = select_global({name: weight.detach().abs() for name, weight in talk.prunable(model)}, LEVEL)
    return {
        "ours, dense": lambda: Ours(talk, model, None),
        "ours, masked": lambda: Ours(talk, model, mask),
        "plain, dense": lambda: Plain(talk, model, None),
        "plain, masked": lambda: Plain(talk, model, mask),
    }


def agree(result: Result, sides: dict[str, Ours | Plain]) -> None:
    """Some steps from the same weights lead to the same weights."""
    for side in sides.values():
        side.step(5)
    for kind in ("dense", "masked"):
        plain = sides[f"plain, {kind}"].model
        for module in list(plain.modules()):
            if hasattr(module, "weight_orig"):
                prune.remove(module, "weight")
        ours = dict(sides[f"ours, {kind}"].model.named_parameters())
        for name, weight in plain.named_parameters():
            torch.testing.assert_close(ours[name], weight, rtol=1e-4, atol=1e-6)
    result.checked.append("weights after five steps, ours and a plain loop, dense and masked")


if __name__ == "__main__":
    raise SystemExit(main())
