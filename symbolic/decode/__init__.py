"""Decoding: one engine for every model (prefill, step, row replacement), sampling rules, prompts, the verb
`generate`."""
