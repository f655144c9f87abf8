"""Jobs: the queue and the processes that work on it."""
