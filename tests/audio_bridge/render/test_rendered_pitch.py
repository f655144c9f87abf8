"""What is heard is what is written: pitch, onset, release, level, for every backend that is installed."""

import mido
import numpy as np
import pytest

from audio_bridge.render import render as verb
from audio_bridge.render.render import render
from audio_bridge.render.synthesis import BACKENDS, available
from audio_bridge.sound.audio import Audio
from audio_bridge.sound.loudness import measured
from symbolic.errors import UserError
from symbolic.formats import midi
from symbolic.notation.abc_parser import Sound, parse, performance

Q = midi.TICKS_PER_QUARTER  # half a second at the tempo of all these tests, 120


def installed() -> list[str]:
    names = []
    for backend in BACKENDS:
        try:
            available(backend)
        except UserError:
            continue
        names.append(backend)
    return names


each_backend = pytest.mark.parametrize("backend", installed())


def hertz(pitch: int) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def spectrum(audio: Audio, start: float, end: float) -> tuple[np.ndarray, float]:
    """Magnitudes of the mono sum between two times, zero-padded, and hertz a bin."""
    part = audio.samples.mean(axis=0)[round(start * audio.sample_rate) : round(end * audio.sample_rate)]
    n_points = 1 << 19
    return np.abs(np.fft.rfft(part * np.hanning(part.size), n_points)), audio.sample_rate / n_points


def cents_off(audio: Audio, pitch: int, start: float, end: float) -> float:
    """How far the strongest partial within 80 cents of the pitch lies from it: parabola through the log spectrum.

    Asserts that the partial is there and that half of it is not, so an octave's error cannot pass.
    """
    magnitude, step = spectrum(audio, start, end)
    place = _peak(magnitude, step, hertz(pitch))
    assert magnitude[place] > 0.2 * magnitude.max()
    assert magnitude[_peak(magnitude, step, hertz(pitch) / 2)] < 0.05 * magnitude[place]
    assert magnitude[_peak(magnitude, step, hertz(pitch) * 1.5)] < 0.05 * magnitude[place]
    low, mid, high = np.log(magnitude[place - 1 : place + 2])
    exact = (place + 0.5 * (low - high) / (low - 2 * mid + high)) * step
    return float(1200 * np.log2(exact / hertz(pitch)))


def _peak(magnitude: np.ndarray, step: float, hz: float, cents: float = 80) -> int:
    low, high = (round(hz * 2 ** (sign * cents / 1200) / step) for sign in (-1, 1))
    return low + int(np.argmax(magnitude[low : high + 1]))


def first_difference(a: Audio, b: Audio) -> float:
    """The time from which two renderings part."""
    n = min(a.samples.shape[1], b.samples.shape[1])
    apart = np.abs(a.samples[:, :n] - b.samples[:, :n]).max(axis=0) > 1e-4
    return int(np.argmax(apart)) / a.sample_rate


@each_backend
@pytest.mark.parametrize("instrument", ["violin", "acoustic grand piano", "recorder"])
@pytest.mark.parametrize("pitch", [69, 48, 60, 76, 88, 96])
def test_pitch_within_10_cents(backend: str, instrument: str, pitch: int) -> None:
    audio = render([Sound(0, 0, 4 * Q, pitch)], instrument=instrument, backend=backend)
    assert abs(cents_off(audio, pitch, 0.2, 1.9)) < 10


@each_backend
@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_pitch_and_length_at_each_sample_rate(backend: str, rate: int) -> None:
    audio = render([Sound(0, 0, 4 * Q, 69)], sample_rate=rate, backend=backend)
    assert audio.sample_rate == rate
    assert audio.samples.shape[0] == 2 and audio.samples.dtype == np.float32
    assert 2.0 <= audio.seconds < 3.5
    assert abs(cents_off(audio, 69, 0.2, 1.9)) < 10


@each_backend
def test_onset_and_release_within_20_ms(backend: str) -> None:
    """Renderings that differ only after a time are equal up to it and part within 20 ms of it."""

    def played(*sounds: Sound) -> Audio:
        return render(sounds, instrument="piano", backend=backend, loudness_lufs=None)

    alone = played(Sound(0, Q, 2 * Q, 60))
    loud = np.abs(alone.samples).max(axis=0) > 0.01 * np.abs(alone.samples).max()
    assert 0.5 <= np.argmax(loud) / alone.sample_rate <= 0.52
    longer = played(Sound(0, Q, 4 * Q, 60))
    assert first_difference(alone, longer) == pytest.approx(1.5, abs=0.02)
    second = played(Sound(0, Q, 2 * Q, 60), Sound(0, 2 * Q, Q, 67))
    assert first_difference(alone, second) == pytest.approx(1.0, abs=0.02)


@each_backend
def test_a_chord_sounds_all_its_notes_and_no_others(backend: str) -> None:
    chord = (60, 64, 67, 74)
    audio = render([Sound(0, 0, 4 * Q, pitch) for pitch in chord], instrument="recorder", backend=backend)
    magnitude, step = spectrum(audio, 0.2, 1.9)
    levels = {p: magnitude[_peak(magnitude, step, hertz(p), 40)] / magnitude.max() for p in range(55, 76)}
    assert {pitch for pitch, level in levels.items() if level > 0.1} == set(chord)


