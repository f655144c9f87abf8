"""Every figure is drawn from made-up results, with its axes named, in the families' colours."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_file
from experiments import figures, inference
from symbolic.evaluate.report import palette

MODELS = {"gpt2-6m": "gpt2", "mamba-6m": "mamba", "mamba2-6m": "mamba2"}
PATHS = {
    "ours, native step, float32": 1500.0,
    "ours, native step, int8": 4000.0,
    "transformers, dynamic cache, float32": 390.0,
    "CTranslate2, int8": 3000.0,
}


def recorder(name: str, **settings: Any) -> result_file.Recorder:
    return result_file.Recorder(name, settings=settings)


def learning_curves() -> result_file.Recorder:
    made = recorder("learning_curves")
    for index, (model, family) in enumerate(MODELS.items()):
        for seed in range(3):
            steps = list(range(250, 3001, 250))
            loss = [1.1 + 0.05 * index + 0.01 * seed + 2.2 * math.exp(-step / 700) for step in steps]
            axes = {axis: [step * scale for step in steps] for axis, scale in _SCALES.items()}
            made.measured(loss, "bits/byte", model=model, run=f"{model}-{seed}", family=family, seed=seed, **axes)
    return made


def seeds() -> result_file.Recorder:
    made = learning_curves()
    made.name = "seeds"
    return made


_SCALES: dict[str, float] = {"steps": 1, "tokens": 4096, "seconds": 0.8, "flops": 1.6e11}


def training_time() -> result_file.Recorder:
    made = recorder("training_time")
    for index, (model, family) in enumerate(MODELS.items()):
        keys = {"family": family, "quantity": "rate", "projected_steps": 100_000}
        made.measured([0.5 / (index + 1), 0.52 / (index + 1), 0.47 / (index + 1)], "steps/s", model=model, **keys)
    made.not_run("no memory", model="gpt2-60m", family="gpt2", quantity="rate")
    return made


def scaling() -> result_file.Recorder:
    made = recorder("scaling")
    for family_index, (model, family) in enumerate(MODELS.items()):
        keys = {"model": model, "family": family, "path": "native"}
        for n in (128, 512, 2048, 8192):
            step = 3e-4 + (4e-7 * n if family == "gpt2" else 2e-4 * family_index)
            state = n * 14336 if family == "gpt2" else 300_000
            length = {**keys, "line": "length", "batch": 1, "tokens": n, "state_bytes": state}
            made.measured([step, step * 1.1], "s/step", quantity="step", **length)
            made.measured([step * n / 3, step * n / 2], "s", quantity="prefill", **length)
        for batch in (1, 4, 16):
            many = {**keys, "line": "batch", "batch": batch, "tokens": 512, "state_bytes": 1}
            made.measured([3e-4 * batch**0.6, 4e-4 * batch**0.6], "s/step", quantity="step", **many)
            made.measured([0.05 * batch, 0.06 * batch], "s", quantity="prefill", **many)
    made.not_run("the point before took 9.0 s", model="gpt2-6m", family="gpt2", path="torch", quantity="step")
    return made


def copying() -> result_file.Recorder:
    made = recorder("copying", notes=4)
    for index, (model, family) in enumerate(MODELS.items()):
        for kind, value in (("header", 0.5), ("first", 1.6 + 0.02 * index), ("repeated", 0.8 + 0.15 * index)):
            keys = {"model": model, "family": family, "class": kind, "low": value - 0.05, "high": value + 0.06}
            made.measured([value], "bits/byte", **keys)
    return made


def vocabularies() -> result_file.Recorder:
    made = recorder("vocabularies")
    for kind, bits in (("characters", 1.5), ("grammar", 1.35), ("bytepair", 1.4)):
        made.measured([bits, bits + 0.02], "bits/byte", quantity="bits per byte", vocabulary=kind)
        made.measured([60.0, 61.0], "s", quantity="seconds", vocabulary=kind)
    return made


def representations() -> result_file.Recorder:
    made = recorder("representations")
    for form, n_bytes, n in (("wav", 6e6, 1.5e6), ("mp3", 5e5, 1.5e6), ("midi", 2e3, 980.0), ("abc", 380.0, 250.0)):
        spread = [0.5, 0.8, 1.0, 1.3, 2.0]
        made.measured([n_bytes * s for s in spread], "bytes", quantity="bytes", form=form, reference=int(n_bytes * 0.7))
        keys = {"quantity": "length", "form": form, "sequence": "elements", "reference": int(n)}
        made.measured([n * s for s in spread], "elements", **keys)
    return made


def abc_vs_midi() -> result_file.Recorder:
    made = recorder("abc_vs_midi")
    for index, (model, family) in enumerate(MODELS.items()):
        for kind in ("bytepair", "tsd-bytepair"):
            keys = {"model": model, "family": family, "kind": kind}
            made.measured([2.5 + 0.1 * index], "bits/note", quantity="bits per note", **keys)
            made.measured([300.0], "s", quantity="seconds to train", **keys)
            made.measured([0.8], "share", quantity="in bars", **keys)
            made.not_run("no piece could be read", quantity="seconds per minute of music", **keys)
    for kind in ("ABC", "MIDI"):
        keys = {"model": "human, held out", "family": "human", "kind": kind}
        made.measured([0.95], "share", quantity="in bars", **keys)
    return made


def decoding() -> result_file.Recorder:
    made = recorder("decoding")
    for model in ("gpt2-6m", "mamba-6m"):
        for batch in (1, 32):
            for threads in (1, 2):
                keys = {"model": model, "batch": batch, "threads": threads, "quantity": "speed"}
                for path, speed in PATHS.items():
                    engine, precision = path.rsplit(", ", 1)
                    value = speed * batch**0.5 * threads**0.5
                    row = {**keys, "path": path, "engine": engine, "precision": precision}
                    made.measured([value, value * 1.04, value * 0.97], "tokens/s", **row)
                row = {**keys, "path": "llama.cpp, bfloat16", "engine": "llama.cpp", "precision": "bfloat16"}
                made.not_run("the package llama_cpp is not installed", **row)
    return made


def training() -> result_file.Recorder:
    made = recorder("training")
    for model in MODELS:
        for path, speed in (("ours, compiled", 5000.0), ("ours", 3000.0), ("library, plain loop", 1900.0)):
            keys = {"model": model, "quantity": "speed", "path": path, "ours": path.startswith("ours")}
            made.measured([speed, speed * 1.03], "tokens/s", **keys)
    return made


def preparing() -> result_file.Recorder:
    made = recorder("preparing")
    for corpus in (2000, 20_000):
        for path, speed in (("ours", 1500.0), ("music21", 55.0), ("datasets", 4000.0)):
            keys = {"path": path, "corpus": corpus, "tunes": 500 if path == "music21" else corpus}
            made.measured([speed, speed * 1.1], "tunes/s", quantity="speed", **keys)
            made.measured([100.0 + corpus / 200], "MiB", quantity="memory", **keys)
    return made


SAMPLES = [
    *(learning_curves, seeds, training_time, copying, vocabularies, representations, abc_vs_midi, decoding),
    *(training, preparing),
]


def write_samples(folder: Path) -> None:
    """One made-up result of each kind."""
    for sample in SAMPLES:
        made = sample()
        result_file.write(folder / f"{made.name}.json", made.result())
    measured = scaling().result()
    rows = [*measured["rows"], *inference.crossings(measured)]
    result_file.write(folder / "inference.json", {**measured, "name": "inference", "rows": rows})


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_samples(folder)
    return folder


AXES = {
    "learning_curves": ("validation bits per byte", "tokens read"),
    "seeds": ("validation bits per byte", "training FLOPs"),
    "training_time": ("hours for 100,000 steps",),
    "inference_length": ("prefill, seconds", "step, milliseconds a token", "MiB"),
    "inference_batch": ("tokens per second",),
    "copying": ("bits per byte",),
    "vocabularies": ("seconds of training",),
    "representations": ("bytes on disk", "elements of the sequence"),
    "abc_vs_midi": ("bits per note", "processor seconds to train", "tsd-bytepair", "human, held out"),
    "decoding": ("tokens per second",),
    "training": ("tokens per second",),
    "preparing": ("tunes per second", "MiB"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.FIGURES)
def test_figure_is_drawn_with_its_axes_named(name: str, samples: Path, tmp_path: Path) -> None:
    folders = ["--experiments", str(samples), "--benchmarks", str(samples)]
    assert figures.main([name, *folders, "-o", str(tmp_path)]) == 0
    text = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    assert [label for label in AXES[name] if label not in text] == []


@pytest.mark.slow
def test_families_keep_their_colours_and_bytes_are_stable(samples: Path, tmp_path: Path) -> None:
    texts = []
    for place in ("one", "two"):
        arguments = ["copying", "learning_curves", "--experiments", str(samples), "-o", str(tmp_path / place)]
        assert figures.main(arguments) == 0
        texts.append([(tmp_path / place / f"{name}.svg").read_text() for name in ("copying", "learning_curves")])
    assert texts[0] == texts[1]
    for text in texts[0]:
        assert all(palette.FAMILIES[family].light in text for family in MODELS.values())


def test_a_missing_result_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures.main(["decoding", "--benchmarks", str(tmp_path), "-o", str(tmp_path)]) == 0
    assert "decoding: left out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_figure_is_that_of_its_result_file(tmp_path: Path) -> None:
    """`python -m experiments.figures` after a new result; matplotlib of another version may draw otherwise."""
    matplotlib = pytest.importorskip("matplotlib")
    if f"matplotlib=={matplotlib.__version__}\n" not in Path("requirements.lock").read_text(encoding="utf-8"):
        pytest.skip("not the pinned matplotlib")
    assert figures.main(["-o", str(tmp_path)]) == 0
    differing = [
        path.name for path in tmp_path.iterdir() if path.read_bytes() != (figures.FOLDER / path.name).read_bytes()
    ]
    assert differing == []
