"""How words sound: pronunciation, syllables, stress, rhyme."""
