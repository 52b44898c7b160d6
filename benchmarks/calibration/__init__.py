"""How well the probability of an accept is known before a suggestion is shown."""
