"""The page of a story."""

import re
from dataclasses import replace

from symbolic.affect.hearing import note_table
from symbolic.affect.story import story_page
from symbolic.formats.page.score_page import script_digest
from tests.symbolic.affect.affect_files import HAPPY
from tests.symbolic.affect.story.test_story_choice import STORY

TABLE = note_table.of_abc(HAPPY)
PAGE = story_page.page(STORY, "A <title>", TABLE)


def test_every_sentence_is_on_the_page_and_text_is_escaped() -> None:
    assert PAGE.count('class="sentence"') == len(STORY.sentences)
    assert "A &lt;title&gt;" in PAGE and "<title>A <" not in PAGE
    wild = replace(STORY, sentences=("<script>alert(1)</script>.", *STORY.sentences[1:]))
    assert "<script>alert" not in story_page.page(wild, "x", TABLE)


def test_only_the_page_s_own_script_may_run_and_nothing_is_fetched() -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', PAGE)
    script = re.search(r"<script>(.*?)</script>", PAGE, re.DOTALL)
    assert policy is not None and script is not None
    assert f"sha256-{script_digest(script[1])}" in policy[1] and "default-src 'none'" in policy[1]
    assert not re.search(r'(?:src|href)="(?!data:)', PAGE)


def test_a_recording_takes_the_place_of_the_notes() -> None:
    page = story_page.page(STORY, "x", TABLE, b"ID3", "mp3")
    assert "<audio" in page and "data:audio/mpeg;base64,SUQz" in page and '"notes": []' in page
    assert "<audio" not in PAGE and '"notes": [[0.0' in PAGE


def test_both_arcs_are_drawn_for_valence_and_arousal() -> None:
    assert PAGE.count('<polyline class="music"') == PAGE.count('<polyline class="story"') == 2
