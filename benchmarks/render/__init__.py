"""Summaries as text on a terminal, as Markdown and as a page of HTML."""
