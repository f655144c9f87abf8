"""EmoBank and one's own sentences."""

from pathlib import Path

import pytest

from symbolic.affect.labels.text_ratings import document_of, emobank, own_sentences
from symbolic.errors import UserError


def test_documents_of_ids() -> None:
    assert document_of("Doc_two-x_0_30") == "Doc_two-x"
    assert document_of("SemEval_12") == "SemEval"


def test_emobank_as_it_is_written(tmp_path: Path) -> None:
    rows = [
        'Doc-one_41_80,test,2.2,3.6,2.9,"She said, ""come in."""',
        "Doc-one_0_40,train,3.0,3.0,3.2,The tea was warm.",
        "Doc-one_81_99,dev,,3.0,3.0,No valence.",
    ]
    (tmp_path / "emobank.csv").write_text("id,split,V,A,D,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = emobank(tmp_path)
    assert [item.id for item in found.items] == ["Doc-one_0_40", "Doc-one_41_80"]  # in reading order
    assert found.items[1].text == 'She said, "come in."'
    assert found.items[1].target == pytest.approx((-0.4, 0.3))
    assert found.of_split("test").items == found.items[1:]
    assert "1 rows" in found.remarks[0]


def test_own_sentences_need_the_signed_scale(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,valence,arousal\nGood.,0.5,0.1\nBad.,-0.5,0.2\n", encoding="utf-8")
    assert own_sentences(path).targets.tolist() == [[0.5, 0.1], [-0.5, 0.2]]
    path.write_text("text,valence,arousal\nGood.,7,3\n", encoding="utf-8")
    with pytest.raises(UserError, match="`sam9`"):
        own_sentences(path)
