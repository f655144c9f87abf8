"""Decoding: one engine for every model (prefill, step, row replacement), sampling rules, prompts, masks, edits.

From Python: `symbolic.decode.tune_writer.generate(model, n, ...)` returns tunes, and writes no files; the verb
`generate` (symbolic.decode.generate) reads options, calls the same code and writes the files.
"""
