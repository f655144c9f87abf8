"""Cards of valence and arousal weights: data, terms, hashes, figures with their floors; `affect train` writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symbolic.affect.labels.rated_items import RatedSet
from symbolic.files import digest, sha256, write_whole


def source_record(rated: RatedSet) -> dict[str, Any]:
    """What a model learnt from: name, terms, number of items and a SHA-256 over ids, ratings and texts."""
    lines = (
        f"{item.id}\t{item.target[0]:.6f}\t{item.target[1]:.6f}\t{item.quadrant}\t{item.text}" for item in rated.items
    )
    return {"name": rated.name, "terms": rated.terms, "items": len(rated.items), "sha256": digest("\n".join(lines))}


def write_card(
    path: Path, title: str, weights: Path, sources: Sequence[Mapping[str, Any]], notes: Sequence[str], table: str
) -> None:
    """A card as Markdown beside the weights."""
    rows = [f"| {s['name']} | {s['items']:,} | {s['terms']} | `{s['sha256'][:16]}` |" for s in sources]
    parts = [
        f"# {title}",
        f"`{weights.name}`, {weights.stat().st_size:,} bytes, SHA-256 `{sha256(weights)}`.",
        "## Learnt from",
        "\n".join(["| data | items | terms | SHA-256 of ids, ratings, texts |", "|---|---|---|---|", *rows]),
        "## Measured",
        table,
        "## Limits",
        "\n".join(f"- {note}" for note in notes),
    ]
    write_whole(path, "\n\n".join(parts) + "\n")


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table; numbers with three digits."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
