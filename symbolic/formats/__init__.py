"""Every file that comes in or goes out: ABC, MIDI, MusicXML; untrusted files are read in a guarded subprocess."""
