"""What other files are worth in the prompt, source by source, and what they cost.

Reading order: command, variants (what is compared), speed (index and requests).
"""

from benchmarks.context.command import add_parser

__all__ = ["add_parser"]
