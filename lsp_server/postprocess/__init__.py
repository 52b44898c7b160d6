"""What may be shown of a streamed text, and when the stream has said enough.

Each rule is a file of its own; ``shape`` runs them in order. First the text is cleaned of what is
no code (``chat``, ``lead``, ``echo``, ``indent``). Then rules that look for an end say where it is
(``Cut``); the earliest one holds. Each answer rests on nothing that comes behind it, so that a
text gives the same whole, in chunks and character by character. Last, what is still growing is
held back, and a text that is whole is settled (``overlap``, ``parse``, ``trivial``).
"""
