"""Small invented files in the form of the public data sets, and tunes to judge."""

import csv
import json
from pathlib import Path

import numpy as np

HAPPY = "X:1\nT:Happy\nM:4/4\nL:1/8\nQ:1/4=160\nK:D\n" + "|:d2fd a2fa|g2bg f2ag|e2gf edcB|A2ce d4:|\n" * 3
SAD = "X:1\nT:Sad\nM:4/4\nL:1/4\nQ:1/4=48\nK:Am\n" + "|A,2 C2|E3 D|C2 B,2|A,4|\n" * 6


def write_vgmidi(folder: Path, n_pieces: int = 12) -> Path:
    """VGMIDI with pieces whose valence follows the mode and whose arousal follows the tempo; three series."""
    from symbolic.formats.midi import write_midi
    from symbolic.notation import abc_parser

    root = folder / "labelled"
    (root / "midi").mkdir(parents=True)
    (root / "annotations").mkdir()
    pieces, annotations = {}, {}
    for i in range(n_pieces):
        is_major, qpm = i % 2 == 0, 60 + 20 * (i % 5)
        body = "|CEGc edcB|cGEC DEFG|c2e2 g4|c8|" if is_major else "|CEGc edcB|cGEC DFGA|c2e2 g4|c8|"
        score = abc_parser.parse(
            f"X:1\nM:4/4\nL:1/8\nQ:1/4={qpm}\nK:{'C' if is_major else 'Cm'}\n{body * (2 + i % 2)}\n"
        )
        name = f"Series{i % 3}_Console_Game_Tune {i}.mid"
        write_midi(score, root / "midi" / name)
        n_bars = 4 * (2 + i % 2)
        pieces[f"piece{i}"] = {"midi": name, "measures": n_bars, "name": f"Tune {i}"}
        for rater in (1, 2):
            arc = np.linspace(-0.1, 0.1, n_bars) + 0.01 * rater
            valence, arousal = arc + (0.3 if is_major else -0.3), arc + (qpm - 100) / 100
            annotations[f"piece{i}_{rater}"] = {"valence": valence.tolist(), "arousal": arousal.tolist()}
    annotations["piece1_3"] = {"valence": [0.9], "arousal": [0.9]}
    (root / "annotations" / "vgmidi_raw_1.json").write_text(json.dumps({"annotations": annotations, "pieces": pieces}))
    return folder


def write_emobank(folder: Path, n: int = 120) -> Path:
    """EmoBank with sentences whose valence hangs on one word and whose arousal on an exclamation mark."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "emobank.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split", "V", "A", "D", "text"])
        for i in range(n):
            word, valence = (("lovely", 4.0), ("terrible", 2.0))[i % 2]
            end, arousal = ((".", 2.6), ("!", 3.8))[i // 2 % 2]
            split = ("train", "train", "train", "dev", "test")[i % 5]
            text = f"The {('house', 'river', 'letter')[i % 3]} was {word} in the {('morning', 'evening')[i % 2]}{end}"
            rows.writerow([f"Doc-{i % 4}_{10 * i}_{10 * i + 9}", split, valence, arousal, 3.0, text])
    return folder
