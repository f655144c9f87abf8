"""Tables of likely next tokens for ready-made models, made from tunes that they write.

    python -m experiments.draft_tables gpt2-6m mamba2-6m          # writes drafts.safetensors into their folders

Single tunes are written faster with such a table and are the same to the last bit without it. The tunes are drawn with
the default rules from a seed that nothing else uses.
"""

import argparse
import sys

from symbolic import command_line

SEED = 2**40  # seeds of people are smaller


def main(arguments: list[str] | None = None) -> int:
    """Make the tables; return the exit status."""
    args = _parser().parse_args(arguments)
    return command_line.guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from symbolic.decode.engine import draft_table, engine
    from symbolic.decode.engine.sampling_rules import DEFAULT
    from symbolic.decode.loaded_model import load_source

    for name in args.models:
        source = load_source(name, "cpu", "int8", args.threads, step="native")
        drawn = engine.generate(
            source.model, [[source.tokenizer.bos]] * args.tunes, max_new_tokens=args.max_tokens,
            n_tokens=source.tokenizer.n_tokens, eos=source.tokenizer.eos, sampling=DEFAULT, seed=SEED,
        )  # fmt: skip
        keys, tokens = draft_table.build([[*t.prompt, *t.tokens, source.tokenizer.eos] for t in drawn])
        draft_table.write(source.folder, keys, tokens)
        table = draft_table.DraftTable(keys, tokens)
        print(f"{name}: {table.n_entries:,} endings, {len(keys) * 6 / 1e6:.1f} MB", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a name or a folder")
    parser.add_argument("--tunes", type=int, default=1500, help="drawn for the table (default 1500)")
    parser.add_argument("--max-tokens", type=int, default=500, help="of one tune (default 500)")
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
