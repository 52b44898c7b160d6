"""A back end that replays a script: what tests and editors' harnesses run instead of a model.

The script is a JSON file: ``{"replies": [{"after": "def f(", "text": "x):", "pieces": ["x", "):"],
"interval_ms": 5, "hang": false, "abort": false, "others": []}], "default": ""}``. The reply whose
``after`` is the longest ending of the prompt's prefix is streamed, one piece at a time.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from context.types import Role, Segment
from lsp_server.engine.backend import BackendInfo, serve_in_turn
from lsp_server.engine.job import Clock, Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Detour, Generate, SlotStatus
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineUnavailableError
from lsp_server.types import FinishReason


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to answer, and how.

    Args:
        after: ending of the prefix for which this reply is meant.
        text: the whole text; streamed word by word unless ``pieces`` are given.
        pieces: the text in the pieces it is streamed in.
        interval_ms: time between pieces.
        hang: after the last piece, wait until the request is cancelled.
        abort: after the last piece, end the process as a crash of llama.cpp would.
        logprob: log-probability of every piece.
        others: what is answered where texts are not to be written: the first of them for the first
            way around some behind a prefix, the second for the next; then ``text`` again.
    """

    after: str = ""
    text: str = ""
    pieces: tuple[str, ...] = ()
    interval_ms: float = 0.0
    hang: bool = False
    abort: bool = False
    logprob: float = -0.1
    others: tuple[Reply, ...] = ()


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole script."""

    replies: tuple[Reply, ...] = ()
    default: str = ""


class ScriptedBackend:
    """Answers from a script; counts characters as tokens."""

    def __init__(self, options: EngineOptions) -> None:
        try:
            data = Path(options.model_path).read_bytes()
            self._script = msgspec.json.decode(data, type=Script)
        except (OSError, msgspec.MsgspecError) as error:
            raise EngineUnavailableError(
                f"The script {options.model_path} cannot be read: {error}.",
                code="script_unreadable",
            ) from error
        self._n_ctx = options.n_ctx or 8192
        self._last_prompt = ""
        # By prefix: the ways around texts that were asked for, in turn.
        self._ways: dict[str, list[tuple[Detour, ...]]] = {}

    def info(self) -> BackendInfo:
        """See Backend."""
        slot = SlotStatus(seq_id=0, n_tokens=len(self._last_prompt))
        return BackendInfo(name="scripted", n_ctx=self._n_ctx, slots=(slot,), repo_level=True)

    def read_from(self, texts: Texts) -> None:
        """See Backend; a script says what it says."""

    def interrupt(self, job: Job) -> None:
        """See Backend; a job waits on its own cancellation."""

    def make_way(self, job: Job) -> None:
        """See Backend; jobs are served in the order of the lanes."""

    def halt(self) -> None:
        """See Backend; a job waits on its own cancellation."""

    def close(self, *, keep_prompts: bool = True) -> None:
        """See Backend."""

    def serve(self, lanes: Lanes) -> None:
        """See Backend."""
        serve_in_turn(lanes, self._run)

    def _run(self, job: Job) -> None:
        clock = Clock(job)
        prompt = "".join(segment.text for segment in job.request.segments)
        prefix = _prefix(job.request.segments)
        clock.n_prompt = len(prompt)
        clock.n_reused = _n_shared(prompt, self._last_prompt)
        self._last_prompt = prompt
        clock.mark("prefill")
        counts = tuple(len(segment.text) for segment in job.request.segments)
        job.prefilled(clock, counts)
        reason = self._stream(job, clock, self._reply(prefix, job.request))
        clock.mark("decode")
        job.finish(reason, clock, counts)

    def _reply(self, prefix: str, request: Generate) -> Reply:
        fitting = [reply for reply in self._script.replies if prefix.endswith(reply.after)]
        reply = max(
            fitting, key=lambda reply: len(reply.after), default=Reply(text=self._script.default)
        )
        if not request.detours:
            return reply
        ways = self._ways.setdefault(prefix, [])
        if request.detours not in ways:
            ways.append(request.detours)
        number = ways.index(request.detours)
        return reply.others[number] if number < len(reply.others) else reply

    def _stream(self, job: Job, clock: Clock, reply: Reply) -> FinishReason:
        if job.request.sampling.max_tokens == 0:
            return "length"
        pieces = reply.pieces or tuple(_words(reply.text))
        for piece in pieces[: job.request.sampling.max_tokens]:
            if job.wait_cancelled(reply.interval_ms / 1000):
                return "cancelled"
            clock.first_token()
            clock.n_generated += 1
            job.send(piece, (reply.logprob,))
        if reply.abort:
            os.abort()
        if reply.hang:
            while not job.wait_cancelled(60):
                pass
            return "cancelled"
        return "stop" if len(pieces) <= job.request.sampling.max_tokens else "length"


def _prefix(segments: tuple[Segment, ...]) -> str:
    """The text that follows the FIM prefix token."""
    role: Role = "text"
    prefix = ""
    for segment in segments:
        if segment.role != "text":
            role = segment.role
        if role == "fim_prefix":
            prefix += segment.text
    return prefix


def _n_shared(a: str, b: str) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _words(text: str) -> list[str]:
    pieces: list[str] = []
    for character in text:
        if pieces and (character.isalnum() and pieces[-1][-1].isalnum()):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces
