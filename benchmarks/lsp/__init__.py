"""midfill's language server as a benchmark drives it: over stdio, with an engine of its own."""
