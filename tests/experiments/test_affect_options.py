"""Options that the affect experiments share."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import affect_options
from symbolic.errors import UserError


def test_the_result_file_has_the_experiment_s_name() -> None:
    args = affect_options.options_of("What?", "affect_x").parse_args([])
    assert args.output == result_file.EXPERIMENTS / "affect_x.json"


def test_melodies_are_of_the_file_and_at_most_n() -> None:
    parser = affect_options.options_of("What?", "affect_x")
    affect_options.add_melodies(parser, 8)
    args = parser.parse_args(["-n", "3"])
    assert len(affect_options.melodies(args)) == 3
    assert affect_options.melody_settings(args) == {"n": 3, "bars": 8, "melodies": "affect_melodies.abc"}


def test_a_mistake_of_the_user_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: object) -> int:
        raise UserError("no such set.")

    assert affect_options.run_with(run, affect_options.options_of("What?", "affect_x"), []) == 1
    assert "no such set" in capsys.readouterr().err
