"""The life of a completion, from the request to the suggestion; ``_live`` reads top to bottom."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from context.types import FileContext, Prompt
from lsp_server import __version__
from lsp_server.acceptance import learning
from lsp_server.acceptance.log import EventLog
from lsp_server.acceptance.sample_store import SampleStore
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.completion import asking, gate
from lsp_server.completion.accounts import Accounts, Standing
from lsp_server.completion.ahead import Ahead
from lsp_server.completion.alternatives import Alternatives
from lsp_server.completion.draft import Account, Draft, Explanation, source_file
from lsp_server.completion.engine_link import PAUSED, EngineLink
from lsp_server.completion.generations import Generations
from lsp_server.completion.place import Place
from lsp_server.completion.prompting import Prompts
from lsp_server.completion.rejections import Rejections
from lsp_server.completion.rhythm import Rhythm
from lsp_server.completion.scheduler import Scheduler
from lsp_server.completion.showing import Judge, Verdict
from lsp_server.completion.source import Source
from lsp_server.completion.suggestion_cache import SuggestionCache, key_of
from lsp_server.completion.warmup import Spot
from lsp_server.engine import pause
from lsp_server.errors import MidfillError
from lsp_server.score import scorer
from lsp_server.score.evidence import Evidence
from lsp_server.settings import Resolved, Settings, changed_options
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Edit,
    FileMark,
    MarkedFiles,
    OnPartial,
    OnStatus,
    Skip,
    Snapshot,
    Status,
    TokenChunk,
)
from lsp_server.workspace.workspaces import OnProgress, Workspaces

log = logging.getLogger("midfill.completion")

_MAX_SHORT_LINES = 100
# Fitting takes a second or two of a thread.
_LEARN_AFTER_S = 60.0


class CompletionService:
    """Answers completion requests of one language server or command line.

    Args:
        resolved: settings and where they come from.
        load: resolves the settings again for the options an editor sends.
        tracker: acceptance log; None logs nothing.
        event_log: closed with the service.
        samples: the same; texts for fine-tuning.
        client_name: who we are, for the engine's log.
        one_shot: whether the first request is the only one: it waits for all that other files
            give, which otherwise comes in pauses.
        keeps_suggestions: whether suggestions are kept on disk, as far as the settings allow it.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        load: Callable[[Mapping[str, Any]], Resolved] | None = None,
        tracker: AcceptanceTracker | None = None,
        event_log: EventLog | None = None,
        samples: SampleStore | None = None,
        client_name: str = "midfill",
        one_shot: bool = False,
        keeps_suggestions: bool = False,
    ) -> None:
        self.resolved = resolved
        self.on_status: OnStatus = lambda _status: None
        self._settings: Settings = resolved.settings
        self._load = load
        self._editor_options: Mapping[str, Any] = {}
        self._configuring = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._tracker = tracker
        self._event_log = event_log
        self._samples = samples
        self._engine = EngineLink(
            self._settings, client_name, lambda status: self.on_status(status)
        )
        self._scheduler = Scheduler(self._settings.completion.debounce_ms)
        self._workspaces = Workspaces(self._settings.context, at_once=one_shot)
        self._prompts = Prompts(self._engine, self._workspaces, at_once=one_shot)
        self._rhythm = Rhythm()
        self._rejections = Rejections()
        self._learning: asyncio.Task[None] | None = None
        self._judge = Judge(scorer.load(own=self._settings.completion.learn))
        self._one_shot = one_shot
        self._keeps_suggestions = keeps_suggestions
        self._generations = Generations()
        self._suggestions = SuggestionCache(self._cache_bytes, on_warning=self.warn)
        self._ahead = Ahead(
            self._engine,
            self._prompts,
            self._generations,
            lambda snapshot: self._gate(snapshot) is None,
        )
        self._accounts = Accounts()
        self._alternatives = Alternatives(
            self._engine,
            self._prompts,
            self._generations,
            self._rejections,
            self._scheduler,
            self._ahead,
            self._live,
            tracker,
        )

    # -- what handlers call --------------------------------------------------------------

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take the options of the editor; called before ``start``.

        Args:
            options: nested, as in the settings file: ``{"completion": {"max_lines": 4}}``.
        """
        if self._load is None or not options:
            return
        self._editor_options = options
        self.resolved = self._load(options)
        self._settings = self.resolved.settings
        self._engine.configure(self._settings)
        self._scheduler.debounce_ms = self._settings.completion.debounce_ms
        self._workspaces.settings = self._settings.context
        self._judge.scorer = scorer.load(own=self._settings.completion.learn)
        self._generations.clear()
        self._suggestions.limit(self._cache_bytes)
        if not self._settings.acceptance_log.enabled:
            self._stop_logging()
        elif not self._settings.acceptance_log.keep_text and self._tracker:
            self._tracker.stop_keeping_text()

    async def reconfigure(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The user has changed the options of the editor; they hold at once.

        Args:
            options: all of them, see ``configure``.

        Returns:
            A sentence for each that cannot be used: it stays as it was.
        """
        async with self._configuring:
            kept, problems = changed_options(options, self._editor_options)
            context = self._workspaces.settings
            self._scheduler.cancel_all()
            self._ahead.cancel()
            # Without any option the editor has no say any more.
            self.configure(kept or {"completion": {}})
            self._workspaces.settings = context
            await self._workspaces.configure(self._settings.context)
            self._tell_standing()
            self._engine.wake()
        return problems

    def _stop_logging(self) -> None:
        tracker, event_log = self._tracker, self._event_log
        self._tracker = self._alternatives.tracker = self._event_log = None
        if tracker is not None:
            tracker.stop_keeping_text()
            tracker.close()
        if event_log is not None:
            self._closing = asyncio.create_task(event_log.aclose())

    def warn(self, error: MidfillError) -> None:
        """Tell the user about trouble that does not keep suggestions from being made."""
        log.warning("%s", error)
        self.on_status(Status(kind="Warning", message=str(error)))

    async def start(self) -> None:
        """Say how things stand: settings that were not taken, no model yet, paused, or ready."""
        for problem in self.resolved.problems:
            log.warning("settings: %s", problem)
        self._tell_standing()
        if self._event_log is not None and self._settings.completion.learn:
            self._learning = asyncio.create_task(self._learn())

    def _tell_standing(self) -> None:
        try:
            self._engine.find()
        except MidfillError as error:
            self._engine.report(error)
        else:
            problems = " ".join(self.resolved.problems)
            self._engine.set_status(
                Status(kind="Warning", message=f"Settings: {problems}")
                if problems
                else PAUSED
                if pause.is_paused()
                else Status(kind="Normal")
            )

    async def _learn(self) -> None:
        """Learn from the user's decisions, once the editor has settled."""
        await asyncio.sleep(_LEARN_AFTER_S)
        try:
            await asyncio.to_thread(learning.learn)
        except MidfillError as error:
            log.warning("nothing was learned: %s", error)
        self._judge.scorer = scorer.load(own=self._settings.completion.learn)

    async def complete(
        self,
        request: CompletionRequest,
        on_partial: OnPartial | None = None,
        on_explain: Callable[[Explanation], None] | None = None,
    ) -> Completion | Skip:
        """A suggestion for a cursor position, or the reason why there is none.

        Args:
            request: where, in which text.
            on_partial: called with the growing suggestion.
            on_explain: called once with what went into it.
        """
        if self._tracker:
            self._tracker.requested(request, model=self._engine.model_id)
        explained: list[Explanation] = []
        try:
            result = await self._scheduler.run(
                request.snapshot.uri, lambda: self._live(request, on_partial, explained.append)
            )
        except asyncio.CancelledError:
            self._log_failure(request, "cancelled")
            raise
        except MidfillError as error:
            self._engine.failed(error)
            result = Skip(reason=error.code, message=str(error))
        if isinstance(result, Skip):
            self._log_failure(request, result.reason)
        elif self._tracker:
            self._tracker.answered(result, request)
        explanation = explained[0] if explained else None
        if on_explain and explanation:
            on_explain(explanation)
        self._accounts.put(
            request.snapshot.uri,
            Account(answer=result, request_id=request.id, explanation=explanation),
        )
        return result

    async def alternatives(self, request: CompletionRequest, n: int) -> list[Completion] | Skip:
        """Up to ``n`` suggestions for a cursor position, the one that stands there first."""
        return await self._alternatives.complete(request, n)

    def account(self, uri: str) -> Account | None:
        """How the last request in a document was answered; None before the first."""
        return self._accounts.of(uri)

    def standing(self) -> Standing:
        """How things stand, beside the status."""
        return Standing(
            model_id=self._engine.model_id,
            paused=pause.is_paused(),
            latency_ms=self._accounts.latency_ms,
            last=self._accounts.last,
        )

    async def pause(self, paused: bool) -> None:
        """Make no suggestions in any editor, and free all memory, or go on.

        Raises:
            StoreError: the state folder cannot be written.
        """
        await self._engine.pause(paused)

    async def recorded(self) -> bool:
        """Have all events so far stored; False where none are recorded."""
        if self._event_log is None:
            return False
        await self._event_log.flush()
        return True

    async def accepted(self, completion_id: str) -> None:
        """The user took a suggestion; returns once that is stored."""
        self._judge.history.accepted(self._alternatives.first_of(completion_id))
        self._alternatives.looked_at(completion_id)
        if self._tracker:
            self._tracker.accepted(completion_id)
        if self._event_log:
            await self._event_log.flush()

    def shown(self, completion_id: str) -> None:
        """The client shows a suggestion."""
        self._alternatives.looked_at(completion_id)
        if self._tracker:
            self._tracker.shown(completion_id)

    def partially_accepted(self, completion_id: str, n_utf16: int) -> None:
        """The user took the first ``n_utf16`` UTF-16 units of a suggestion."""
        self._judge.history.accepted(self._alternatives.first_of(completion_id))
        self._alternatives.looked_at(completion_id)
        if self._tracker:
            self._tracker.partially_accepted(completion_id, n_utf16)

    def dismissed(self, completion_id: str) -> None:
        """The user turned a suggestion down."""
        self._judge.history.dismissed(self._alternatives.first_of(completion_id))
        self._rejections.rejected(completion_id)
        self._alternatives.dismissed(completion_id)
        if self._tracker:
            self._tracker.dismissed(completion_id)

    @property
    def on_index_progress(self) -> OnProgress:
        """Told while a folder is indexed."""
        return self._workspaces.on_progress

    @on_index_progress.setter
    def on_index_progress(self, told: OnProgress) -> None:
        self._workspaces.on_progress = told

    def open_folders(self, roots: Iterable[Path]) -> None:
        """Take up folders that the editor works in; they are indexed in the background."""
        self._workspaces.open(roots)

    async def close_folders(self, roots: Iterable[Path]) -> None:
        """The editor does not work in some folders any more."""
        await self._workspaces.leave(roots)

    async def indexed(self) -> None:
        """Wait until all folders are indexed."""
        await self._workspaces.ready()

    def file_changed(self, uri: str) -> None:
        """A file was saved, made, changed or removed."""
        self._workspaces.changed(uri)

    def may_keep_text(self, uri: str) -> bool:
        """Whether text of a document may be kept: no rule leaves it out of prompts."""
        return self._workspaces.counts(uri)

    def mark_file(self, uri: str, mark: FileMark) -> bool:
        """A file is wanted in every prompt, or in none; False if it is in no open folder."""
        return self._workspaces.mark(uri, mark)

    def marked_files(self) -> MarkedFiles:
        """The files that are wanted in every prompt, and in none."""
        return self._workspaces.marked()

    def document_opened(self, snapshot: Snapshot) -> None:
        """Get the engine up while the user reads.

        Of a short document all text is in the prompt, wherever the cursor will be.
        """
        if self._tracker:
            self._tracker.document_opened(snapshot)
        self._workspaces.document(snapshot)
        self._engine.wake()
        if len(snapshot.lines) <= _MAX_SHORT_LINES:
            self.cursor_at(snapshot, len(snapshot.lines) - 1, 0)

    def document_edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        if self._tracker:
            self._tracker.document_edited(snapshot, edits)
        self._workspaces.edited(snapshot, edits)
        self._rhythm.key()

    def cursor_at(
        self, snapshot: Snapshot, line: int, column: int, *, typing: bool = False
    ) -> None:
        """The next request is likely to come from here, soon if the user is typing."""
        if not typing:
            self._workspaces.looked(snapshot.uri, line)
        spot = Spot(snapshot=snapshot, line=line, column=column)
        if typing:
            self._ahead.typing(spot)
        else:
            self._ahead.resting(spot)

    def document_closed(self, uri: str) -> None:
        """Forget a document."""
        if self._tracker:
            self._tracker.document_closed(uri)
        self._workspaces.closed(uri)
        self._prompts.forget(uri)
        self._generations.forget(uri)
        self._accounts.forget(uri)
        self._scheduler.cancel(uri)

    def focused(self, uri: str) -> None:
        """The user looks at a document, and may type: have the model loaded."""
        self._engine.wake()

    async def aclose(self) -> None:
        """End all requests, leave the engine, store all events."""
        self._scheduler.cancel_all()
        self._ahead.cancel()
        if self._learning is not None:
            self._learning.cancel()
        await self._generations.aclose()
        await self._suggestions.aclose()
        await self._workspaces.aclose()
        await self._engine.aclose()
        if self._tracker:
            self._tracker.close()
        if self._event_log is not None:
            await self._event_log.aclose()
        if self._samples is not None:
            await asyncio.to_thread(self._samples.close)
        if self._closing is not None:
            await self._closing

    # -- the life of a completion --------------------------------------------------------

    async def _live(
        self,
        request: CompletionRequest,
        on_partial: OnPartial | None,
        on_explain: Callable[[Explanation], None],
    ) -> Completion | Skip:
        if skip := self._gate(request.snapshot):
            return skip
        await self._engine.connect()
        if self._one_shot and self._prompts.n_context_tokens:
            await self.indexed()

        started_s = time.monotonic()
        read = file, cursor = source_file(request.snapshot, request.line, request.column)
        source = Source(self._generations, file.path, Place(file.data, cursor))
        is_known = source.origin == "cache"
        context, found, prompt = self._prompts.at(request, alone=is_known, read=read)
        if context.scope.kind == "comment" and context.scope.line_after.strip():
            return Skip(reason="inside_comment", message="The cursor is inside a comment.")
        context_ms = 1000 * (time.monotonic() - started_s)
        key = "" if is_known else self._key(request, prompt)
        if key and (saved := await self._suggestions.get(key)):
            source.recall(saved)
        elif not is_known:
            await self._debounce(request, context, prompt)
        asked_s = time.monotonic()

        shaper = source.shape(asking.shaper(self._settings.completion, context))
        draft = Draft(request, shaper, context_ms, self._engine.model_id)
        answer_by_s = (request.received_s or started_s) + self._settings.completion.answer_ms / 1000

        def begin() -> AsyncGenerator[TokenChunk]:
            # Of a stream that turned out to say something else only the open file was asked about.
            whole = self._prompts.at(request, read=read).prompt if is_known else prompt
            return self._engine.generate(whole)

        past = self._judge.history.past(request.snapshot.uri, request.line)

        def evidence() -> Evidence:
            return draft.evidence(context, found.chosen, past, source.n_typed_chars)

        verdict = self._judge.verdict(self._settings.completion, request, lambda: source.is_seen)
        stream, is_news = source.chunks(begin), False
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                draft.origin = source.origin
                is_news = draft.take(chunk) or is_news
                if draft.has_line:
                    verdict.look(evidence)
                if verdict.hides:
                    break
                may_show = is_news and not source.is_whole and not source.is_behind
                if (
                    may_show
                    and on_partial
                    and not verdict.waits
                    and not self._was_rejected(draft, context)
                ):
                    is_news = False
                    partial = draft.completion(complete=False, p=verdict.p)
                    source.seen(draft.raw_shown)
                    self._judged(request, verdict)
                    if self._tracker:
                        self._tracker.answered(partial, request)
                    on_partial(partial)
                if draft.stop:
                    break
                if not on_partial and time.monotonic() > answer_by_s and draft.keep_whole_lines():
                    break
            if draft.stop or verdict.hides:
                source.cut(draft.raw_shown)
        draft.close()
        if draft.text:
            verdict.look(evidence)
        if draft.text and source.origin == "engine":
            self._rhythm.answered(1000 * (draft.shown_s - asked_s))
        made_of = evidence() if draft.text else None
        on_explain(draft.explain(context, found.chosen, prompt, made_of, verdict.p, verdict.least))
        spot = Spot(snapshot=request.snapshot, line=request.line, column=request.column)
        shown = "" if verdict.hides else draft.completion(complete=True).text
        self._ahead.shown(spot, shown, settled=found.chosen.settled)
        if not draft.text:
            return Skip(reason=draft.empty_reason, message="The model has nothing to add here.")
        if self._was_rejected(draft, context, complete=True):
            return Skip(reason="rejected", message="It was turned down here a moment ago.")
        if verdict.hides:
            return verdict.skip
        if key and draft.stop != "answer_ms" and (said := source.saved()):
            self._suggestions.put(key, said)
        self._rejections.made(
            request.id, request.snapshot.uri, context.scope.line_before, draft.text
        )
        self._accounts.displayable(draft)
        identity = source.identity(draft.raw_shown)
        source.seen(draft.raw_shown)
        self._judge.history.made(
            *(request.id, request.snapshot.uri, request.line, draft.text),
            identity=identity,
            p=verdict.p,
        )
        self._judged(request, verdict)
        return draft.completion(complete=True, identity=identity, p=verdict.p)

    def _judged(self, request: CompletionRequest, verdict: Verdict) -> None:
        """Have it logged how likely a suggestion is to be taken, once that is known."""
        if self._tracker and verdict.features:
            self._tracker.judged(request.id, verdict.p, verdict.features, explored=verdict.explored)

    @property
    def _cache_bytes(self) -> int:
        return self._settings.completion.cache_mib * 2**20 if self._keeps_suggestions else 0

    def _key(self, request: CompletionRequest, prompt: Prompt) -> str:
        """Names all that a suggestion depends on: text, file, other files, model, settings."""
        if not self._suggestions.is_on:
            return ""
        completion = self._settings.completion
        return key_of(
            __version__,
            request.snapshot.uri,
            *self._engine.recipe(prompt),
            completion.max_lines,
            completion.multi_line,
        )

    def _was_rejected(self, draft: Draft, context: FileContext, *, complete: bool = False) -> bool:
        """Whether the user turned this very suggestion down; who asks for one gets it again."""
        request, before = draft.request, context.scope.line_before
        return request.trigger == "automatic" and self._rejections.holds(
            request.snapshot.uri, before, draft.text, complete=complete
        )

    async def _debounce(
        self, request: CompletionRequest, context: FileContext, prompt: Prompt
    ) -> None:
        """Wait for a pause in typing."""
        mode, scope = self._settings.completion.mode, context.scope
        wait_ms = self._rhythm.wait_ms(mode, scope.line_before, scope.line_after)
        left_ms = self._scheduler.pause_left_ms(request, wait_ms)
        if left_ms > 0:
            self._ahead.asked(prompt)
        else:
            self._ahead.cancel()
        await asyncio.sleep(left_ms / 1000)
        self._ahead.cancel()

    def _gate(self, snapshot: Snapshot) -> Skip | None:
        skip = gate.refusal(self._settings.completion, snapshot)
        if skip is not None and skip.reason == pause.CODE:
            self._engine.set_status(PAUSED)
        return skip

    def _log_failure(self, request: CompletionRequest, reason: str) -> None:
        log.debug("no suggestion for %s: %s", request.id, reason)
        if self._tracker:
            self._tracker.failed(request, reason, model=self._engine.model_id)


