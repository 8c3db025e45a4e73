"""How a device computes: repeatably, and in which precision. Imports torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Let a GPU give the same bits each time, and float32 be float32; as before on the way out.

    Strict, not by warnings: only then does fused attention take its repeatable backward pass, and what has none is an
    error that names it. Strictness holds for cuDNN, too. cuBLAS needs a workspace of fixed size, which is read when
    the process first uses it. TF32 keeps 10 bits of a float32; it is on by default in cuDNN, hence in LSTMs.
    A CPU repeats itself anyway, as long as the number of threads stays.
    """
    if device != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strictness, precision = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    torch.set_deterministic_debug_mode("error")
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_deterministic_debug_mode(strictness)


def forward_pass(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """What a task's loss and evaluation run under.

    `bfloat16` is torch's autocast: matrix products in bfloat16, what needs the range in float32, weights untouched.
    It rounds each weight once per evaluation, and takes hardly longer than a model whose weights were all rounded (3 %
    for MiniLM on a CPU), which tasks that make float32 tensors of their own could not run.
    There is no float16: its gradients underflow unless the loss is scaled, so that every pruner that asks for a loss
    would have to scale it back, and steps be skipped where that overflows. bfloat16 has the range of float32.
    """
    return nullcontext() if precision == "float32" else torch.autocast(device.type, dtype=torch.bfloat16)


def is_broken() -> bool:
    """Whether a kernel that failed took this process's GPU with it: every later call would fail, too."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
