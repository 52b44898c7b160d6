"""The flow of a typing session: what the cache answers, and whether suggestions flicker."""
