"""GTS: a goal-driven tree-structured network for word problems (Xie and Sun, IJCAI 2019), written from the paper."""

from __future__ import annotations

from torch import Tensor, nn

from smc_tasks.arithmetic.batching import Batch
from smc_tasks.arithmetic.encoder import Encoder
from smc_tasks.arithmetic.search import beam_search
from smc_tasks.arithmetic.tree_decoder import Encoding, TreeDecoder
from smc_tasks.arithmetic.words import PretrainedWords, ScratchWords


class GTS(nn.Module):
    """Reads a question with a bidirectional LSTM and writes its expression as a tree, root first.

    words: what the reader starts from. n_shared: operators and constants. The LSTM (the paper has a GRU) is that of
    the SVAMP and SMC-Bench code.
    """

    def __init__(
        self,
        words: ScratchWords | PretrainedWords,
        n_shared: int,
        *,
        hidden: int,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(words, hidden, layers, dropout)
        self.decoder = TreeDecoder(hidden, n_shared, dropout)

    def encode(self, batch: Batch) -> Encoding:
        """Read the questions of a batch."""
        memory, question = self.encoder(batch)
        return self.decoder.encode(memory, question, batch)

    def forward(self, batch: Batch) -> Tensor:
        """The log-probability of each problem's equation, [B]."""
        return self.decoder.log_likelihood(self.encode(batch), batch)

    def predict(self, batch: Batch, beam: int, longest: int) -> tuple[Tensor, Tensor]:
        """Symbol ids [B, longest], padded with -1, and log-probabilities [B]; see `beam_search`."""
        return beam_search(self.decoder, self.encode(batch), beam, longest)
