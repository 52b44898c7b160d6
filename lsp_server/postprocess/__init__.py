"""What may be shown of a streamed text, and when the stream has said enough.

Each filter is one function in a file of its own; ``shape`` runs them in order. They work on the
text so far, with ``\\n`` as the only end of line, and are called again for every chunk.
"""
