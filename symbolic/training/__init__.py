"""The training loop and what it needs: set-up, optimiser, checkpoints, processes, metrics log, likelihood."""
