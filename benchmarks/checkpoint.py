"""A checkpoint beyond memory pruned on disk, beside a plain copy of its files.

    python -m benchmarks.checkpoint [--gigabytes 12] [--allocation global] [--folder DIR] [--json FILE]
    python -m benchmarks.checkpoint --pruner wanda [--gigabytes 3] [--examples 4]

Random bfloat16 weights in the layout of a Llama of 7 billion, as many blocks as fit, in files of 2 GB. `smc-harness
prune` takes it to 50 %, by one ranking of all weights, or block by block by a pruner that is calibrated on windows of
64 tokens; it is killed when half is done, and started again. Checked: the count is exact, nothing that was done is done
again, and every weight that lives is what it was (not of a pruner that moves them). Told: anonymous memory at most
(mapped pages of files are the system's to give back), and seconds as a multiple of copying the files, which ends when
they are on the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.measure import Ratio, Result, arguments
from smc_harness.checkpoint.note import NAME

SHAPES = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (4096, 4096),
    "self_attn.v_proj": (4096, 4096),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (11008, 4096),
    "mlp.up_proj": (11008, 4096),
    "mlp.down_proj": (4096, 11008),
}
FILE = 2e9
LENGTH = 64
LOCAL = "magnitude-one-shot"


def tensors(size: float) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, embeddings first, as many blocks as make up so many bytes."""
    yield "model.embed_tokens.weight", (32000, 4096)
    done, layer = 2 * 32000 * 4096, 0
    while done < size:
        for name, shape in SHAPES.items():
            yield f"model.layers.{layer}.{name}.weight", shape
            done += 2 * shape[0] * shape[1]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{norm}.weight", (4096,)
        layer += 1
    yield "model.norm.weight", (4096,)


