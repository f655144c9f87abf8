"""Models beside the faithful families: a modern GPT-2, a Mamba-2 with attention; the library has no class of them."""
