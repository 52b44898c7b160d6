"""P(accept): how likely a suggestion is to be taken, known before it is shown."""
