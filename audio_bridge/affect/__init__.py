"""The valence and arousal of recordings, and music with sound for stories."""
