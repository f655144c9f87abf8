"""Scripts that each remake one table or figure; see README.md here."""
