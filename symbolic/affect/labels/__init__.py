"""Loaders of data sets with human ratings, each with a named and checked scale."""
