"""A checkpoint beyond memory pruned on disk, beside a plain copy of its files.

    python -m benchmarks.checkpoint [--gigabytes 12] [--allocation global] [--folder DIR] [--json FILE]

Random bfloat16 weights in the layout of a Llama of 7 billion, as many blocks as fit, in files of 2 GB. `smc-harness
prune` takes it to 50 % by one ranking of all weights; it is killed when half of the files are there, and started again.
Checked: the count is exact, no finished file was written again, and every weight that lives is what it was. Told:
anonymous memory at most (mapped pages of files are the system's to give back), and seconds as a multiple of copying the
files, which ends when they are on the disk.
"""

from __future__ import annotations

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
GIB = 2**30


def tensors(size: float) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, embeddings first, as many blocks as make up so many bytes."""
    yield "model.embed_tokens.weight", (32000, 4096)
    done, layer = 2 * 32000 * 4096, 0
    while done < size:
        for name, shape in SHAPES.items():
            yield f"model.layers.{layer}.{name}.weight", shape
            done += 2 * shape[0] * shape[1]
        yield f"model.layers.{layer}.input_layernorm.weight", (4096,)
        layer += 1


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
    return len(groups)


def command(source: Path, target: Path, allocation: str) -> list[str]:
    name = "magnitude-one-shot"
    words = ["prune", str(source), "--pruner", name, "--set", f"{name}.allocation={allocation}"]
    return [sys.executable, "-m", "smc_harness", *words, "--level", "0.5", "--out", str(target)]


def run(words: list[str], target: Path, stop_at: int | None = None) -> tuple[float, int]:
    """Seconds, and anonymous memory at most. stop_at: files that are there when it is killed."""
    began, most = time.perf_counter(), 0
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        if stop_at is not None and len(list(target.glob("*.safetensors"))) >= stop_at:
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


def check(source: Path, target: Path) -> tuple[int, int]:
    """Weights in scope, and those that are zero. Stops where one that lives is not what it was."""
    total = zeros = 0
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "pt") as before, safe_open(target / path.name, "pt") as after:
            for name in before.keys():  # noqa: SIM118
                old, new = before.get_tensor(name), after.get_tensor(name)
                inside = ".layers." in name and old.dim() == 2
                if not torch.equal(new, old if not inside else torch.where(new == 0, new, old)):
                    sys.exit(f"{name}: a weight that lives is not what it was")
                if inside:
                    total += old.numel()
                    zeros += old.numel() - int(torch.count_nonzero(new))
    return total, zeros


def main() -> int:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--allocation", default="global", choices=["global", "uniform"])
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source, target = folder / "in", folder / "out"
        files = make(source, options.gigabytes * 1e9)
        size = sum(path.stat().st_size for path in source.iterdir())
        words = command(source, target, options.allocation)
        _, first_most = run(words, target, stop_at=files // 2)
        kept = {path.name: path.stat().st_mtime_ns for path in target.glob("*.safetensors")}
        _, second_most = run(words, target)
        if any((target / name).stat().st_mtime_ns != changed for name, changed in kept.items()):
            sys.exit("a file that was done was written again")
        total, zeros = check(source, target)
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
        told = f"python -m benchmarks.checkpoint --gigabytes {options.gigabytes:g} --allocation {options.allocation}"
        result = Result(f"A checkpoint of {size / 1e9:.1f} GB", told)
        result.checked.append(
            f"{zeros:,} of {total:,} weights pruned, by a run that was killed after {len(kept)} of {files} files"
        )
        result.ratios.append(Ratio(f"smc-harness prune, {options.allocation}", "copying the files", tuple(ratios)))
        most = max(first_most, second_most, whole_most)
        result.ratios.append(Ratio("anonymous memory at most", "2 GB", (most / 2e9,), 1.0))
        result.figures["anonymous memory at most"] = f"{most / 1e9:.2f} GB"
        return result.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
