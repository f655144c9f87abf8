"""What a request that does not fit is told."""

import pytest

pytest.importorskip("pydantic", reason="the extra `studio` is not installed")

from pydantic import BaseModel, ValidationError

from studio.actions import requests

TUNE = "X:1\nK:C\nC|\n"


@pytest.mark.parametrize(
    ("model", "values", "text"),
    [
        (requests.FillRequest, {"abc": TUNE, "bars": "two"}, "write bars as 5, 5-8 or 5-8,12"),
        (requests.TuneRequest, {"metre": "6:8"}, "write a meter as 6/8 or C|"),
        (requests.SoundtrackRequest, {"story": "It rains.", "key": "Am"}, "write a major key as C, G or Bb"),
        (requests.SongRequest, {"title": "\x07"}, "control characters are not taken"),
        (requests.TransposeRequest, {"abc": TUNE, "semitones": 99}, "Input should be less than or equal to 24"),
    ],
)
def test_the_person_is_told_how_to_write_it(model: type[BaseModel], values: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert requests.fault_text(caught.value.errors()[0]) == text
