"""Ten levels of a pretrained encoder on multiple choice: the harness beside a script, and beside bare products.

    python -m benchmarks.sweep --model FOLDER --data-dir DIR [--questions FILE] [--rounds 3] [--clock cpu] [--json FILE]

FOLDER: an encoder with its tokeniser, such as all-MiniLM-L6-v2; a seeded head is put on it. DIR: the folder that
--data-dir names. 200 of its questions are asked with four choices each: 800 sequences. All on one thread.

- ours: the task `csqa` and the pruner `magnitude-after` as a run walks them, without training (`steps=0`): from the
  files to the measurement of every level, in a new store.
- script: for every level the tokeniser and the model are loaded, every sequence is padded to 128 tokens, a batch holds
  eight questions, and torch.nn.utils.prune prunes the same layers.
- bare: the matrix products of the encoder's linear layers and of its attention, on the tokens of our batches without
  their padding, and nothing else.

The answers to all questions must be the same at every level.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from smc_tasks._sources import json_lines
from torch import Tensor, nn
from torch.nn.utils import prune
from transformers import AutoModelForMultipleChoice, AutoTokenizer
from transformers.utils import logging

from benchmarks.measure import Result, arguments, in_turn
from smc_harness import Outcomes, Pretrained, hookimpl
from smc_harness.config import PAPER_LEVELS
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import Locator, Plugin, load
from smc_harness.lifecycle.trajectory import Trajectory
from smc_harness.store.artifacts import Artifacts

QUESTIONS, CHOICES = 200, 4
LONGEST, BATCH = 128, 8
Answers = dict[float, Tensor]
"""Level -> the place of the chosen answer to each question."""


def prepare(model: Path, questions: Path, folder: Path) -> None:
    """`encoder`, with a head of its own, and `questions.jsonl`, each with the right answer among four."""
    torch.manual_seed(0)
    AutoModelForMultipleChoice.from_pretrained(model).save_pretrained(folder / "encoder")
    AutoTokenizer.from_pretrained(model).save_pretrained(folder / "encoder")
    rows = [row for row in json_lines(questions) if len(row["question"]["choices"]) >= CHOICES][:QUESTIONS]
    if len(rows) < QUESTIONS:
        sys.exit(f"{questions}: {len(rows)} questions with {CHOICES} choices; a file of {QUESTIONS} would work")
    for row in rows:
        choices = row["question"]["choices"]
        right = [choice for choice in choices[CHOICES:] if choice["label"] == row["answerKey"]]
        row["question"]["choices"] = [*choices[: CHOICES - len(right)], *right]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


class Ours:
    """Every sweep has a seed of its own, so that nothing is left of the one before but what was imported."""

    def __init__(self, folder: Path) -> None:
        found = discover().installed
        files = dict.fromkeys(("train", "test"), "questions.jsonl")
        self.task = load(found["task"]["csqa"], {"model": "encoder", "steps": "0", **files})
        self.pruner = load(found["pruner"]["magnitude-after"], {})
        self.folder = folder
        self.options = RunOptions(
            data_dir=str(folder), pretrained=Pretrained(str(folder / "encoder")), scope="backbone"
        )
        self.answers: list[Tensor] = []
        self.sweeps = 0

    def sweep(self) -> None:
        self.answers.clear()
        walk = self.trajectory()
        for level in PAPER_LEVELS:
            walk.measure(level)

    def trajectory(self) -> Trajectory:
        @hookimpl(wrapper=True)
        def evaluate() -> Iterator[None]:
            outcomes: Outcomes = yield  # type: ignore[assignment]
            assert outcomes.predictions is not None
            self.answers.append(outcomes.predictions)
            return outcomes  # type: ignore[return-value]

        self.sweeps += 1
        listener = Plugin("plugin", "answers", SimpleNamespace(evaluate=evaluate), Locator("plugin", "answers", "here"))
        artifacts = Artifacts(self.folder / f"store{self.sweeps}")
        rest = (self.options, self.sweeps, artifacts, lambda *_: None, PAPER_LEVELS)
        return Trajectory(self.task, self.pruner, [listener], *rest)


class Script:
    """What one writes without a harness."""

    def __init__(self, folder: Path, batch: int) -> None:
        self.folder, self.batch = folder, batch
        self.answers: list[Tensor] = []

    def sweep(self) -> None:
        self.answers = [self.level(level) for level in PAPER_LEVELS]

    @torch.no_grad()
    def level(self, level: float) -> Tensor:
        rows = json_lines(self.folder / "questions.jsonl")
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "encoder")
        model = AutoModelForMultipleChoice.from_pretrained(self.folder / "encoder").eval()
        linear = [(module, "weight") for module in model.base_model.encoder.modules() if isinstance(module, nn.Linear)]
        prune.global_unstructured(linear, prune.L1Unstructured, amount=level)
        for module, name in linear:
            prune.remove(module, name)  # type: ignore[no-untyped-call]
        found = []
        for start in range(0, len(rows), self.batch):
            asked = [(f"Q: {row['question']['stem']}", f"A: {choice['text']}")
                     for row in rows[start : start + self.batch] for choice in row["question"]["choices"]]  # fmt: skip
            given = tokenizer(*zip(*asked, strict=True), padding="max_length", max_length=LONGEST, return_tensors="pt")
            shape = (-1, CHOICES, LONGEST)
            ids, mask = given["input_ids"].view(shape), given["attention_mask"].view(shape)
            found.append(model(input_ids=ids, attention_mask=mask).logits.argmax(-1))
        return torch.cat(found)


class Bare:
    """Products of the shapes that a level has. batches: the real tokens of each of our sequences, batch by batch."""

    def __init__(self, model: Any, batches: Sequence[Sequence[int]]) -> None:
        self.heads = model.config.num_attention_heads
        self.layers = len(model.base_model.encoder.layer)
        by_token = [module for module in model.base_model.encoder.modules() if isinstance(module, nn.Linear)]
        by_sequence = [model.base_model.pooler.dense, model.classifier]
        width = model.config.hidden_size // self.heads
        self.tokens = sum(map(sum, batches))
        self.products: list[tuple[Tensor, Tensor]] = []
        for lengths in batches:
            for modules, rows in ((by_token, sum(lengths)), (by_sequence, len(lengths))):
                inputs = {module.in_features: torch.randn(rows, module.in_features) for module in modules}
                self.products += [(inputs[module.in_features], module.weight.detach().T) for module in modules]
            for length, count in Counter(lengths).items():
                queries, chances = (torch.randn(count * self.heads, length, n) for n in (width, length))
                keys, values = queries.transpose(1, 2), queries
                self.products += [(queries, keys), (chances, values)] * self.layers

    @torch.inference_mode()
    def sweep(self) -> None:
        for _ in PAPER_LEVELS:
            for left, right in self.products:
                (torch.mm if left.dim() == 2 else torch.bmm)(left, right)


def bare(ours: Ours) -> Bare:
    """With the batches that our evaluation makes."""
    from smc_tasks.commonsense.multiple_choice import tokens

    talk = ours.trajectory().talk
    batches: list[list[int]] = []

    def note(batch: dict[str, Tensor]) -> Tensor:
        batches.append(batch["attention_mask"].sum(-1).flatten().tolist())
        return batch["labels"]

    talk.task.outputs("test", None, note, tokens)
    model = talk.build_model()
    asked = {name for name, _ in talk.prunable(model)}
    layers = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if asked != {name for name in layers if ".encoder.layer." in name}:
        sys.exit("the script prunes other layers than the scope has; an encoder as BERT's would work")
    return Bare(model, batches)


def main() -> int:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--model", type=Path, required=True, help="folder of a pretrained encoder")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of local datasets")
    parser.add_argument("--questions", default="commonsense_qa/dev_rand_split.jsonl.gz", help="file under it")
    parser.add_argument("--batch", type=int, default=BATCH, help="questions in a batch of the script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(options.model, options.data_dir / options.questions, folder)
        ours, script = Ours(folder), Script(folder, options.batch)
        products = bare(ours)
        actions = {"script": script.sweep, "ours": ours.sweep, "bare": products.sweep}
        times = in_turn(actions, options.rounds, options.clock, warm_up=0)
    for level, own, other in zip(PAPER_LEVELS, ours.answers, script.answers, strict=True):
        if not torch.equal(own, other):
            sys.exit(f"level {level:g}: {int((own != other).sum())} of {QUESTIONS} answers differ")
    result = Result(f"{len(PAPER_LEVELS)} levels, {options.questions}", " ".join(sys.argv))
    result.add("script / ours", times, "script", "ours", at_least=4)
    result.add("ours / bare products", times, "ours", "bare", at_most=1.6)
    result.checked.append(
        f"the answers to {QUESTIONS} questions at {', '.join(f'{level:g}' for level in PAPER_LEVELS)}"
    )
    result.figures["sequences"] = f"{QUESTIONS * CHOICES}, {products.tokens} tokens"
    for name, values in times.items():
        result.figures[name] = ", ".join(f"{value:.1f}" for value in values) + f" s ({options.clock})"
    return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
