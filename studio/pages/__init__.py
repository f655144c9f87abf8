"""HTML pages; they work without JavaScript."""
