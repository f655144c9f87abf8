"""From ABC text to symbols, lines, fields and events: the parts of the parser."""
