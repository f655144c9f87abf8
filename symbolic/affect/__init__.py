"""Valence and arousal of scores and texts; stories written for music and music written for stories."""
