"""LSTM: the classical baseline, PyTorch's own `nn.LSTM` between an embedding and a tied head.

Shapes   B rows, T positions, E = d_model channels of the embedding and of every layer, V vocabulary.
Symbols  i, f, o input, forget and output gates; g candidate; c cell; h hidden state, which is the layer's output.

    i, f, g, o = W x_t + U h_{t-1} + b + b'      (sigmoid of i, f, o; tanh of g)
    c_t        = f c_{t-1} + i g
    h_t        = o tanh(c_t)

The library has no class of it: a checkpoint is `config.json` and `model.safetensors` in the same form, for this project
alone (see stored/model_folder.py).

Papers: Hochreiter & Schmidhuber 1997, Long Short-Term Memory; Gers et al. 2000, Learning to Forget (the gate; its
bias starts at 1, as Jozefowicz et al. 2015 advise); Press & Wolf 2017, tied embeddings (arXiv:1608.05859). Sturm et al.
2016, folk-rnn (arXiv:1604.08723), is this model on ABC.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from symbolic.config import LSTMConfig
from symbolic.models.layers import logits, tied_head


class LSTM(nn.Module):
    """Tokens (B, T) -> scores of the next token (B, T, V)."""

    def __init__(self, config: LSTMConfig, *, tied: bool = True) -> None:
        super().__init__()
        self.config, self.tied = config, tied
        self.embeddings = nn.Embedding(config.vocab_size, config.d_model)
        self.lstm = nn.LSTM(config.d_model, config.d_model, config.n_layer, batch_first=True, dropout=config.dropout)
        self.lm_head = tied_head(self.embeddings, tied)
        _initialise(self)

    @property
    def blocks(self) -> list[nn.Module]:
        """None to compile: PyTorch runs all layers as one operator."""
        return []

    def forward(self, tokens: Tensor) -> Tensor:
        h = self._embed(tokens)
        if torch.is_autocast_enabled(h.device.type):
            # PyTorch casts cuDNN's LSTM to float16 under autocast, whatever type was asked for: too narrow a range; and
            # oneDNN has none in bfloat16 for processors without AVX-512
            with torch.autocast(h.device.type, enabled=False):
                return self._scores(self.lstm(h.float())[0])
        return self._scores(self.lstm(h)[0])

    def path(self) -> str:
        """Return the form that runs: PyTorch's operator, in float32 also where the model is trained in mixed
        precision."""
        return "torch, recurrence in float32"

    def new_state(self, batch: int, max_tokens: int, dtype: torch.dtype, device: torch.device | str) -> "LSTMState":
        """Return blank memory for `batch` rows; its size does not depend on `max_tokens`."""
        shape = (self.config.n_layer, batch, self.config.d_model)
        return LSTMState(*(torch.zeros(shape, dtype=dtype, device=device) for _ in range(2)))

    @torch.no_grad()
    def prefill(self, tokens: Tensor, lengths: Tensor, state: "LSTMState") -> Tensor:
        """Read right-padded prompts from a blank memory; scores after each row's last real token (B, V)."""
        packed = pack_padded_sequence(self._embed(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
        h, (hidden, cell) = self.lstm(packed)
        state.hidden, state.cell = hidden.to(state.hidden.dtype), cell.to(state.cell.dtype)
        h, _ = pad_packed_sequence(h, batch_first=True)
        return self._scores(h[torch.arange(len(h), device=h.device), lengths.to(h.device) - 1])

    @torch.no_grad()
    def step(self, tokens: Tensor, state: "LSTMState") -> Tensor:
        """Read one more token in every row: tokens (B) -> scores (B, V)."""
        h, (state.hidden, state.cell) = self.lstm(self._embed(tokens[:, None]), (state.hidden, state.cell))
        return self._scores(h[:, 0])

    def _embed(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.embeddings(tokens), self.config.dropout, self.training)

    def _scores(self, h: Tensor) -> Tensor:
        return logits(F.dropout(h, self.config.dropout, self.training), self.lm_head)


@dataclass
class LSTMState:
    """What the layers remember of each row: h and c (layers, B, E)."""

    hidden: Tensor
    cell: Tensor

    def insert(self, rows: Tensor, other: "LSTMState") -> None:
        """Replace the given rows by the rows of `other`, in order."""
        self.hidden[:, rows] = other.hidden.to(self.hidden.dtype)
        self.cell[:, rows] = other.cell.to(self.cell.dtype)

    def reset(self, rows: Tensor) -> None:
        """Make the given rows forget everything."""
        self.hidden[:, rows] = 0
        self.cell[:, rows] = 0


def _initialise(model: LSTM) -> None:
    """Draw nn.LSTM's uniform weights; embeddings N(0, 0.1), since no norm lifts them; f's two biases sum to 1."""
    nn.init.normal_(model.embeddings.weight, std=0.1)
    if not model.tied:
        nn.init.normal_(model.lm_head.weight, std=0.1)
    E = model.config.d_model
    for name, parameter in model.lstm.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
        if name.startswith("bias_ih"):
            nn.init.ones_(parameter[E : 2 * E])  # PyTorch's order is i, f, g, o
