"""Measures of tunes, each beside the same measure of human tunes and of noise, and the report that shows them."""
