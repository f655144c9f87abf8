"""Cards of weights."""

from pathlib import Path

from symbolic.affect.labels.rated_items import RatedItem, RatedSet
from symbolic.affect.learning.affect_cards import markdown_table, source_record, write_card


def test_the_record_depends_on_every_rating() -> None:
    one = RatedSet("s", (RatedItem("1", "a", (0.1, 0.2), text="x"),), "CC0")
    other = RatedSet("s", (RatedItem("1", "a", (0.1, 0.3), text="x"),), "CC0")
    assert source_record(one)["items"] == 1
    assert source_record(one)["sha256"] != source_record(other)["sha256"]


def test_a_card_names_weights_terms_and_limits(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"abc")
    source = {"name": "s", "items": 3, "terms": "CC0", "sha256": "f" * 64}
    write_card(tmp_path / "w.md", "Title", weights, [source], ["a limit"], markdown_table([{"model": "m", "r": 0.5}]))
    text = (tmp_path / "w.md").read_text()
    assert all(part in text for part in ("# Title", "CC0", "- a limit", "| m | 0.500 |", "ba7816bf"))
