"""What is known of a suggestion before it is shown; features are made of this and nothing else."""

from __future__ import annotations

import msgspec


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A token that the model wrote.

    Args:
        end: characters of the raw text up to its end.
        logprob: natural log of its probability.
        margin: by how much it is likelier than the likeliest other one; None where not known.
        entropy: of the distribution it was picked from, in nats; None where not known.
        support: its probability by the n-gram model of the workspace alone; None without one.
        dissent: the most that this gives to another token; None without one.
    """

    end: int
    logprob: float
    margin: float | None = None
    entropy: float | None = None
    support: float | None = None
    dissent: float | None = None


class Past(msgspec.Struct, frozen=True, array_like=True):
    """What became of an earlier suggestion of the same session.

    Args:
        accepted: whether it was taken, in whole or in part.
        age_s: seconds since then.
        same_line: whether it was made in the line of the cursor.
        n_chars: its length.
        p: what its probability was thought to be; None where that is not known.
    """

    accepted: bool
    age_s: float
    same_line: bool = False
    n_chars: int = 0
    p: float | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a suggestion before it is shown. Texts have ``\\n`` as EOL.

    Args:
        text: what would be shown.
        raw: what the model wrote; the text is a part of it, mostly its beginning.
        tokens: of the raw text.
        end_logprob: natural-log probability that the raw text ends there, where the model ended it.
        stop: why it ended: a filter's name, or the engine's finish reason.
        language: LSP language id.
        line_before: text of the cursor's line left of the cursor.
        line_after: text of the cursor's line right of it.
        next_line: the first line below that is not blank.
        kind: ``code``, ``string``, ``docstring`` or ``comment``.
        place: what is written there, see ``context.types.Place``.
        callee: what is called, where arguments are written.
        indent: white space that statements there begin with.
        enclosing: qualified name of the enclosing definition.
        multi_line: whether several lines may be shown.
        open_brackets: brackets open at the cursor; None where not known.
        before: text of the prompt left of the cursor.
        after: text of the prompt right of the cursor.
        elsewhere: pieces of other files in the prompt.
        n_typed_chars: so much of what the model wrote was typed since it was written.
        latency_ms: from the request to the first displayable text.
        ttft_ms: from the request to the first token.
        n_prompt_tokens: size of the prompt.
        history: what became of earlier suggestions, the newest first.
    """

    text: str
    raw: str = ""
    tokens: tuple[Token, ...] = ()
    end_logprob: float | None = None
    stop: str = ""
    language: str = ""
    line_before: str = ""
    line_after: str = ""
    next_line: str = ""
    kind: str = "code"
    place: str = "statement"
    callee: str = ""
    indent: str = ""
    enclosing: str = ""
    multi_line: bool = False
    open_brackets: str | None = None
    before: str = ""
    after: str = ""
    elsewhere: tuple[str, ...] = ()
    n_typed_chars: int = 0
    latency_ms: float = 0.0
    ttft_ms: float = 0.0
    n_prompt_tokens: int = 0
    history: tuple[Past, ...] = ()
