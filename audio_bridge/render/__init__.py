"""Scores to sound with a SoundFont."""
