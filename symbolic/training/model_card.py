"""The card of a trained run: README.md in its directory, made from its own records.

It says what the model is, which data it learnt from and on what terms, under which conditions, what its loss is and how
to use it; a run in progress has one that says so. Whoever passes a model on passes on its terms with it. Only what the
run measured is told: bits per byte of validation tunes. Text of others (titles, terms) is set as plain text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from symbolic import files, runs
from symbolic.config import MIDI_KINDS, Config
from symbolic.models.stored.model_folder import CLASSES
from symbolic.progress import clock
from symbolic.training import learning_curve
from symbolic.training.learning_curve import RunCurve

FAMILY_NAMES = {
    "gpt2": "GPT-2",
    "mamba": "Mamba",
    "mamba2": "Mamba-2",
    "lstm": "LSTM",
    "gpt2-modern": "GPT-2 with rotary positions, normed queries and keys, squared ReLU",
    "mamba2-hybrid": "Mamba-2 with layers of attention",
}


def write(folder: Path) -> None:
    """Write or renew README.md of a run directory."""
    files.write_whole(runs.card_file(folder), text(learning_curve.read(folder)))


def text(curve: RunCurve) -> str:
    """Return the card as Markdown."""
    record, config = curve.record, curve.config
    parts = [
        _front_matter(config),
        f"# {_plain(config.name)}",
        _what_it_is(curve),
        "## Trained on",
        *_data(record, config),
        "## How",
        _bullets(_conditions(record, config)),
        "## Loss",
        _loss(curve),
        "## Use",
        _use(curve),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(config: Config) -> str:
    """Return the lines that the Hugging Face hub reads."""
    notation = "midi" if config.tokenizer.kind in MIDI_KINDS else "abc-notation"
    library = "library_name: transformers\n" if config.model.family in CLASSES else ""
    return f"---\n{library}tags: [music, {notation}, {config.model.family}]\n---"


def _what_it_is(curve: RunCurve) -> str:
    config, record = curve.config, curve.record
    notation = "MIDI" if config.tokenizer.kind in MIDI_KINDS else "ABC notation"
    size = f", {record['parameters']:,} parameters" if "parameters" in record else ""
    model = f"{FAMILY_NAMES[config.model.family]}{size}"
    sentence = f"A language model of {notation} ({config.tokenizer.kind} tokens): {model}."
    if start := record.get("start"):
        lora = f", by LoRA of rank {config.train.lora_rank}" if config.train.lora_rank else ""
        sentence += f" It began with the weights of {_plain(start.get('model', '?'))}{lora}."
    if not curve.finished:
        sentence += f" **In progress**: {curve.last_step:,} of {config.train.steps:,} steps."
    return sentence


def _data(record: dict[str, Any], config: Config) -> Iterator[str]:
    """Yield the collections with their terms, and what was made of them."""
    terms = [term if isinstance(term, dict) else {"title": str(term)} for term in record.get("terms", [])]
    yield _bullets(list(map(_collection, terms))) if terms else "Terms of the data are not recorded: ask who made it."
    low, high = config.data.transpose_low, config.data.transpose_high
    words = [f"folder `{_plain(config.data.folder)}`", f"each tune in {high - low + 1} transpositions"]
    words += ["right tunes only"] if config.data.tunes == "right" else []
    words += [f"lines in front: {config.data.control}"] if config.data.control != "none" else []
    words += [f"bars taken out of a share of {config.data.infill:g}"] if config.data.infill else []
    yield "Prepared " + ", ".join(words) + "."


def _collection(term: dict[str, Any]) -> str:
    parts = [_plain(term.get("title") or term.get("name") or "?")]
    parts += [_plain(term[key]) for key in ("terms", "redistribution") if term.get(key)]
    parts += [f"{term['n_tunes']:,} tunes"] if isinstance(term.get("n_tunes"), int) else []
    parts += [f"SHA-256 `{_plain(term['sha256'])[:16]}`"] if term.get("sha256") else []
    return ". ".join(part.rstrip(".") for part in parts) + "."


def _conditions(record: dict[str, Any], config: Config) -> list[str]:
    t, card = config.train, record.get("machine", {})
    rows = t.batch_size * t.accumulation
    rate = f"learning rate {t.learning_rate:g}"
    if t.optimizer == "muon":
        rate += f", of Muon {t.muon_learning_rate:g}"
    machine = ", ".join(str(card[key]) for key in ("cpu", "gpu", "os") if card.get(key))
    versions = ", ".join(f"{key} {card[key]}" for key in ("python", "torch", "commit") if card.get(key))
    return [
        f"{t.steps:,} steps of {rows} rows of {config.data.context:,} tokens: "
        f"{t.steps * learning_curve.tokens_per_step(config):,} tokens",
        f"{t.optimizer}, {rate}, {t.decay} decay, weight decay {t.weight_decay:g}, dropout {config.model.dropout:g}",
        f"seed {config.seed}, {record.get('device', '?')}, {record.get('dtype', '?')}",
        *([f"machine: {machine}"] if machine else []),
        *([versions] if versions else []),
        f"every key: `{runs.config_file(Path()).name}`; digest `{str(record.get('config_digest', ''))[:16]}`",
    ]


def _loss(curve: RunCurve) -> str:
    if not curve.steps:
        return "Not evaluated yet."
    best = min(range(len(curve.steps)), key=lambda i: (curve.bits_per_byte[i], i))
    rows = [("best", best), ("last", len(curve.steps) - 1)]
    lines = ["| | step | bits per byte of validation tunes | training |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {curve.steps[i]:,} | {curve.bits_per_byte[i]:.4f} | {clock(curve.seconds[i])} |"
        for name, i in rows
    ]
    note = (
        "Lower is better, and may be compared across tokenizers of one notation. It says nothing of copying or of form."
    )
    return "\n".join(lines) + "\n\n" + note


def _use(curve: RunCurve) -> str:
    name, folder = _plain(curve.config.name), _plain(str(curve.folder))
    target = name if curve.folder == runs.run_folder(curve.config.name) else folder
    what = "tunes.mid" if curve.config.tokenizer.kind in MIDI_KINDS else "tunes.abc"
    lines = [
        f"python -m symbolic generate {target} -n 8 --seed 1 -o {what}",
        f"python -m symbolic evaluate {what} --against {_plain(curve.config.data.folder)} --model {target} -o scores",
    ]
    kind = CLASSES.get(curve.config.model.family)
    other = (
        f'Or `transformers.{kind}.from_pretrained("{folder}/best")`.'
        if kind
        else "The transformers library has no class of this family: its folders load with this project alone."
    )
    return "```bash\n" + "\n".join(lines) + "\n```\n\n" + other


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _plain(value: object) -> str:
    """Return one line of text that is no mark-up."""
    return " ".join(str(value).replace("<", "&lt;").replace("`", "'").replace("|", "\\|").split())
