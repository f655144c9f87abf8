"""Words for moods."""

import numpy as np

from symbolic.affect import emotion_words
from symbolic.affect.plane import DOMAINS


def test_extreme_points_have_fitting_words() -> None:
    text = DOMAINS["text"]
    corners = np.array(text.mean) + np.array([[1.5, 1.5], [-1.5, 1.5], [-1.2, -1.2], [1.2, -1.5]]) * text.sd
    places = [emotion_words.WORDS[word] for word in emotion_words.nearest(corners, text)]
    assert [(v > 0, a > 0) for v, a in places] == [(True, True), (False, True), (False, False), (True, False)]


def test_neutral_music_is_not_wild_and_words_do_not_collapse() -> None:
    score = DOMAINS["score"]
    points = np.random.default_rng(0).normal(score.mean, score.sd, (200, 2))
    found = emotion_words.nearest(points, score)
    counts = sorted((found.count(word) for word in set(found)), reverse=True)
    assert sum(counts[:4]) < 0.25 * len(found)
    middle = emotion_words.WORDS[emotion_words.nearest([score.mean], score)[0]]
    assert abs(middle[0]) <= 0.3 and abs(middle[1]) <= 0.3


def test_words_have_places() -> None:
    assert emotion_words.place_of(["sad", "table", "sad"]) == emotion_words.WORDS["sad"]
    assert emotion_words.place_of(["table"]) is None
