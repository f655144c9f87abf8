"""MusicXML and .mxl: read in parts, measures and voices; written; the XML of strangers without entities."""
