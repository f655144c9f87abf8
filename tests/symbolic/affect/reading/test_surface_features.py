"""Surface features and features of word norms."""

from pathlib import Path

from symbolic.affect.labels.word_ratings import WordNorms
from symbolic.affect.reading.surface_features import NORM_FEATURES, SURFACE, norm_features, rated, surface

NORMS = WordNorms("t", {"happy": (0.8, 0.2, 0.3), "die": (-0.8, 0.1, -0.4), "run": (0.2, 0.4, 0.1)}, Path())


def test_surface() -> None:
    plain, loud = surface(["It was warm.", "HELP ME!"])
    assert loud[SURFACE.index("exclaims")] == loud[SURFACE.index("all_capitals")] == 1
    assert plain[SURFACE.index("exclaims")] == plain[SURFACE.index("all_capitals")] == 0


def test_inflected_words_are_found() -> None:
    assert rated("running", NORMS) == rated("runs", NORMS) == NORMS.values["run"]
    assert rated("died", NORMS) == NORMS.values["die"]
    assert rated("tree", NORMS) is None


def test_negation_turns_valence() -> None:
    mean = NORM_FEATURES.index("valence_mean")
    happy, unhappy, unknown = norm_features(["I am happy", "I am not happy", "xyzzy"], NORMS)
    assert happy[mean] > 0 > unhappy[mean]
    assert not unknown.any()
