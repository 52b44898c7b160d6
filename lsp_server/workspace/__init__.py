"""The index of the workspace's files: made in a process of its own, kept between sessions.

Reading order: workspace (what the server asks), files (texts, from the editor or the disk), visits
(where the user was), store (the index on disk), indexer (the process that brings it up to date),
messages (what it sends).
"""
