"""The tokens of a vocabulary as texts, in the groups that the mask of `--constrain` handles together."""

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

_FIELD = re.compile(r"[MLKV]:[^|]*|\[[KM]:[^|]*|\(?\d?(:\d*)+")
_BAR_LINE = re.compile(r"[|:\]]*\d*|\n")


class Vocabulary:
    """The tokens by text, padded to `size`."""

    def __init__(self, tokenizer: "Tokenizer", size: int) -> None:
        self.eos = tokenizer.eos
        self.size = size
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.trie = Trie()
        for id, text in enumerate(self.texts):
            if text:
                self.trie.add(text, id)
        self.bar_lines = {text: id for id, text in enumerate(self.texts) if text and _BAR_LINE.fullmatch(text)}
        self.after_digit = [id for id, text in enumerate(self.texts) if re.match(r"[12].", text)]  # |1 and what follows
        # Tokens that the room alone does not decide: a bar line behind another symbol, a tied note behind its tie.
        self.mixed = [id for id, text in enumerate(self.texts) if _is_mixed(text)]
        self.ties = [id for id, text in enumerate(self.texts) if "-" in text]
        unused = [False] * (size - len(self.texts))
        tuplets = torch.tensor([bool(re.search(r"\(\d", text)) for text in self.texts] + unused)
        digits = torch.tensor([text[:1].isdigit() for text in self.texts] + unused)
        self.begins_tuplet = (tuplets, tuplets | digits)  # anywhere, and after "("
        self._elsewhere: dict[str, np.ndarray] = {}
        self._going_on: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}

    def elsewhere(self, characters: str) -> np.ndarray:
        """The tokens that begin with none of the characters."""
        if characters not in self._elsewhere:
            found = [id for id, text in enumerate(self.texts) if text and text[0] not in characters]
            self._elsewhere[characters] = np.array(found)
        return self._elsewhere[characters]

    def going_on(self, begun: str, lines: tuple[str, ...]) -> tuple[int, ...]:
        """The tokens that go on with one of these bar lines, of which `begun` stands already."""
        key = begun, lines
        found = self._going_on.get(key)
        if found is None:
            tokens = self.bar_lines.items() if lines else ()
            found = tuple(id for text, id in tokens if any(line.startswith(begun + text) for line in lines))
            self._going_on[key] = found
        return found

    def only(self, character: str) -> Tensor:
        """(V,) the mask of one token: a single character, or '' for the end of the tune."""
        mask = torch.zeros(self.size, dtype=torch.bool)
        mask[self.trie.children[character].ids if character else self.eos] = True
        return mask


class Trie:
    """Texts by their characters; `ids` are the tokens that end here, `size` counts those below."""

    __slots__ = ("_ends", "children", "ids", "size")

    def __init__(self) -> None:
        self.children: dict[str, Trie] = {}
        self.ids: list[int] = []
        self.size = 0
        self._ends: dict[str, bool] = {}

    def add(self, text: str, id: int) -> None:
        """Put one token in."""
        node = self
        for character in text:
            node.size += 1
            node = node.children.setdefault(character, Trie())
        node.ids.append(id)

    def ends_in(self, character: str) -> bool:
        """Whether all tokens below end at the first such character. Ask when all are in."""
        if character not in self._ends:
            self._ends[character] = all(
                not child.children if key == character else not child.ids and child.ends_in(character)
                for key, child in self.children.items()
            )
        return self._ends[character]


def _is_mixed(text: str) -> bool:
    if _FIELD.fullmatch(text) or _BAR_LINE.fullmatch(text):
        return False
    return bool(re.search(r".[|:\n\[]|-.", text, re.DOTALL))
