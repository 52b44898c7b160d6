"""The acceptance log: what was suggested, shown, accepted or dismissed, on this machine only."""
