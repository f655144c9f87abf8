"""Corpora, ABC notation, cleaning, the family-disjoint split, token shards and the loader."""
