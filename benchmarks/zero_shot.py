"""Zero-shot multiple choice beside lm-evaluation-harness, on the same model and the same questions.

    python -m benchmarks.zero_shot --data-dir DIR [--model FOLDER] [--questions 250] [--rounds 3] [--json FILE]

DIR: with `boolq/val.jsonl.gz`, `piqa/valid.jsonl.gz`, `arc_challenge/*Test*.jsonl.gz` and `hellaswag/val*.jsonl.gz`.
FOLDER: a causal language model with its tokeniser; else a GPT-2 of four layers and width 256 is drawn, with 8 000 words
learned from the questions. lm-eval has to be installed. Both read the questions, tokenise them and score them, in
batches of 32 rows or of as many tokens as suit the device; the model is loaded before any time is taken. One thread.

The choices must be the same, question by question, by `acc` and by `acc_norm`, up to choices whose log-likelihoods
differ by less than a thousandth.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks.hellaswag.utils import process_docs
from smc_tasks._sources import json_lines
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmarks.measure import Result, arguments, in_turn
from smc_harness import Pretrained
from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load

SETS = {
    "boolq": ("boolq/val*.jsonl.gz", "super_glue/boolq/default.yaml"),
    "piqa": ("piqa/valid*.jsonl.gz", "piqa/piqa.yaml"),
    "arc-challenge": ("arc_challenge/*Test*.jsonl.gz", "arc/arc_easy.yaml"),
    "hellaswag": ("hellaswag/val*.jsonl.gz", "hellaswag/hellaswag.yaml"),
}
TIE = 1e-3


def prepare(folder: Path, data: Path, count: int) -> None:
    """The first questions of each set, for ours as they are, for theirs in the schema of the hub."""
    for name, (pattern, _) in SETS.items():
        found = sorted(data.glob(pattern))
        if not found:
            sys.exit(f"{data}: no {pattern}; a folder that has it would work")
        rows = [dict(row) for row in json_lines(found[0])][:count]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (folder / f"{name}.hub.jsonl").write_text("\n".join(json.dumps(_as_on_hub(row)) for row in rows))
    (folder / "calibration.txt").write_text("nothing is calibrated here " * 500)


def _as_on_hub(row: dict[str, Any]) -> dict[str, Any]:
    if isinstance(row.get("question"), dict):
        choices = row["question"]["choices"]
        listed = {key: [choice[key] for choice in choices] for key in ("text", "label")}
        return {"id": row["id"], "question": row["question"]["stem"], "choices": listed, "answerKey": row["answerKey"]}
    return row | {"label": int(row["label"])}


def draw_model(folder: Path, questions: Path) -> None:
    """A GPT-2 that was never trained, and a byte-level BPE learned from the questions."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8000, special_tokens=["<s>"], initial_alphabet=alphabet)
    texts = (line for name in SETS for line in (questions / f"{name}.jsonl").read_text().splitlines())
    learned.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=learned, bos_token="<s>", eos_token="<s>", pad_token="<s>", model_max_length=1024
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(learned.get_vocab()), n_embd=256, n_layer=4, n_head=4, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)


class Ours:
    """The task of each set, with a model that was loaded before."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.options = RunOptions(data_dir=str(folder), pretrained=Pretrained(str(model)))
        self.model = self._talk("boolq").build_model().eval()
        self.chosen: dict[str, list[list[float]]] = {}

    def _talk(self, name: str) -> Conversation:
        given = {"train": "calibration.txt", "test": f"{name}.jsonl", "length": "1024", "calibration": "1"}
        return Conversation(load(discover().installed["task"][f"zero-shot-{name}"], given), None, [], self.options, 0)

    def run(self) -> None:
        from smc_tasks.language_modeling.choices import log_likelihoods

        for name in SETS:
            talk = self._talk(name)
            with torch.inference_mode():
                found = talk.task.outputs(
                    "test", None, lambda batch: log_likelihoods(self.model, batch), lambda asked: len(asked.tokens)
                )
            examples = talk.data["test"]
            self.chosen[name] = [row[: len(asked.lengths)].tolist() for row, asked in zip(found, examples, strict=True)]


class Theirs:
    """lm-evaluation-harness with its own descriptions of the tasks, on local files."""

    def __init__(self, folder: Path, model: Path) -> None:
        loaded = AutoModelForCausalLM.from_pretrained(model)
        self.model = HFLM(pretrained=loaded, tokenizer=AutoTokenizer.from_pretrained(model), batch_size=32)
        self.tasks = [self._described(name, folder) for name in SETS]
        self.chosen: dict[str, list[list[float]]] = {}

    def _described(self, name: str, folder: Path) -> dict[str, Any]:
        text = (files("lm_eval") / "tasks" / SETS[name][1]).read_text()
        found: dict[str, Any] = yaml.load(text.replace("!function utils.process_docs", ""), yaml.SafeLoader)
        found = {key: value for key, value in found.items() if not key.endswith("_split") and key != "tag"}
        if "process_docs" in found:
            found["process_docs"] = process_docs
        data = {"test": str(folder / f"{name}.hub.jsonl")}
        return found | {
            "task": name,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": data},
            "test_split": "test",
        }

    def run(self) -> None:
        found = simple_evaluate(
            self.model,
            tasks=self.tasks,
            task_manager=TaskManager(),
            log_samples=True,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
        assert found is not None
        for name, samples in found["samples"].items():
            ordered = sorted(samples, key=lambda sample: sample["doc_id"])
            self.chosen[name] = [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in ordered]


def compare(ours: Ours, theirs: Theirs, folder: Path, result: Result) -> None:
    """Stop where a choice differs that is not a tie."""
    for name in SETS:
        lengths = [asked.lengths for asked in ours._talk(name).data["test"]]
        worst, ties = 0.0, 0
        for number, (a, b, sizes) in enumerate(zip(ours.chosen[name], theirs.chosen[name], lengths, strict=True)):
            mine, other = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
            worst = max(worst, float((mine - other).abs().max()))
            for weight in (torch.ones(len(sizes)), torch.tensor(sizes).double()):
                if int((mine / weight).argmax()) != int((other / weight).argmax()):
                    if _lead(other / weight) > TIE:
                        sys.exit(f"{name}, question {number}: {a} here and {b} there")
                    ties += 1
        said = f"{name}: all {len(lengths)} choices by acc and by acc_norm" + (f", but for {ties} ties" if ties else "")
        result.checked.append(f"{said} (log-likelihoods differ by {worst:.1g} at most)")


def _lead(values: Tensor) -> float:
    first, second = values.topk(2).values.tolist()
    return float(first - second)


def main() -> int:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--questions", type=int, default=250)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.data_dir, options.questions)
        if options.model is None:
            draw_model(folder / "model", folder)
        model = options.model or folder / "model"
        ours, theirs = Ours(folder, model), Theirs(folder, model)
        sides: dict[str, Callable[[], object]] = {"lm-eval": theirs.run, "ours": ours.run}
        times = in_turn(sides, options.rounds, options.clock)
        result = Result(
            "Zero-shot multiple choice",
            f"python -m benchmarks.zero_shot --data-dir DIR --questions {options.questions}",
        )
        compare(ours, theirs, folder, result)
        result.add("lm-evaluation-harness", times, "lm-eval", "ours")
        return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
