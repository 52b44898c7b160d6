"""What is compared with the peers: midfill's own prompt, and the open file with nothing added."""

from __future__ import annotations

from benchmarks.peers.strategy import (
    EditorState,
    TokenCounter,
    file_prompt,
    first_tokens,
    last_tokens,
)
from context import fim
from context.types import Prompt

_N_PREFIX_TOKENS, _N_SUFFIX_TOKENS = 768, 256


class Midfill:
    """The prompt that the language server builds."""

    name = "midfill"
    writes_indent = False

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        return fim.build_prompt(state.context)


class FileOnly:
    """The 768 tokens left and the 256 tokens right of the cursor.

    Args:
        count: counts tokens.
    """

    name = "file-only"
    writes_indent = False

    def __init__(self, count: TokenCounter) -> None:
        self._count = count

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        return file_prompt(
            last_tokens(state.before, _N_PREFIX_TOKENS, self._count),
            first_tokens(state.after, _N_SUFFIX_TOKENS, self._count),
        )
