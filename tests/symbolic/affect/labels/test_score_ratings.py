"""VGMIDI and EMOPIA in their public form."""

from pathlib import Path

import numpy as np
import pytest

from symbolic.affect.labels.score_ratings import emopia, vgmidi, video_of
from symbolic.errors import UserError
from tests.symbolic.affect.affect_files import write_vgmidi


def test_raters_belong_to_their_piece_and_short_lists_are_counted(tmp_path: Path) -> None:
    found = vgmidi(write_vgmidi(tmp_path))
    items = {item.id: item for item in found.items}
    assert len(items) == 12
    assert found.remarks == ("vgmidi_raw_1.json, piece1: 1 raters with lists of other length left out",)
    first, tenth = items["vgmidi_raw_1/piece1"], items["vgmidi_raw_1/piece10"]
    assert first.arc is not None and tenth.arc is not None
    assert first.target[0] == pytest.approx(-0.285) and tenth.target[0] == pytest.approx(0.315)
    assert first.group == "Series1" and len(first.arc) == 12


def test_pieces_without_a_file_are_kept_and_told(tmp_path: Path) -> None:
    folder = write_vgmidi(tmp_path)
    next((folder / "labelled" / "midi").glob("*Tune 3.mid")).unlink()
    found = vgmidi(folder)
    assert [item.path is None for item in found.items].count(True) == 1
    assert any("no MIDI file" in remark for remark in found.remarks)


def test_emopia_ids_may_hold_dashes_and_underscores(tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text("ID,4Q,annotator\nQ1_-aB_c9dEfG0_0,1,A\nQ3_xY-z_12_QwE_2,3,B\nX,1,A\n")
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "test.csv").write_text("fname,label\nQ3_xY-z_12_QwE_2,Q3\n")
    found = emopia(tmp_path)
    assert [(i.quadrant, i.group, i.split) for i in found.items] == [
        ("Q1", "-aB_c9dEfG0", ""),
        ("Q3", "xY-z_12_QwE", "test"),
    ]
    assert np.isnan(found.targets).all()
    assert video_of("Q3_xY-z_12_QwE_2") == "xY-z_12_QwE"


def test_another_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"vgmidi_raw_1\.json"):
        vgmidi(tmp_path)
