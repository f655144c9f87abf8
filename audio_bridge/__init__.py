"""Sound and words: rendering, melody conditioning, lyrics. May import `symbolic`, never the other way round."""
