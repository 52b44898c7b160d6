"""How long until a suggestion: a typing session replayed to midfill and to its peers."""

from benchmarks.latency.command import add_parser

__all__ = ["add_parser"]
