"""The life of a completion, from a cursor in a text to a suggestion; and what is done ahead."""
