"""Finding and applying a level, beside one read of the weights and beside `torch.nn.utils.prune`.

    python -m benchmarks.selection [--layers 24] [--threads N]

The weights are normal draws in the shapes of RoBERTa-large's 24 layers, 302 million; torch's own pruning needs a dozen
times their memory, 14 GiB. Ours finds the exact cut: the
threshold and, among equal magnitudes, the place where they are no longer kept. Checked before any time is told: the
thresholds are those of `torch.kthvalue`, the counts are exact, and the masks are those of torch's
`global_unstructured`, but for weights whose magnitude is the threshold.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from benchmarks.measure import Result, arguments, in_turn
from smc_harness.execution import peak
from smc_harness.sparsity import select_global
from smc_harness.sparsity.cut import Cut, find_cuts, living, shrink

LEVELS = (0.2, 0.36, 0.488, 0.59, 0.672, 0.738, 0.791, 0.832, 0.866, 0.893)
SHAPES = [(1024, 1024)] * 4 + [(4096, 1024), (1024, 4096)]


def main() -> int:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--layers", type=int, default=24, help="of RoBERTa-large's shapes")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the read and of ours")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    result = Result("Finding and applying a level", "python -m benchmarks.selection")
    weights = [torch.randn(shape) for _ in range(options.layers) for shape in SHAPES]
    result.figures["weights"] = f"{sum(w.numel() for w in weights):,} on {options.threads} threads"
    finding(result, [w.abs() for w in weights], options)
    finding(result, [w.abs().bfloat16() for w in weights], options)
    applying(result, weights, options)
    peer(result, weights, options)
    return result.finish(options.json)


def counts(scores: Sequence[Tensor], levels: Sequence[float]) -> list[int]:
    total = sum(tensor.numel() for tensor in scores)
    return [math.floor(level * total + 0.5) for level in levels]


def finding(result: Result, scores: list[Tensor], options) -> None:  # type: ignore[no-untyped-def]
    """One level and ten, beside one read (a sum) of the same tensors."""
    name = str(scores[0].dtype).removeprefix("torch.")
    all_counts = counts(scores, LEVELS)
    check(result, scores, find_cuts(scores, all_counts), all_counts)
    peak.forget("cpu")
    before = peak.held("cpu")
    find_cuts(scores, counts(scores, [0.5]))
    result.figures[f"extra memory, one level, {name}"] = f"{(peak.held('cpu') - before) / 2**20:.0f} MiB"
    times = in_turn(
        {
            "a read": lambda: [tensor.sum() for tensor in scores],
            "one": lambda: find_cuts(scores, counts(scores, [0.5])),
            "ten": lambda: find_cuts(scores, all_counts),
        },
        options.rounds,
        options.clock,
    )
    one, ten = (5.0, 12.0) if name == "float32" else (None, 4.5)
    result.add(f"cut of one level, {name}", times, "one", "a read", at_most=one)
    result.add(f"cuts of ten levels, {name}", times, "ten", "a read", at_most=ten)


def check(result: Result, scores: list[Tensor], cuts: list[Cut], numbers: list[int]) -> None:
    joined = torch.cat([tensor.reshape(-1) for tensor in scores]).float()
    for cut, number in list(zip(cuts, numbers, strict=True))[::4]:
        assert float(torch.kthvalue(joined, number).values) == cut.threshold
        pruned = sum(int((~mask).sum()) for mask in living(scores, cut))
        assert pruned == number, (pruned, number)
    result.checked.append(f"thresholds with torch.kthvalue, and exact counts, {scores[0].dtype}")


def applying(result: Result, weights: list[Tensor], options) -> None:  # type: ignore[no-untyped-def]
    """In place, beside one read and one write."""
    (cut,) = find_cuts([w.abs() for w in weights], counts(weights, [0.5]))
    copies = [w.clone() for w in weights]
    shrink(copies, cut)
    for copy, weight, mask in zip(copies, weights, living([w.abs() for w in weights], cut), strict=True):
        assert torch.equal(copy, torch.where(mask, weight, 0.0))
    result.checked.append("weights zeroed in place, and by the mask")
    times = in_turn(
        {"a read and a write": lambda: [w.mul_(1.0) for w in copies], "ours": lambda: shrink(copies, cut)},
        options.rounds,
        options.clock,
    )
    result.add("applying a level in place", times, "ours", "a read and a write", at_most=1.3)


def peer(result: Result, weights: list[Tensor], options) -> None:  # type: ignore[no-untyped-def]
    """`select_global` with its masks, beside torch's; both are given the scores."""
    scores = {str(i): w.abs() for i, w in enumerate(weights)}
    layers = [nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.data = weight

    def theirs() -> None:
        for layer in layers:
            if prune.is_pruned(layer):
                prune.remove(layer, "weight")
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight.data = weight
        prune.global_unstructured(
            [(layer, "weight") for layer in layers],
            pruning_method=prune.L1Unstructured,
            importance_scores={(layer, "weight"): found for layer, found in zip(layers, scores.values(), strict=True)},
            amount=0.5,
        )

    def ours() -> dict[str, Tensor]:
        return select_global(scores, 0.5)

    theirs()
    (cut,) = find_cuts(list(scores.values()), counts(weights, [0.5]))
    ties = 0
    for layer, weight, mask in zip(layers, weights, ours().values(), strict=True):
        other = layer.weight_mask.bool() != mask
        assert bool((weight.abs()[other] == cut.threshold).all())
        ties += int(other.sum())
    result.checked.append(
        f"masks with torch.nn.utils.prune.global_unstructured; {ties} weights at the threshold differ"
    )
    times = in_turn({"torch.nn.utils.prune": theirs, "select_global": ours}, 2, options.clock, warm_up=0)
    result.add("global_unstructured with its masks", times, "torch.nn.utils.prune", "select_global", at_least=100)
    result.figures["global_unstructured on"] = f"{sum(w.numel() for w in weights):,} weights"


if __name__ == "__main__":
    raise SystemExit(main())
