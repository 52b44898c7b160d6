"""What the engine gives on this machine, each figure beside llama-bench or a limit.

Reading order: command, sections (what can be measured), bench (what a section measures with),
driver (the engine in this process), timer, words (prompts of exact length). Then one module a
section: speed, lengths, clients, keystrokes, cancel, reuse, quality, healing, loads, speculation.
gpu runs some of them on a larger model, or on one of its shape (shapes).
"""

from benchmarks.engine.command import add_parser

__all__ = ["add_parser"]
