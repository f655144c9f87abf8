"""Words for music: lyric data and models, syllables, stress and rhyme, words placed on notes, and what carries both."""
