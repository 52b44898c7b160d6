"""A suggestion while it streams, and what went into it."""

from __future__ import annotations

import time

import msgspec

from context.rank import Chosen
from context.types import FileContext, Prompt, SourceFile
from lsp_server.completion.wording import Wording
from lsp_server.engine.protocol import Detour
from lsp_server.lines import Lines
from lsp_server.postprocess.onward import Shape
from lsp_server.score.evidence import Evidence, Past, Token
from lsp_server.types import (
    Completion,
    CompletionRequest,
    FinishReason,
    Skip,
    Snapshot,
    Timings,
    TokenChunk,
)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What went into a completion, for ``midfill complete --explain``.

    Args:
        context: the open file's snippets, with their origins.
        related: those of other files, and those that were dropped with the reason.
        prompt: what was sent.
        segment_tokens: exact token count of each prompt segment.
        raw: the text as the model gave it.
        stop: why the stream ended: a filter's name, or the engine's finish reason.
        logprobs: natural-log probability of each generated token.
        supports: probability of each by the n-gram model of the workspace alone; empty without one.
        timings: what it cost, whether or not there is something to show.
        evidence: what the score is made of; None where there is nothing to show.
        origin: ``engine``, or ``cache`` where an earlier request's stream, or one that was kept on
            disk, says it.
        p: probability that it is taken; None where that is not known.
        least_p: the least probability that is shown.
    """

    context: FileContext
    related: Chosen = Chosen()
    prompt: Prompt
    segment_tokens: tuple[int, ...]
    raw: str
    stop: str
    logprobs: tuple[float, ...]
    supports: tuple[float, ...] = ()
    timings: Timings = Timings()
    evidence: Evidence | None = None
    origin: str = "engine"
    p: float | None = None
    least_p: float = 0.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How the last request in a document was answered.

    Args:
        answer: the suggestion, or the reason why there was none.
        request_id: id of the request; the suggestion has the same one.
        explanation: what went into it; None where it never came to a prompt.
    """

    answer: Completion | Skip
    request_id: str
    explanation: Explanation | None = None


