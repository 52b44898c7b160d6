"""The other files of the workspace: which there are, and what is defined and used where.

Reading order: ignore (which files count), scan (which there are), imports and symbols (what one
file says of itself), words (what it is about), index (all of them together), store (between
sessions).
"""
