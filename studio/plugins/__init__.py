"""What other programs use: a MuseScore plug-in, an example of a client."""
