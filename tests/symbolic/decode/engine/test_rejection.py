"""What is left of a random number once a token is drawn by it."""

import torch

from symbolic.decode.engine import sampling


def test_the_rest_is_the_place_in_the_tokens_own_share() -> None:
    """Probabilities 1/2, 1/4, 1/4: 0.1 lies a fifth into the first, 0.6875 three quarters into the second."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log().expand(3, -1)
    tokens, rests = sampling.sample_and_rest(logits, torch.tensor([0.1, 0.6875, 0.75], dtype=torch.float64))
    assert tokens.tolist() == [0, 1, 2]
    torch.testing.assert_close(rests, torch.tensor([0.2, 0.75, 0.0], dtype=torch.float64), rtol=0, atol=1e-8)


def test_the_rest_is_uniform_whatever_the_token() -> None:
    n = 20_000
    numbers = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(1, 12, generator=torch.Generator().manual_seed(2)).expand(n, -1)
    tokens, rests = sampling.sample_and_rest(logits, numbers)
    assert rests.min() >= 0 and rests.max() < 1
    for token in range(12):
        of_token = rests[tokens == token].sort().values
        even = (torch.arange(len(of_token)) + 0.5) / len(of_token)
        distance = (of_token - even).abs().max().item()  # Kolmogorov-Smirnov; 1.95 / sqrt(n) at 0.1 %
        assert distance < 1.95 / len(of_token) ** 0.5 + 1 / len(of_token)
