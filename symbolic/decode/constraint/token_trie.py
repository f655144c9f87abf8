"""The tokens of a vocabulary as texts: a trie, and the groups that the token mask handles together."""

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from symbolic.tokens import Tokenizer

_FIELD = re.compile(r"[MLKV]:[^|]*|\[[KM]:[^|]*|\(?\d?(:\d*)+")
_BAR_LINE = re.compile(r"[|:\]]*\d*|\n")


class Vocabulary:
    """Texts of all tokens, latin-1 characters for bytes, and groups of token ids; masks have `size` entries."""

    def __init__(self, tokenizer: "Tokenizer", size: int) -> None:
        self.eos = tokenizer.eos
        self.size = size
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.trie = Trie()
        for id, text in enumerate(self.texts):
            if text:
                self.trie.add(text, id)
        self.bar_lines = [(text, id) for id, text in enumerate(self.texts) if text and _BAR_LINE.fullmatch(text)]
        self.after_digit = [id for id, text in enumerate(self.texts) if re.match(r"[12].", text)]  # |1 and what follows
        # Tokens for which more than the ticks left decides: a bar line behind a symbol, a tied note behind its tie.
        self.mixed = [id for id, text in enumerate(self.texts) if _is_mixed(text)]
        self.ties = [id for id, text in enumerate(self.texts) if "-" in text]
        unused = [False] * (size - len(self.texts))
        tuplets = np.array([bool(re.search(r"\(\d", text)) for text in self.texts] + unused)
        digits = np.array([text[:1].isdigit() for text in self.texts] + unused)
        self.begins_tuplet = (tuplets, tuplets | digits)  # anywhere, and after "("
        self._elsewhere: dict[str, np.ndarray] = {}
        self._continuing: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}

    def elsewhere(self, characters: str) -> np.ndarray:
        """Return the ids (n,) of tokens that begin with none of the characters."""
        if characters not in self._elsewhere:
            found = [id for id, text in enumerate(self.texts) if text and text[0] not in characters]
            self._elsewhere[characters] = np.array(found)
        return self._elsewhere[characters]

    def continuing_bar_line(self, begun: str, lines: tuple[str, ...]) -> tuple[int, ...]:
        """Return the tokens that continue one of these bar lines, of which `begun` is already written."""
        key = begun, lines
        found = self._continuing.get(key)
        if found is None:
            tokens = self.bar_lines if lines else ()
            found = tuple(id for text, id in tokens if any(line.startswith(begun + text) for line in lines))
            self._continuing[key] = found
        return found

    def only(self, character: str) -> np.ndarray:
        """Return the mask (V,) of one character's tokens, or of the end-of-tune token for ''."""
        mask = np.zeros(self.size, bool)
        mask[self.trie.children[character].ids if character else self.eos] = True
        return mask


class Trie:
    """A node of a trie over token texts: `ids` of the tokens that end here, `size` counts those below."""

    __slots__ = ("_ends", "children", "ids", "size")

    def __init__(self) -> None:
        self.children: dict[str, Trie] = {}
        self.ids: list[int] = []
        self.size = 0
        self._ends: dict[str, bool] = {}

    def add(self, text: str, id: int) -> None:
        """Insert one token."""
        node = self
        for character in text:
            node.size += 1
            node = node.children.setdefault(character, Trie())
        node.ids.append(id)

    def ends_in(self, character: str) -> bool:
        """True if every token below ends at the first such character; ask after all insertions."""
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
