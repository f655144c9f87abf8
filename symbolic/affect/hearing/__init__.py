"""The valence and arousal of a score: notes in seconds, features, models."""