def new_request_id() -> str:
    """A unique completion id."""
    return uuid.uuid4().hex


def build_service(
    load: Callable[[Mapping[str, Any]], Resolved],
    options: Mapping[str, Any] | None = None,
    *,
    client_name: str = "midfill",
) -> CompletionService:
    """A service with an acceptance log, as the language server uses it.

    Args:
        load: settings for the options an editor sends.
        options: of the editor.
        client_name: who we are, for the engine's log.
    """
    resolved = load(options or {})
    if not resolved.settings.acceptance_log.enabled:
        return CompletionService(
            resolved, load=load, client_name=client_name, keeps_suggestions=True
        )
    log_settings = resolved.settings.acceptance_log
    keep_s = 86_400.0 * log_settings.keep_days
    event_log = EventLog(on_warning=lambda error: service.warn(error), keep_s=keep_s)
    samples = SampleStore(keep_s=keep_s) if log_settings.keep_text else None
    tracker = AcceptanceTracker(
        event_log,
        session=uuid.uuid4().hex,
        keep_text=samples.add if samples else None,
        may_keep_text=lambda uri: service.may_keep_text(uri),
    )
    service = CompletionService(
        resolved,
        load=load,
        tracker=tracker,
        event_log=event_log,
        samples=samples,
        client_name=client_name,
        keeps_suggestions=True,
    )
    return service
