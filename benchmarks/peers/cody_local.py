"""The prompt of Cody with a local model: the open file alone.

Numbers: a context of 2,048 tokens, each taken for 4 characters; whole lines above the cursor up to
60 % of it (4,915 characters) and below it up to 10 % (819 characters). Before the prefix stands
``# Path: …`` of the open file. Template: prefix, suffix, middle, as its class for the Qwen family
has it. The suffix begins at the end of the cursor's line, so that the rest of that line is left
out. Local models get no snippets of other files.
"""

from __future__ import annotations

from benchmarks.peers.strategy import EditorState, file_prompt
from context.types import Prompt

_N_CONTEXT_CHARS = 4 * 2048
_PREFIX_SHARE, _SUFFIX_SHARE = 0.6, 0.1


class CodyLocal:
    """See the module."""

    name = "cody-local"
    writes_indent = False
    knows_texts = False

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        n_prefix = int(_N_CONTEXT_CHARS * _PREFIX_SHARE)
        n_suffix = int(_N_CONTEXT_CHARS * _SUFFIX_SHARE)
        prefix = state.before
        if len(prefix) > n_prefix:
            cut = prefix.find("\n", len(prefix) - n_prefix - 1)
            prefix = prefix[cut + 1 :] if cut >= 0 else prefix[-n_prefix:]
        suffix = state.after
        if len(suffix) > n_suffix:
            suffix = suffix[: suffix.rfind("\n", 0, n_suffix) + 1]
        _, newline, below = suffix.partition("\n")
        return file_prompt(f"# Path: {state.path}\n{prefix}", newline + below)
