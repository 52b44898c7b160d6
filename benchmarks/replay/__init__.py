"""Keystroke replay: code that developers wrote is typed again, and suggestions are judged by it."""