class Draft:
    """A suggestion while it streams.

    Args:
        request: that it answers.
        shaper: decides how much of the model's text is shown.
        context_ms: that the prompt took.
        model: id of the model.
        detours: around other texts, that led to this one.
    """

    def __init__(
        self,
        request: CompletionRequest,
        shaper: Shape,
        context_ms: float,
        model: str,
        detours: tuple[Detour, ...] = (),
    ) -> None:
        self.text = ""
        self.stop = ""
        self.origin = "engine"
        # When there was something to show for the first time.
        self.shown_s = time.monotonic()
        self.request = request
        self._shaper = shaper
        self._context_ms = context_ms
        self._model = model
        self._detours = detours
        self._raw = ""
        self._tokens: list[Token] = []
        self._end_logprob: float | None = None
        self._n_raw = 0
        self._finish: FinishReason = "cut"
        self._timings = Timings()
        self._segment_tokens: tuple[int, ...] = ()
        self._ttft_ms = 0.0
        self._started_s = request.received_s or time.monotonic()

    def take(self, chunk: TokenChunk) -> bool:
        """Add a chunk; True if there is more to show than before."""
        self._timings = chunk.timings or self._timings
        self._segment_tokens = chunk.segment_tokens or self._segment_tokens
        self._finish = chunk.finish_reason or self._finish
        if chunk.end_logprob is not None:
            self._end_logprob = chunk.end_logprob
        if not chunk.text and not chunk.logprobs:
            return False
        if not self._ttft_ms:
            self._ttft_ms = 1000 * (time.monotonic() - self._started_s)
        self._raw += chunk.text
        self._tokens.extend(_tokens(chunk, len(self._raw)))
        return self._look(final=False)

    def keep_whole_lines(self) -> bool:
        """Give up the line that is still growing; False if there is no other."""
        cut = self._raw.rfind("\n")
        if not self._raw[: max(cut, 0)].strip():
            return False
        self._raw, self.stop = self._raw[:cut], "answer_ms"
        self._tokens = [token for token in self._tokens if token.end <= cut] or self._tokens[:1]
        return True

    def close(self) -> None:
        """No more text comes."""
        self._look(final=True)

    def _look(self, *, final: bool) -> bool:
        view = self._shaper.view(self._raw, final=final)
        grown = view.text != self.text and bool(view.text)
        if grown and not self.text:
            self.shown_s = time.monotonic()
        self.text, self._n_raw = view.text, view.n_raw
        # Once nothing is left, what took the rest away says more than what ended the stream.
        self.stop = (self.stop or view.stop) if view.text else (view.stop or self.stop)
        return grown

    @property
    def raw_shown(self) -> str:
        """The model's text up to the end of what is shown."""
        return self._raw[: self._n_raw]

    @property
    def empty_reason(self) -> str:
        """Why nothing is left to show."""
        return "model_stopped" if not self._raw.strip() else f"filtered_{self.stop or 'blank'}"

    @property
    def latency_ms(self) -> float:
        """From the arrival of the request to the first displayable text."""
        return 1000 * (self.shown_s - self._started_s)

    @property
    def timings(self) -> Timings:
        """What it cost so far."""
        spent = self._timings
        if self.origin == "cache":
            # An earlier request paid for it.
            spent = Timings(n_prompt=spent.n_prompt, n_reused=spent.n_prompt)
        return msgspec.structs.replace(
            spent,
            context_ms=self._context_ms,
            ttft_ms=self._ttft_ms,
            total_ms=1000 * (time.monotonic() - self._started_s),
            n_generated=len(self._tokens),
        )

    @property
    def has_line(self) -> bool:
        """Whether the first line to show is whole."""
        return bool(self.text) and (bool(self.stop) or "\n" in self._raw.lstrip())

    def completion(
        self, *, complete: bool, identity: str = "", p: float | None = None
    ) -> Completion:
        """The suggestion as it stands."""
        eol = self.request.snapshot.eol
        logprobs = self._logprobs
        return Completion(
            id=self.request.id,
            text=self.text if eol == "\n" else self.text.replace("\n", eol),
            line=self.request.line,
            column=self.request.column,
            score=sum(logprobs) / len(logprobs) if logprobs else 0.0,
            p=p,
            finish_reason="cut" if self.stop else self._finish,
            timings=self.timings,
            origin=self.origin,
            model=self._model,
            complete=complete,
            identity=identity,
        )

    def evidence(
        self, context: FileContext, related: Chosen, past: tuple[Past, ...], n_typed_chars: int
    ) -> Evidence:
        """What its score is made of.

        Args:
            context: of the open file.
            related: text of other files.
            past: what became of the suggestions before.
            n_typed_chars: so much of what the model wrote was typed since.
        """
        scope, timings = context.scope, self.timings
        return Evidence(
            text=self.text,
            raw=self._raw,
            tokens=tuple(self._tokens),
            end_logprob=self._end_logprob,
            stop=self.stop or self._finish,
            language=scope.language,
            line_before=scope.line_before,
            line_after=scope.line_after,
            next_line=scope.next_line,
            kind=scope.kind,
            place=scope.place,
            callee=scope.callee,
            indent=scope.indent,
            enclosing=scope.enclosing,
            multi_line=scope.multi_line,
            open_brackets=scope.open_brackets,
            before=context.prefix_text,
            after=context.suffix_text,
            elsewhere=tuple(snippet.text for snippet in related.snippets),
            n_typed_chars=n_typed_chars,
            latency_ms=1000 * (self.shown_s - self._started_s),
            ttft_ms=timings.ttft_ms,
            n_prompt_tokens=timings.n_prompt,
            history=past,
        )

    @property
    def wording(self) -> Wording:
        """The text as the model wrote it."""
        return Wording(self._raw, tuple(self._tokens), self._detours)

    @property
    def _logprobs(self) -> tuple[float, ...]:
        return tuple(token.logprob for token in self._tokens)

    def explain(
        self,
        context: FileContext,
        related: Chosen,
        prompt: Prompt,
        evidence: Evidence | None = None,
        p: float | None = None,
        least_p: float = 0.0,
    ) -> Explanation:
        """What went into it; see Explanation."""
        return Explanation(
            context=context,
            related=related,
            prompt=prompt,
            segment_tokens=self._segment_tokens,
            raw=self._raw,
            stop=self.stop or self._finish,
            logprobs=self._logprobs,
            supports=tuple(t.support for t in self._tokens if t.support is not None),
            timings=self.timings,
            evidence=evidence,
            origin=self.origin,
            p=p,
            least_p=least_p,
        )


def _tokens(chunk: TokenChunk, end: int) -> list[Token]:
    """The tokens of a chunk.

    Args:
        chunk: of the engine; a token each, but for engines that send several at once.
        end: characters of the raw text up to its end.
    """
    n_tokens = len(chunk.logprobs)
    sizes = [len(chunk.text) * (n_tokens - 1 - number) // n_tokens for number in range(n_tokens)]
    margins = chunk.margins or (None,) * n_tokens
    entropies = chunk.entropies or (None,) * n_tokens
    supports = chunk.supports or (None,) * n_tokens
    dissents = chunk.dissents or (None,) * n_tokens
    return [
        Token(end - size, *known)
        for size, *known in zip(
            sizes, chunk.logprobs, margins, entropies, supports, dissents, strict=False
        )
    ]


def source_file(snapshot: Snapshot, line: int, column: int) -> tuple[SourceFile, int]:
    """The document as context wants it, and the cursor as a byte offset.

    Line ends become ``\\n``: that is what models know best. Lone surrogates become ``?``.

    Args:
        snapshot: the document.
        line: zero-based line.
        column: zero-based column in code points.
    """
    lines = Lines.of(snapshot.lines)
    blocks = lines.encoded
    file = SourceFile(
        path=snapshot.uri, language=snapshot.language, data=b"".join(blocks), blocks=blocks
    )
    return file, lines.offset(line, column)
