"""What to put into the prompt: pure functions over text and syntax trees.

This package knows nothing of LSP, of asyncio, of the network or of llama.cpp. It takes
UTF-8 bytes and byte offsets and gives snippets and prompt segments.
"""

# Read at start-up to tell this package from an unrelated one with the same import name.
MIDFILL_CONTEXT = True
