"""Structs that cross module or process borders. Frozen, keyword-only; new fields get defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

# What is done to a file of the workspace: wanted in every prompt, or in none.
FileMark = Literal["pin", "unpin", "ban", "unban"]
Trigger = Literal["automatic", "invoked"]
FinishReason = Literal["stop", "length", "cancelled", "cut", "error"]
StatusKind = Literal["Normal", "Warning", "Error", "Inactive"]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a document at one version; it never changes.

    Args:
        uri: the document's URI as the client sent it.
        version: the client's version number (0 when it sent none).
        language: LSP language id.
        lines: every line with its end-of-line characters; only ``\\n``, ``\\r\\n`` and ``\\r``
            end a line. The last element has no EOL (it is ``""`` when the text ends with one).
            Any immutable sequence: a tuple, or the document store's blocks of lines.
        eol: the EOL most lines have.
        n_bytes: size of the text as UTF-8; 0 when it was not counted.
    """

    uri: str
    version: int
    language: str
    lines: Sequence[str]
    eol: str = "\n"
    n_bytes: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.lines)


class MarkedFiles(NamedTuple):
    """Files of the workspace that are wanted in every prompt, and those wanted in none, by URI."""

    pinned: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()


class Position(NamedTuple):
    """A place in a text: zero-based line and column, the latter in code points."""

    line: int
    column: int


class Edit(NamedTuple):
    """One text took the place of another.

    Args:
        start: of the text that is gone.
        end: behind it, in the text before the edit.
        text: what stands there now.
        removed: what stood there.
    """

    start: Position
    end: Position
    text: str
    removed: str


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine picks tokens.

    Args:
        max_tokens: at most so many are generated.
        temperature: of the first token; 0 always takes the likeliest.
        temperature_floor: it never falls below this.
        temperature_decay: by so much it falls with each token: token i (from 0) is picked at
            ``max(temperature_floor, temperature - temperature_decay * i)``.
        top_p: only the likeliest tokens that together have this probability are picked from.
        repeat_penalty: divides the logits of the last 64 generated tokens; 1 is no penalty.
        seed: of the random choice.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    temperature_floor: float = 0.0
    temperature_decay: float = 0.0
    top_p: float = 0.92
    repeat_penalty: float = 1.0
    seed: int = 0


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds spent in each step of a completion, and token counts."""

    queue_ms: float = 0.0
    context_ms: float = 0.0
    tokenize_ms: float = 0.0
    prefill_ms: float = 0.0
    ttft_ms: float = 0.0
    decode_ms: float = 0.0
    total_ms: float = 0.0
    n_prompt: int = 0
    n_reused: int = 0
    n_generated: int = 0


class TokenChunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """A piece of generated text.

    The first chunk of a request has no text but what the prompt cost; the last one has a finish
    reason.

    Args:
        request_id: the request this belongs to.
        text: new text; always whole characters.
        logprobs: natural-log probability of each token in this chunk.
        margins: by how much each is likelier than the likeliest other token; empty where that is
            not known.
        entropies: of the distribution each was picked from, in nats; empty where not known.
        supports: probability of each by the n-gram model of the workspace alone; empty without one.
        dissents: the most that it gives to another token; empty without one.
        end_logprob: natural-log probability that the text ends there, on the last chunk of a text
            that the model ended itself.
        finish_reason: None while the generation goes on.
        timings: set on the first and the last chunk.
        segment_tokens: exact token count of each prompt segment, on those chunks too.
    """

    request_id: int
    text: str
    logprobs: tuple[float, ...] = ()
    margins: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()
    supports: tuple[float, ...] = ()
    dissents: tuple[float, ...] = ()
    end_logprob: float | None = None
    finish_reason: FinishReason | None = None
    timings: Timings | None = None
    segment_tokens: tuple[int, ...] = ()


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor position for which a suggestion is wanted.

    Args:
        id: unique id of the completion to be.
        snapshot: the text, taken when the request arrived.
        line: zero-based line of the cursor.
        column: zero-based column in code points.
        trigger: ``automatic`` while typing, ``invoked`` on an explicit command.
        selected_text: text of the item selected in the editor's popup menu ("" if none).
        client: the editor's name.
        received_s: ``time.monotonic()`` when the request arrived.
    """

    id: str
    snapshot: Snapshot
    line: int
    column: int
    trigger: Trigger = "automatic"
    selected_text: str = ""
    client: str = ""
    received_s: float = 0.0


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion.

    Args:
        id: unique id; the client hands it back on accept.
        text: what to insert at the cursor; with the document's EOL.
        line: zero-based line of the insertion point.
        column: zero-based column of the insertion point in code points.
        replace_after: number of code points right of the cursor that the text replaces.
        score: mean log-probability of its tokens (0 is certain).
        p: probability that it is taken; None while it is not known.
        finish_reason: why the generation ended.
        timings: see Timings.
        origin: ``engine`` or ``cache``.
        model: id of the model.
        complete: False while the text still grows.
        identity: the same for what is left of a suggestion once a part of it was typed; "" while
            it grows.
    """

    id: str
    text: str
    line: int
    column: int
    replace_after: int = 0
    score: float = 0.0
    p: float | None = None
    finish_reason: FinishReason = "stop"
    timings: Timings = Timings()
    origin: str = "engine"
    model: str = ""
    complete: bool = True
    identity: str = ""


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """An expected non-answer: a stable reason code and a sentence for the user."""

    reason: str
    message: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """State of the server for the editor's status line.

    Args:
        kind: Normal, Warning, Error or Inactive.
        message: for the status line.
        busy: whether something is under way.
        notice: shown to the user once, beside the status line.
    """

    kind: StatusKind
    message: str = ""
    busy: bool = False
    notice: str = ""


OnPartial = Callable[[Completion], None]
OnStatus = Callable[[Status], None]
