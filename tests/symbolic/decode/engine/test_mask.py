"""The base class of masks: what `take` does where a subclass does not judge one token at less cost."""

import numpy as np
import pytest

from symbolic.decode.engine.mask import Mask
from tests.small_models import EOS, EvenOnly


def test_a_refused_token_changes_nothing() -> None:
    mask = EvenOnly()
    mask.start(0, [1])
    assert not mask.take(0, 7) and mask.rows[0] == []
    assert mask.take(0, 8) and mask.take(0, 6) and not mask.take(0, EOS)
    assert mask.take(0, 4) and mask.rows[0] == [8, 6, 4] and mask.take(0, EOS)


def test_a_mask_without_its_rule_cannot_be_made() -> None:
    class Incomplete(Mask):
        def start(self, row: int, prompt: list[int]) -> None:
            pass

        def allowed(self, row: int) -> np.ndarray:
            return np.ones(3, bool)

    with pytest.raises(TypeError, match="advance"):
        Incomplete()  # type: ignore[abstract]
