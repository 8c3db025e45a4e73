"""GTS beside the original code, on one thread: training, a step, and scoring with beam 5.

    python benchmarks/word_problem_speed.py CHECKOUT DATA [--hidden 512] [--epochs 6]

CHECKOUT: a clone of github.com/arkilpatel/SVAMP, whose code/gts is run as it is, with word embeddings from scratch;
three of its imports that this does not need (gensim, nltk's tokeniser, attrdict) are replaced. DATA: the folder that
--data-dir names. Both read MAWPS fold 0, have the same hidden and embedding sizes, and take turns in one process.
Printed as ratios of CPU seconds, original / ours:

1. a training step at the original's batch size;
2. training until ours first reaches the best score that the original has in its first epochs, against the original's
   seconds for all of them (batch size and schedule are each one's own: the original keeps its rate, ours falls linearly
   to zero over eight epochs; scoring not counted);
3. scoring the 384 problems with beam 5, after training.

One scoring rule, ours, judges both. Before any time is printed, the original's must agree with it on every prediction
of both, but for problems whose equation has a constant that the original does not know (it counts as right what puts
any number of the question there).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from rich.console import Console
from rich.table import Table
from smc_tasks.arithmetic._task import EVALUATION_BATCH
from smc_tasks.arithmetic.expressions import same_answer

from smc_harness.conversation.conversation import Conversation
from smc_harness.conversation.options import RunOptions
from smc_harness.discovery.catalogue import discover
from smc_harness.discovery.loading import load
from smc_harness.training.trainer import Training

FOLD = "arithmetic/cv_mawps/fold0"
EMBEDDING = 768
RATE = 1e-3
BEAM = 5
PEER_BATCH, OUR_BATCH, OUR_EPOCHS = 4, 8, 8
ROUNDS, STEPS = 4, 30


class Original:
    """The original's GTS with its own data preparation, training step, decoder and scoring rule."""

    def __init__(self, checkout: Path, folder: Path, hidden: int) -> None:
        for name in ("gensim", "nltk", "attrdict"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["gensim"].models = None  # type: ignore[attr-defined]
        sys.modules["nltk"].word_tokenize = str.split  # type: ignore[attr-defined]
        sys.path.insert(0, str(checkout / "code" / "gts"))
        import src.components.models as models  # type: ignore[import-not-found]
        import src.train_and_evaluate as functions  # type: ignore[import-not-found]
        import src.utils.pre_data as data  # type: ignore[import-not-found]

        self.functions, self.data = functions, data
        self.config = config = types.SimpleNamespace(
            embedding="random",
            embedding_size=EMBEDDING,
            hidden_size=hidden,
            depth=2,
            dropout=0.5,
            cell_type="lstm",
            challenge_disp=False,
            trim_threshold=1,
        )
        log = types.SimpleNamespace(debug=lambda *_: None, info=lambda *_: None)
        train, test = data.load_raw_data(str(folder.parent), folder.name)
        train, test, constants, copied = data.transfer_num(train, test)
        self.words, self.symbols, self.train, self.test = data.prepare_data(
            config, log, train, test, config.trim_threshold, constants, copied, tree=True
        )
        self.constants = [self.symbols.word2index[constant] for constant in constants]
        operators = self.symbols.n_words - copied - 1 - len(constants)
        self.modules = [
            models.Embedding(config, self.words, self.words.n_words, EMBEDDING, config.dropout),
            models.EncoderSeq("lstm", EMBEDDING, hidden, 2, config.dropout),
            models.Prediction(hidden, operators, len(constants), config.dropout),
            models.GenerateNode(hidden, operators, EMBEDDING, config.dropout),
            models.Merge(hidden, EMBEDDING, config.dropout),
        ]
        self.optimizers = [torch.optim.Adam(m.parameters(), lr=RATE, weight_decay=1e-5) for m in self.modules]

    def batches(self, size: int) -> Iterator[tuple[Any, ...]]:
        """One epoch of arguments for `step`."""
        words, lengths, symbols, counts, _, stacks, places, sizes = self.data.prepare_train_batch(self.train, size)
        yield from zip(words, lengths, symbols, counts, stacks, sizes, places, strict=True)

    def step(self, batch: tuple[Any, ...]) -> None:
        *first, places = batch
        self.functions.train_tree(
            self.config, *first, self.constants, *self.modules, *self.optimizers, self.words, self.symbols, places
        )

    def predict(self) -> list[list[int]]:
        """Symbol ids for every scored problem, by the original's beam search, one problem at a time."""
        found = []
        with torch.no_grad():
            for words, length, _, _, _, places, _ in self.test:
                found.append(
                    self.functions.evaluate_tree(
                        self.config,
                        words,
                        length,
                        self.constants,
                        *self.modules,
                        self.words,
                        self.symbols,
                        places,
                        beam_size=BEAM,
                    )
                )
        return found

    def right(self, predictions: Sequence[list[int]]) -> list[bool]:
        """The original's own judgement."""
        rule = self.functions.compute_prefix_tree_result
        with contextlib.redirect_stdout(io.StringIO()):
            return [
                bool(rule(predicted, symbols, self.symbols, numbers, stack)[0])
                for predicted, (_, _, symbols, _, numbers, _, stack) in zip(predictions, self.test, strict=True)
            ]

    def names(self, prediction: Sequence[int]) -> list[str]:
        """A prediction in our words."""
        words = [self.symbols.index2word[identifier] for identifier in prediction]
        return [f"number{word[1:]}" if word.startswith("N") else word for word in words]

    def ids(self, names: Sequence[str]) -> list[int]:
        """Our prediction in its ids."""
        unknown = self.symbols.word2index["UNK"]
        return [self.symbols.word2index.get(name.replace("number", "N"), unknown) for name in names]

    def knows(self, equation: Sequence[str]) -> bool:
        """Whether all symbols of an equation are in its vocabulary."""
        return self.symbols.word2index["UNK"] not in self.ids(equation)


class Ours:
    """The task `mawps-gts` as the harness runs it."""

    def __init__(self, data: Path, hidden: int, batch: int, epochs: int) -> None:
        settings = {
            "fold": "0",
            "selection": "paper",
            "recipe": "workstation",
            "embedding": str(EMBEDDING),
            "hidden": str(hidden),
            "batch": str(batch),
            "epochs": str(epochs),
        }
        task = load(discover().installed["task"]["mawps-gts"], settings)
        self.talk = Conversation(task, None, [], RunOptions(data_dir=str(data)), 0)
        self.model = self.talk.build_model()
        self.recipe = self.talk.recipe(retraining=False)

    def training(self, epoch_ended: Callable[[int], None] = lambda step: None) -> Training:
        from dataclasses import replace

        return Training(
            self.talk,
            self.model,
            replace(self.recipe, selection=None),
            turn=0,
            mask=None,
            schedule=None,
            prune_to=lambda level: {},
            follow_mask=False,
            epoch_ended=epoch_ended,
            progress=lambda step, of: None,
        )

    def predict(self) -> list[list[str]]:
        examples = self.talk.data["test"]
        vocabulary = examples[0].vocabulary
        self.model.eval()

        def predict(batch: Any) -> list[list[int]]:
            symbols, _ = self.model.predict(batch, BEAM, vocabulary.longest)  # type: ignore[operator]
            return symbols.tolist()  # type: ignore[no-any-return]

        with torch.inference_mode():
            rows = self.talk.task.outputs("test", EVALUATION_BATCH, predict, length=lambda example: len(example.tokens))
        return [[vocabulary.symbol(symbol) for symbol in row if symbol >= 0] for row in rows]

    def right(self, predictions: Sequence[Sequence[str]]) -> list[bool]:
        problems = [example.problem for example in self.talk.data["test"]]
        return [same_answer(p, q.equation, q.numbers) for p, q in zip(predictions, problems, strict=True)]


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def steps(original: Original, data: Path, hidden: int) -> list[tuple[float, float]]:
    """CPU seconds of `STEPS` steps, (original, ours) by turns, at the original's batch size; one turn warms up."""
    ours = Ours(data, hidden, PEER_BATCH, epochs=2)
    batches, total = original.batches(PEER_BATCH), ours.recipe.steps
    found, packed = [], {}
    for turn in range(ROUNDS + 1):
        peer = cpu(lambda: [original.step(next(batches)) for _ in range(STEPS)])
        began = time.process_time()
        packed = ours.training().run(turn * STEPS / total, (turn + 1) * STEPS / total, packed)
        found.append((peer, time.process_time() - began))
    return found[1:]


def train_original(original: Original, ours: Ours, epochs: int) -> tuple[float, float, list[list[int]], float]:
    """Best score, CPU seconds of training, last predictions, CPU seconds of the last scoring."""
    best, spent, predictions, scoring = 0.0, 0.0, [], 0.0
    for epoch in range(epochs):
        spent += cpu(lambda: [original.step(batch) for batch in original.batches(PEER_BATCH)])
        began = time.process_time()
        predictions = original.predict()
        original.right(predictions)
        scoring = time.process_time() - began
        score = statistics.mean(ours.right([original.names(prediction) for prediction in predictions]))
        best = max(best, score)
        print(f"original, epoch {epoch + 1}: {100 * score:.1f} %, {spent:.0f} CPU s", flush=True)
    return best, spent, predictions, scoring


class _Reached(Exception):  # noqa: N818
    """The wanted score is there."""


def train_ours(data: Path, hidden: int, wanted: float) -> tuple[float, list[list[str]], list[float]]:
    """CPU seconds of training until the wanted score, last predictions, CPU seconds of each scoring."""
    ours = Ours(data, hidden, OUR_BATCH, OUR_EPOCHS)
    began, scoring, last = time.process_time(), [0.0], [[[""]]]

    def epoch_ended(step: int) -> None:
        spent = time.process_time() - began - sum(scoring)
        start = time.process_time()
        last[0] = ours.predict()
        score = statistics.mean(ours.right(last[0]))
        scoring.append(time.process_time() - start)
        ours.model.train()
        print(f"ours, {step} steps: {100 * score:.1f} %, {spent:.0f} CPU s", flush=True)
        if score >= wanted:
            raise _Reached

    try:
        ours.training(epoch_ended).run(0.0, 1.0)
    except _Reached:
        return time.process_time() - began - sum(scoring), last[0], scoring[1:]
    sys.exit(f"ours did not reach {100 * wanted:.1f} % in {OUR_EPOCHS} epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(6174)
    with tempfile.TemporaryDirectory() as folder:
        original = Original(options.checkout, unpacked(options.data / FOLD, Path(folder)), options.hidden)
        turns = steps(original, options.data, options.hidden)
        ours = Ours(options.data, options.hidden, OUR_BATCH, epochs=1)
        best, peer_training, peer_predictions, peer_scoring = train_original(original, ours, options.epochs)
        training, predictions, scoring = train_ours(options.data, options.hidden, best)
    named = [*map(original.names, peer_predictions)], predictions
    numbered = peer_predictions, [*map(original.ids, predictions)]
    for names, ids in zip(named, numbered, strict=True):
        verdicts = zip(original.right(ids), ours.right(names), names, ours.talk.data["test"], strict=True)
        for theirs, own, predicted, example in verdicts:
            if theirs != own and original.knows(example.problem.equation):
                sys.exit(f"the two scoring rules disagree on {' '.join(predicted)!r} for {example.problem}")
    table = Table("what (CPU s, one thread)", "original", "ours", "ratio: min", "median", "max", box=None)
    row(table, f"{STEPS} steps, batch {PEER_BATCH}", turns)
    row(table, f"training to {100 * best:.1f} % (ours: batch {OUR_BATCH})", [(peer_training, training)])
    row(table, f"scoring {len(predictions)} problems, beam {BEAM}", [(peer_scoring, seconds) for seconds in scoring])
    Console().print(table)


def row(table: Table, what: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = sorted(peer / ours for peer, ours in pairs)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    figures = (*medians, ratios[0], statistics.median(ratios), ratios[-1])
    table.add_row(what, *(f"{figure:.2f}" for figure in figures))


def unpacked(fold: Path, target: Path) -> Path:
    """The fold's two files as plain CSV, which is what the original reads."""
    import pandas

    for name in ("train.csv", "dev.csv"):
        source = fold / name if (fold / name).is_file() else fold / f"{name}.gz"
        pandas.read_csv(source).to_csv(target / name, index=False)
    return target


if __name__ == "__main__":
    main()
