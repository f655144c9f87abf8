"""DEAM, PMEmo, emoMusic and MERGE in their public form."""

from pathlib import Path

import numpy as np
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
    assert np.isnan(found.targets).all()


def test_merge_takes_its_values_from_the_table_beside_the_metadata(tmp_path: Path) -> None:
    root = tmp_path / "MERGE_Audio_Complete"
    _write(
        root / "merge_audio_complete_metadata.csv",
        "Song,Quadrant,Artist,Title\nA001,Q3,X,Y\nA002,Q1,X,Y\nA003,Q4,X,Y\n",
    )
    _write(
        root / "merge_audio_complete_av_values.csv", "Song,Arousal,Valence\nA002,1.0,0.75\nA001,0.25,0.0\nA003,,0.5\n"
    )
    (root / "Q3").mkdir()
    (root / "Q3" / "A001.mp3").write_bytes(b"")
    found = recording_ratings.merge(tmp_path)
    assert found.targets[:2].tolist() == [[-1.0, -0.5], [0.5, 1.0]] and np.isnan(found.targets[2]).all()
    assert [item.path is not None for item in found.items] == [True, False, False]
    assert found.remarks == ("merge_audio_complete_av_values.csv: 1 rows without a number or an id left out",)


def test_deam_of_the_public_size_in_columns(tmp_path: Path) -> None:
    """As published: 1,223 and 1,224 samples, 60 values for a clip of 45 s, blanks after them, more for a whole song."""
    times = {"valence": range(15000, 15000 + 1223 * 500, 500), "arousal": range(15000, 15000 + 1224 * 500, 500)}
    for name, columns in times.items():
        rows = ["song_id," + ",".join(f"sample_{ms}ms" for ms in columns)]
        for song, count in (("2", 60), ("2001", len(columns))):
            rows.append(f"{song}," + ",".join(["0.25"] * count + [""] * (len(columns) - count)))
        _write(tmp_path / DYNAMIC / f"{name}.csv", "\n".join(rows) + "\n")
    clip, song = recording_ratings.deam(tmp_path).items
    assert clip.at is not None and song.at is not None
    assert (len(clip.at), clip.at[0], clip.at[-1]) == (60, 15.0, 44.5)
    assert (len(song.at), song.at[-1]) == (1223, 15.0 + 1222 * 0.5)


def test_extra_columns_gaps_doubles_and_decimal_commas_of_recordings(tmp_path: Path) -> None:
    head = "song_id; valence_mean; valence_std; valence_max_mean; arousal_mean\n"
    rows = "2; 3,0; 1; 9; 5,0\n2; 7,0; 1; 9; 5,0\n3; NaN; 1; 9; 5,0\n4; 9,0; 1; 9; 1,0\n"
    _write(tmp_path / AVERAGED / "song_level" / "static_annotations_averaged_songs_1_2000.csv", head + rows)
    found = recording_ratings.deam_static(tmp_path)
    assert [item.id for item in found.items] == ["2", "4"]
    assert found.targets.tolist() == [[-0.5, 0.0], [1.0, -1.0]] and len(found.remarks) == 2
