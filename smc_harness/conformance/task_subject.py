"""A task under examination, and what several checks look at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from smc_harness.cells import Measurement
from smc_harness.collection.data_files import with_files
from smc_harness.collection.pretrained import with_pretrained
from smc_harness.conformance import short
from smc_harness.conformance.subject import Subject
from smc_harness.conformance.surroundings import Seen, watched
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.conversation.scoring import restored
from smc_harness.discovery.loading import Locator, Plugin, load
from smc_harness.errors import HarnessError
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts

SCORED = 48
"""Examples of the test split that are scored."""

EXAMPLES = 64
"""Examples that the loss is asked for, at most."""

Splits = Mapping[str, Sequence[Any]]


@dataclass
class Watched:
    """A short run, from data to evaluation. splits, measured: None where it broke before, with `error`."""

    seen: Seen
    splits: Splits | None = None
    measured: Measurement | None = None
    error: Exception | None = None


@dataclass
class TaskSubject(Subject):
    """data_dir, model_dir: as --data-dir and --model-dir."""

    data_dir: str | None = None
    model_dir: str | None = None

    @cached_property
    def options(self) -> RunOptions:
        """Raises UsageError where a file that it declares is missing."""
        data, models = (str(Path(path).resolve()) if path else None for path in (self.data_dir, self.model_dir))
        options = RunOptions(limit=SCORED, data_dir=data, model_dir=models)
        return with_pretrained(self.plugin, with_files(self.plugin, options, 0), 0)

    def talk(self, seed: int = 0) -> Conversation:
        return Conversation(self.plugin, None, [], self.options, seed)

    @cached_property
    def built(self) -> tuple[Conversation, nn.Module]:
        """A conversation with the model at its start weights, for checks that leave it as it is."""
        talk = self.talk()
        return talk, talk.build_model().eval()

    def examples(self, n: int = EXAMPLES) -> Sequence[Any]:
        """Of the train split, from its start."""
        train = self.built[0].data["train"]
        return [train[i] for i in range(min(n, len(train)))]

    def loss(self, model: nn.Module, examples: Sequence[Any]) -> Tensor:
        talk = self.built[0]
        with talk.seeded(talk.task, "step"):
            return talk.loss(model, talk.collate(list(examples)))

    @property
    def magnitude(self) -> Plugin:
        """A pruner of the kit's own."""
        where = Locator(
            "pruner", short.magnitude.name, f"module {short.__name__}", short.__name__, attribute="magnitude"
        )
        return load(where)

    @property
    def shortened(self) -> Plugin:
        """What cuts every training down to a few steps."""
        where = Locator("session", short.shorter.name, f"module {short.__name__}", short.__name__, attribute="shorter")
        return load(where)

    @contextmanager
    def trajectory(self, levels: Sequence[float]) -> Iterator[Trajectory]:
        with tempfile.TemporaryDirectory() as folder:
            yield Trajectory(
                self.plugin,
                self.magnitude,
                [self.shortened],
                self.options,
                0,
                Artifacts(Path(folder)),
                lambda what, step, of: None,
                levels,
            )

    @cached_property
    def watched(self) -> Watched:
        """One level of the kit's pruner, in trainings of a few steps, from data to evaluation.

        Raises UsageError where a declared file is missing.
        """
        talk = self.talk()
        with watched() as seen, self.trajectory((0.5,)) as trajectory:
            result = Watched(seen)
            try:
                # a trajectory takes the splits that this process has already, and would prepare none under watch
                result.splits = self._prepared(talk)
                result.measured = trajectory.measure(0.5)
            except (Exception, SystemExit) as error:
                result.error = error if isinstance(error, Exception) else HarnessError(f"SystemExit({error})")
        return result

    @cached_property
    def prepared(self) -> tuple[Splits, Splits]:
        """What `prepare_data` gives, all of it, and what it gives when it is asked again."""
        if self.watched.splits is None:
            raise self.watched.error or AssertionError("neither splits nor an error")
        return self.watched.splits, self._prepared(self.talk())

    def _prepared(self, talk: Conversation) -> Splits:
        with talk.seeded(talk.task, "data"):
            given: Splits = talk.hook.prepare_data(context=talk.task)
        return given

    @cached_property
    def reached(self) -> frozenset[str]:
        """Names of the parameters on which the loss of some examples depends, frozen ones included."""
        _, built = self.built
        with restored(built):
            built.zero_grad(set_to_none=True)
            for parameter in built.parameters():
                if parameter.is_floating_point():
                    parameter.requires_grad_(True)  # pruners score a frozen tensor like any other
            self.loss(built, self.examples()).backward()  # type: ignore[no-untyped-call]
            return frozenset(name for name, parameter in built.named_parameters() if parameter.grad is not None)
