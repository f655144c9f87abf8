"""Measures of tunes, each beside the same measure of human tunes and of noise, and the report that shows them."""

from symbolic.callable_package import answer_calls_with

answer_calls_with(__name__, "symbolic.evaluate.evaluation:evaluate")
