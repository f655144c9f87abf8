"""The LSTM against its equations, and steps against the whole row."""

import torch

from symbolic.config import LSTMConfig
from symbolic.models.lstm import LSTM

CONFIG = LSTMConfig(n_layer=1, d_model=6, vocab_size=11)


def test_one_layer_by_its_equations() -> None:
    torch.manual_seed(0)
    model = LSTM(CONFIG).eval()
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    weight = dict(model.lstm.named_parameters())
    h, c = torch.zeros(6), torch.zeros(6)
    outputs = []
    for token in tokens[0]:
        x = model.embeddings.weight[token]
        gates = weight["weight_ih_l0"] @ x + weight["weight_hh_l0"] @ h + weight["bias_ih_l0"] + weight["bias_hh_l0"]
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(model.lm_head.weight @ h)
    assert torch.allclose(model(tokens)[0], torch.stack(outputs), atol=1e-6)


def test_the_forget_gate_begins_open() -> None:
    weight = dict(LSTM(CONFIG).lstm.named_parameters())
    assert torch.allclose((weight["bias_ih_l0"] + weight["bias_hh_l0"])[6:12], torch.ones(6))


def test_prefill_and_steps_are_the_row() -> None:
    torch.manual_seed(0)
    model = LSTM(LSTMConfig(n_layer=2, d_model=6, vocab_size=11)).eval()
    tokens, lengths = torch.randint(3, 11, (3, 8)), torch.tensor([5, 2, 4])
    state = model.new_state(3, 8, torch.float32, "cpu")
    scores = model.prefill(tokens[:, :5], lengths, state)
    whole = [model(tokens[row : row + 1, : int(n)])[0, -1] for row, n in enumerate(lengths)]
    assert torch.allclose(scores, torch.stack(whole), atol=1e-5)
    further = torch.tensor([7, 8, 9])
    stepped = model.step(further, state)
    longer = [torch.cat([tokens[row, : int(n)], further[row : row + 1]])[None] for row, n in enumerate(lengths)]
    assert torch.allclose(stepped, torch.stack([model(row)[0, -1] for row in longer]), atol=1e-5)
