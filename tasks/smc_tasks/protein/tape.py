"""hp-s-tape: how much heat a protein stands, told from its sequence by TAPE's BERT (Rao et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from smc_tasks.protein.alphabets import TAPE
from smc_tasks.protein.sets import HP_S
from smc_tasks.protein.stability import ProteinParams, Stability

if TYPE_CHECKING:
    from smc_harness import TaskContext

CHECKPOINT = "tape-bert-base"
URL = "https://s3.amazonaws.com/songlabdata/proteindata/pytorch-models/bert-base-{config.json,pytorch_model.bin}"


@dataclass(frozen=True)
class TapeParams(ProteinParams):
    """The published recipe. The checkpoint is a folder under --model-dir with TAPE's config.json and pytorch_model.bin
    (or model.safetensors under the same names)."""

    model: str = CHECKPOINT
    batch_size: int = 16
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-4
    schedule: str = "linear"
    warmup: int = 100


class Tape(Stability):
    """The original's code for TAPE is not public.

    Its scope is taken to be that of ESM-1b, as the paper has one rule for its protein tasks, and so is the head: TAPE's
    own sits on a pooling layer that was never trained, and TAPE's authors advise to take the mean of the states.
    """

    architecture = "TAPE's BERT"
    alphabet = TAPE
    checkpoints = MappingProxyType({CHECKPOINT: URL})

    def encoder(self, context: TaskContext) -> Any:
        from smc_tasks.protein.encoders import pretrained_tape, scratch_tape

        return scratch_tape(context.params) if context.pretrained is None else pretrained_tape(context)


hp_s_tape = Tape("hp-s-tape", HP_S, 0.647, TapeParams)

plugins = (hp_s_tape,)