def make(folder: Path, size: float) -> int:
    """Write it. Returns the number of files."""
    folder.mkdir()
    groups: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    held = 0
    for name, shape in tensors(size):
        count = 2 * int(torch.Size(shape).numel())
        if held + count > FILE:
            groups.append([])
            held = 0
        groups[-1].append((name, shape))
        held += count
    placed: dict[str, str] = {}
    draw = torch.Generator().manual_seed(0)
    for number, group in enumerate(groups, start=1):
        file = f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        made = {name: torch.empty(shape, dtype=torch.bfloat16).normal_(generator=draw) for name, shape in group}
        save_file(made, folder / file, metadata={"format": "pt"})
        placed |= dict.fromkeys(made, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    configure(folder, sum(name.endswith("q_proj.weight") for name in placed))
    return len(groups)


def configure(folder: Path, layers: int) -> None:
    """What it takes to run the model: its configuration, a tokeniser of a few words, and a text of them beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    words = [f"word{number}" for number in range(1000)]
    known = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    known.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=known).save_pretrained(folder)
    draw = torch.Generator().manual_seed(1)
    text = " ".join(words[number] for number in torch.randint(1000, (40_000,), generator=draw).tolist())
    (folder.parent / "text.txt").write_text(text)
    LlamaConfig(
        vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=layers, num_attention_heads=32,
        max_position_embeddings=LENGTH, tie_word_embeddings=True, dtype="bfloat16",
    ).save_pretrained(folder)  # fmt: skip


def command(source: Path, target: Path, options: argparse.Namespace) -> list[str]:
    name = options.pruner
    words = ["prune", str(source), "--pruner", name, "--level", "0.5", "--out", str(target)]
    if name == LOCAL:
        words += ["--set", f"{name}.allocation={options.allocation}"]
    else:
        words += [
            "--calibrate",
            "wikitext2",
            "--data-dir",
            str(source.parent),
            "--set",
            f"{name}.examples={options.examples}",
        ]
        words += ["--set", "wikitext2.train=text.txt", "--set", "wikitext2.test=text.txt"]
    return [sys.executable, "-m", "smc_harness", *words]


def progress(target: Path) -> int:
    """Files, or matrices of blocks, that are done."""
    try:
        note = json.loads((target / NAME).read_text())
    except FileNotFoundError:
        return 0
    return len(note["layers"] or note["files"])


def run(words: list[str], target: Path, stop_at: int | None = None) -> tuple[float, int]:
    """Seconds, and anonymous memory at most. stop_at: how many files or matrices are done when it is killed."""
    began, most = time.perf_counter(), 0
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        if stop_at is not None and progress(target) >= stop_at:
            time.sleep(0.3)  # into the next one
            process.send_signal(signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.005)
    out, error = process.communicate()
    if stop_at is None:
        if process.returncode:
            sys.exit(error)
        print(out, end="", flush=True)
    return time.perf_counter() - began, most


def anonymous(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def copy(source: Path, target: Path) -> float:
    """Seconds until all files are on the disk."""
    began = time.perf_counter()
    target.mkdir()
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, target / path.name)
        with (target / path.name).open("rb") as stream:
            os.fsync(stream.fileno())
    return time.perf_counter() - began


def check(source: Path, target: Path, moved: bool) -> tuple[int, int]:
    """Weights in scope, and those that are zero. Stops where one that lives is not what it was, unless those move."""
    total = zeros = 0
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "pt") as before, safe_open(target / path.name, "pt") as after:
            for name in before.keys():  # noqa: SIM118
                old, new = before.get_tensor(name), after.get_tensor(name)
                inside = ".layers." in name and old.dim() == 2
                expected = old if not inside else new if moved else torch.where(new == 0, new, old)
                if not torch.equal(new, expected):
                    sys.exit(f"{name}: a weight that lives is not what it was")
                if inside:
                    total += old.numel()
                    zeros += old.numel() - int(torch.count_nonzero(new))
    return total, zeros


def main() -> int:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--allocation", default="global", choices=["global", "uniform"])
    parser.add_argument("--pruner", default=LOCAL, choices=[LOCAL, "wanda", "sparsegpt"])
    parser.add_argument("--examples", type=int, default=4, help="that it is calibrated on")
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source, target = folder / "in", folder / "out"
        files = make(source, options.gigabytes * 1e9)
        size = sum(path.stat().st_size for path in source.iterdir())
        words = command(source, target, options)
        blocks = sum(1 for name, _ in tensors(options.gigabytes * 1e9) if name.endswith("q_proj.weight"))
        steps = files if options.pruner == LOCAL else len(SHAPES) * blocks
        _, first_most = run(words, target, stop_at=steps // 2)
        kept, changed = progress(target), {path: path.stat().st_mtime_ns for path in target.glob("*.safetensors")}
        _, second_most = run(words, target)
        if any(path.stat().st_mtime_ns != when for path, when in changed.items()):
            sys.exit("a file that was done was written again")
        total, zeros = check(source, target, moved=options.pruner == "sparsegpt")
        if zeros != int(total * 0.5 + 0.5):
            sys.exit(f"{zeros} of {total} weights are zero")
        shutil.rmtree(target)
        ratios, whole_most = [], 0
        for _ in range(options.rounds):
            seconds, whole_most = run(words, target)
            shutil.rmtree(target)
            copied = copy(source, folder / "copy")
            shutil.rmtree(folder / "copy")
            ratios.append(seconds / copied)
        told = f"python -m benchmarks.checkpoint --gigabytes {options.gigabytes:g} " + (
            f"--allocation {options.allocation}" if options.pruner == LOCAL else f"--pruner {options.pruner}"
        )
        result = Result(f"A checkpoint of {size / 1e9:.1f} GB, {options.pruner}", told)
        what = "files" if options.pruner == LOCAL else "matrices"
        result.checked.append(
            f"{zeros:,} of {total:,} weights pruned, by a run that was killed after {kept} of {steps} {what}"
        )
        result.ratios.append(Ratio("smc-harness prune", "copying the files", tuple(ratios)))
        most = max(first_most, second_most, whole_most)
        result.ratios.append(Ratio("anonymous memory at most", "2 GB", (most / 2e9,), 1.0))
        result.figures["anonymous memory at most"] = f"{most / 1e9:.2f} GB"
        return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