@each_backend
def test_sixty_loud_notes_do_not_clip(backend: str) -> None:
    sounds = [Sound(0, 0, 4 * Q, pitch) for pitch in range(36, 96)]
    audio = render(sounds, instrument="rock organ", backend=backend, loudness_lufs=None)
    assert 0.01 < np.abs(audio.samples).max() < 32767 / 32768


@each_backend
@pytest.mark.parametrize("loudness", [-14.0, -18.0, -27.0])
def test_loudness_within_half_a_unit(backend: str, loudness: float) -> None:
    score = parse("X:1\nM:6/8\nL:1/8\nK:D\n|:dAF DFA|ded cBA:|\n")
    audio = render(score, loudness_lufs=loudness, backend=backend)
    assert measured(audio).loudness_lufs == pytest.approx(loudness, abs=0.5)
    assert measured(audio).peak_dbtp <= -0.99


@each_backend
def test_same_samples_twice(backend: str) -> None:
    first, second = (render([Sound(0, 0, Q, 69), Sound(1, Q, Q, 57)], backend=backend) for _ in range(2))
    np.testing.assert_array_equal(first.samples, second.samples)


def test_a_tune_plays_its_repeats_at_its_tempo() -> None:
    score = parse("X:1\nM:4/4\nL:1/4\nQ:1/4=240\nK:C\n|:CDEF|GFED:|C4|\n")
    end = max(sound.onset_ticks + sound.ticks for sound in performance(score)) / Q * 60 / 240
    assert end == pytest.approx(5.0)
    assert end <= render(score).seconds < end + 1.5
    assert 3.0 <= render(score, repeats=False).seconds < 4.5
    assert 10.0 <= render(score, tempo_qpm=120).seconds < 11.5


def test_transposition_moves_the_sound() -> None:
    audio = render([Sound(0, 0, 4 * Q, 60)], transpose=9)
    assert abs(cents_off(audio, 69, 0.2, 1.9)) < 10


def test_a_midi_file_keeps_its_instrument_unless_told() -> None:
    file = midi.build([Sound(0, 0, 2 * Q, 69)], program=19, tempo_qpm=120)
    np.testing.assert_array_equal(render(file).samples, render([Sound(0, 0, 2 * Q, 69)], instrument=19).samples)
    np.testing.assert_array_equal(
        render(file, instrument="flute").samples, render([Sound(0, 0, 2 * Q, 69)], instrument=73).samples
    )


def test_a_midi_file_keeps_its_tempo_unless_told() -> None:
    file = midi.build([Sound(0, 0, Q, 69), Sound(0, 3 * Q, Q, 72)], tempo_qpm=60)
    assert 4.0 <= render(file).seconds < 5.5
    assert 1.0 <= render(file, tempo_qpm=240).seconds < 2.5


def test_a_reset_in_the_file_does_not_undo_the_volume() -> None:
    file = midi.build([Sound(0, 0, Q, 69)])
    file.tracks[1].insert(0, mido.Message("sysex", data=(0x7E, 0x7F, 0x09, 0x01)))
    np.testing.assert_array_equal(render(file, instrument=40).samples, render([Sound(0, 0, Q, 69)]).samples)


def test_the_end_is_silent_and_not_long() -> None:
    audio = render([Sound(0, 0, Q, 69)], instrument="pizzicato strings")
    assert 0.5 <= audio.seconds < 0.5 + verb.TAIL_SECONDS
    assert np.abs(audio.samples[:, -10:]).max() < 1e-3


@pytest.mark.parametrize(
    ("sounds", "options", "message"),
    [
        ([], {}, "no notes"),
        ([Sound(0, 0, Q, 60)], {"instrument": "violine"}, "violin"),
        ([Sound(0, 0, Q, 60)], {"instrument": 128}, "0 to 127"),
        ([Sound(0, 0, Q, 60)], {"transpose": 70}, "outside 0 to 127"),
        ([Sound(0, 0, Q, 60)], {"tempo_qpm": 0.0}, "cannot be played"),
        ([Sound(0, 0, Q, 60)], {"backend": "timidity"}, "midirenderer or fluidsynth"),
        ([Sound(0, 0, Q, 60)], {"soundfont": "absent.sf2"}, "absent.sf2"),
        ([Sound(0, 0, 10_000 * Q, 60)], {}, "at most 20 minutes"),
    ],
)
def test_music_and_options_that_cannot_be_rendered(sounds: list[Sound], options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        render(sounds, **options)


@pytest.mark.parametrize("name", ["tin whistle", "flute", "harmonica"])
def test_instruments_that_the_font_has_wrong_sound_the_written_note(name: str) -> None:
    """The preset of the whistle sounded no written note; flute and harmonica were up to 15 and 36 cents off."""
    sounds = [Sound(0, 4 * i * Q, 4 * Q, pitch) for i, pitch in enumerate((69, 74, 71))]
    audio = render(sounds, instrument=name, tempo_qpm=120, backend="midirenderer")
    for i, pitch in enumerate((69, 74, 71)):
        magnitude, step = spectrum(audio, 2 * i + 0.3, 2 * i + 1.8)
        partials = [_peak(magnitude, step, k * hertz(pitch), 45) for k in (1, 2, 3)]
        k = max(range(3), key=lambda k: magnitude[partials[k]])
        assert magnitude[partials[k]] > 0.9 * magnitude.max()
        assert abs(1200 * np.log2(partials[k] * step / ((k + 1) * hertz(pitch)))) < 5
