"""Settings of sampling: what each refuses, and what counts as leaving tokens out."""

import pytest

from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -1}, "top-k is -1"),
        ({"top_p": 0.0}, "top-p is 0.0"),
        ({"min_p": 1.0}, "min-p is 1.0"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling(**settings)  # type: ignore[arg-type]


def test_only_rank_and_probability_leave_tokens_out() -> None:
    assert not Sampling(temperature=0.7).truncates and not Sampling(temperature=0, top_k=5).truncates
    assert Sampling(top_k=5).truncates and Sampling(top_p=0.9).truncates and Sampling(min_p=0.05).truncates
    assert Sampling(temperature=0).greedy
