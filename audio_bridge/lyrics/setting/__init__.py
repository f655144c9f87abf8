"""Words on notes: aligning syllables to a melody, and melodies for words."""
