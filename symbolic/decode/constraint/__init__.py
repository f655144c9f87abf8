"""Which token may come next: automaton over characters, bar state, token masks."""
