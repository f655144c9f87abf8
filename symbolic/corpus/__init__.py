"""From collections to a prepared folder: records with terms, cleaning, duplicates, tune families, the split."""
