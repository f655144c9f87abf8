"""What counting is worth is compared under equal conditions."""

from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import counting, seeds
from symbolic import config
from symbolic.notation.abc_parser import split_tunes

ROOT = Path(__file__).parents[2]


def test_runs_of_one_family_differ_in_tokens_and_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    args = counting.parser().parse_args([])
    made = [counting.make_config(args, name, kind, 0) for name in counting.FAMILIES for kind in counting.KINDS]
    for one in made:
        config.check(one)
    for kind, one in zip(counting.KINDS[1:], made[1:4]):
        assert config.differences(made[0], one) == ["name", "tokenizer.kind"] and one.tokenizer.kind == kind
    same_tokens = [made[0], made[4]]
    seeds.check_equal(same_tokens)  # families differ in their model only


def test_the_table_shows_the_spread_over_seeds() -> None:
    recorder = result_file.Recorder("counting")
    for seed, value in enumerate((0.2, 0.4)):
        recorder.measured([value], "share", config="gpt2-1m", kind="counted", seed=seed, measure="share_of_right_tunes")
    assert counting.table(recorder.result()).splitlines()[1].split()[-4:] == ["0.300", "0.200", "0.400", "2"]


@pytest.mark.slow
def test_a_small_comparison_from_end_to_end(
    tmp_path: Path, music21_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbolic import command_line
    from symbolic.__main__ import VERBS

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(counting, "FOLDER", tmp_path / "runs")
    data, out = tmp_path / "data", tmp_path / "counting.json"
    text = next(path for path in sorted((music21_corpus / "airdsAirs").glob("*.abc"))).read_text(encoding="latin-1")
    (tmp_path / "some.abc").write_text("\n".join(raw.text for raw in split_tunes(text)[:60]))
    assert command_line.main("symbolic", VERBS, ["prepare", str(tmp_path / "some.abc"), "-o", str(data)]) == 0
    words = ["--configs", "gpt2-1m", "--kinds", "grammar", "counted", "--seeds", "0", "--steps", "10", "-n", "2"]
    assert counting.main([*words, "--data", str(data), "-o", str(out)]) == 0
    rows = result_file.read(out)["rows"]
    assert {row["kind"] for row in rows} == {"grammar", "counted"} and len(rows) == 2 * (1 + len(counting.MEASURES))
