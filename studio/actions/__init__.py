"""What the studio does: requests and the functions that carry them out."""
