"""The valence and arousal of a text: sentences, n-grams, word norms, encoders."""
