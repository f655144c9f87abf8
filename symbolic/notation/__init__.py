"""ABC as music: pitch, key, meter and integer time; parser, score, canonical spelling, performance order,
transposition, harmony."""
