"""Token shards, the loader of batches, and the rearranging of training text."""
