"""DEAM, PMEmo, emoMusic and MERGE in their public form."""

from pathlib import Path

import pytest

from symbolic.affect.labels import recording_ratings
from symbolic.errors import UserError

AVERAGED = "annotations/annotations averaged per song"
DYNAMIC = f"{AVERAGED}/dynamic (per second annotations)"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_deam_joins_by_name_and_ends_at_blanks(tmp_path: Path) -> None:
    _write(tmp_path / DYNAMIC / "valence.csv", "song_id,sample_15000ms,sample_15500ms\n2,0.1,0.2\n3,0.3,\n4,0.5,0.5\n")
    _write(
        tmp_path / DYNAMIC / "arousal.csv",
        "song_id,sample_15500ms,sample_15000ms,sample_16000ms\n3,,-0.3,\n2,-0.2,-0.1,-0.5\n",
    )
    (tmp_path / "MEMD_audio").mkdir()
    (tmp_path / "MEMD_audio" / "2.mp3").write_bytes(b"")
    found = recording_ratings.deam(tmp_path)
    two, three = found.items
    assert two.at is not None and two.arc is not None and three.arc is not None
    assert (two.at.tolist(), two.arc.tolist()) == ([15.0, 15.5], [[0.1, -0.1], [0.2, -0.2]])
    assert three.arc.tolist() == [[0.3, -0.3]]
    assert two.path is not None and three.path is None
    assert found.remarks == ("valence.csv: 1 rows without arousal left out",)


def test_deam_static_has_blanks_in_its_names_and_two_files(tmp_path: Path) -> None:
    head = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"
    for name, row in (("1_2000", "2, 3.0, 1, 5.0, 1\n"), ("2000_2058", "2001, 9, 1, 1, 1\n")):
        _write(tmp_path / AVERAGED / "song_level" / f"static_annotations_averaged_songs_{name}.csv", head + row)
    assert recording_ratings.deam(tmp_path).targets.tolist() == [[-0.5, 0.0], [1.0, -1.0]]


def test_pmemo_is_unit_scaled_and_begins_at_15_5_seconds(tmp_path: Path) -> None:
    _write(
        tmp_path / "annotations" / "dynamic_annotations.csv",
        "musicId,frameTime,Arousal(mean),Valence(mean)\n1,16.0,0.44,0.57\n1,15.5,0.44,0.56\n4,15.5,0.71,0.62\n",
    )
    first = recording_ratings.pmemo(tmp_path).items[0]
    assert first.at is not None and first.arc is not None
    assert first.at.tolist() == [15.5, 16.0]
    assert first.arc[0] == pytest.approx([0.12, -0.12])


def test_ratings_on_another_scale_are_refused(tmp_path: Path) -> None:
    text = "musicId,frameTime,Arousal(mean),Valence(mean)\n1,15.5,4.4,5.7\n"
    _write(tmp_path / "annotations" / "dynamic_annotations.csv", text)
    with pytest.raises(UserError, match="`sam9`"):
        recording_ratings.pmemo(tmp_path)


def test_emomusic_and_merge(tmp_path: Path) -> None:
    _write(tmp_path / "e" / "static_annotations.csv", "song_id,mean_arousal,std_arousal,mean_valence\n7,5,1,9\n")
    assert recording_ratings.emomusic(tmp_path / "e").targets.tolist() == [[1.0, 0.0]]
    _write(tmp_path / "m" / "merge_metadata.csv", "Song,Quadrant\nA001,Q2\nA002,\n")
    found = recording_ratings.merge(tmp_path / "m")
    assert [item.quadrant for item in found.items] == ["Q2"] and len(found.remarks) == 1
