"""The protocol of token masks, as the engine calls them: rules, such as full bars, on which token may come next.

A row of the batch is one tune at a time. `start` begins it with its prompt; then the engine calls `take` for each token
that was drawn, and `allowed` only when the answer was False (symbolic.decode.engine.rejection), or for every token
where sampling rules leave tokens out.
"""

# V vocabulary entries

from abc import ABC, abstractmethod

import numpy as np


class Mask(ABC):
    """Base of all masks. A subclass that can judge one token at less cost than a whole mask overrides `take`."""

    @abstractmethod
    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a tune with this prompt in a row."""

    @abstractmethod
    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed, perhaps the end of the tune."""

    @abstractmethod
    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that may come next, at least one; not to be written to."""

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        if not self.allowed(row)[token]:
            return False
        self.advance(row, token)
        return True
