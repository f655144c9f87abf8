"""Takes: folders with files and their provenance."""
