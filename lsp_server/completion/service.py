"""The life of a completion, from the request to the suggestion; ``_live`` reads top to bottom."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable

from context.types import Prompt
from lsp_server import __version__
from lsp_server.completion import asking, gate
from lsp_server.completion.accounts import Accounts, Standing
from lsp_server.completion.ahead import Ahead
from lsp_server.completion.alternatives import Alternatives
from lsp_server.completion.configuration import Configuration, Load
from lsp_server.completion.documents import Documents
from lsp_server.completion.draft import Account, Draft, Explanation, source_file
from lsp_server.completion.engine_link import PAUSED, EngineLink
from lsp_server.completion.feed import Feed
from lsp_server.completion.feedback import Feedback
from lsp_server.completion.generations import Generations
from lsp_server.completion.learner import Learner
from lsp_server.completion.place import Place
from lsp_server.completion.prompting import Gathered, Prompts
from lsp_server.completion.recording import Recording
from lsp_server.completion.rejections import Rejections
from lsp_server.completion.rhythm import Rhythm
from lsp_server.completion.scheduler import Scheduler
from lsp_server.completion.showing import Judge, Verdict
from lsp_server.completion.source import Source
from lsp_server.completion.suggestion_cache import SuggestionCache, key_of
from lsp_server.completion.warmup import Spot
from lsp_server.completion.wording import another
from lsp_server.completion.writing import Writing
from lsp_server.engine import launch, pause
from lsp_server.engine.choice import Guess
from lsp_server.engine.protocol import Detour
from lsp_server.errors import MidfillError
from lsp_server.score import scorer
from lsp_server.settings import CompletionSettings, Resolved
from lsp_server.types import (
    Completion,
    CompletionRequest,
    OnPartial,
    OnStatus,
    Skip,
    Snapshot,
    Status,
    TokenChunk,
)
from lsp_server.workspace.workspaces import OnProgress, Workspaces

log = logging.getLogger("midfill.completion")


class CompletionService:
    """Answers completion requests of one language server or command line.

    Args:
        resolved: settings and where they come from.
        load: resolves the settings again for the options an editor sends.
        recording: of what becomes of suggestions; closed with the service.
        client_name: who we are, for the engine's log.
        one_shot: whether the first request is the only one: it waits for all that other files
            give, which otherwise comes in pauses.
        keeps_suggestions: whether suggestions are kept on disk, as far as the settings allow it.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        load: Load | None = None,
        recording: Recording | None = None,
        client_name: str = "midfill",
        one_shot: bool = False,
        keeps_suggestions: bool = False,
    ) -> None:
        self.on_status: OnStatus = lambda _status: None
        self._one_shot = one_shot
        self._recording = recording or Recording()
        settings = resolved.settings
        self._engine = EngineLink(
            settings, client_name, lambda status: self.on_status(status), at_once=one_shot
        )
        self._scheduler = Scheduler(settings.completion.debounce_ms)
        self._workspaces = Workspaces(settings.context, at_once=one_shot)
        self._feed = Feed(self._engine, self._workspaces)
        self._prompts = Prompts(self._engine, self._workspaces, self._feed, at_once=one_shot)
        self._rhythm = Rhythm()
        self._rejections = Rejections()
        self._judge = Judge(scorer.load(own=settings.completion.learn))
        self._learner = Learner(self._judge, lambda: self._settings.learn)
        self._generations = Generations()
        cache_bytes = settings.completion.cache_mib * 2**20 if keeps_suggestions else 0
        self._suggestions = SuggestionCache(cache_bytes, on_warning=self.warn)
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
            self._recording,
        )
        self._configuration = Configuration(
            resolved,
            load,
            engine=self._engine,
            scheduler=self._scheduler,
            workspaces=self._workspaces,
            feed=self._feed,
            judge=self._judge,
            generations=self._generations,
            suggestions=self._suggestions,
            keeps_suggestions=keeps_suggestions,
            ahead=self._ahead,
            recording=self._recording,
        )
        self._open_doors()

    def _open_doors(self) -> None:
        """What handlers call, and other rooms do."""
        self.configure = self._configuration.take
        self.reconfigure = self._configuration.change
        self.pause = self._engine.pause
        self.alternatives = self._alternatives.complete
        self.account = self._accounts.of

        feedback = Feedback(self._judge, self._rejections, self._alternatives, self._recording)
        self.shown, self.dismissed = feedback.shown, feedback.dismissed
        self.accepted = feedback.accepted
        self.partially_accepted = feedback.partially_accepted
        self.recorded = self._recording.flush

        documents = Documents(
            self._workspaces,
            self._feed,
            self._engine,
            self._ahead,
            self._rhythm,
            self._recording,
            forget=(
                self._prompts.forget,
                self._generations.forget,
                self._accounts.forget,
                self._scheduler.cancel,
            ),
        )
        self.document_opened, self.document_edited = documents.opened, documents.edited
        self.document_closed = documents.closed
        self.cursor_at, self.focused = documents.cursor_at, documents.focused
        self.file_changed, self.mark_file = documents.changed, documents.mark

        self.open_folders, self.close_folders = self._workspaces.open, self._workspaces.leave
        self.indexed, self.marked_files = self._workspaces.ready, self._workspaces.marked
        self.may_keep_text = self._workspaces.counts

    @property
    def on_index_progress(self) -> OnProgress:
        """Told while a folder is indexed."""
        return self._workspaces.on_progress

    @on_index_progress.setter
    def on_index_progress(self, told: OnProgress) -> None:
        self._workspaces.on_progress = told

    @property
    def resolved(self) -> Resolved:
        """The settings that hold, and where they come from."""
        return self._configuration.resolved

    @property
    def _settings(self) -> CompletionSettings:
        return self._engine.settings.completion

    def warn(self, error: MidfillError) -> None:
        """Tell the user about trouble that does not keep suggestions from being made."""
        log.warning("%s", error)
        self.on_status(Status(kind="Warning", message=str(error)))

    def standing(self) -> Standing:
        """How things stand, beside the status."""
        return Standing(
            model_id=self._engine.model_id,
            paused=pause.is_paused(),
            latency_ms=self._accounts.latency_ms,
            last=self._accounts.last,
            texts=self._feed.state,
        )

    def larger_model(self) -> Guess | None:
        """A model that is not fetched, and would probably be fast enough here."""
        return launch.worth_fetching(self._engine.settings)

    # -- the life of the service ---------------------------------------------------------

    async def start(self) -> None:
        """Say how things stand, and learn from what is recorded."""
        self._configuration.tell()
        if self._recording.is_on:
            self._learner.begin()

    async def aclose(self) -> None:
        """End all requests, leave the engine, store all events."""
        self._scheduler.cancel_all()
        self._ahead.cancel()
        self._learner.cancel()
        await self._generations.aclose()
        await self._suggestions.aclose()
        await self._feed.aclose()
        await self._workspaces.aclose()
        await self._engine.aclose()
        await self._recording.aclose()

    # -- the life of a completion --------------------------------------------------------

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
        if tracker := self._recording.tracker:
            tracker.requested(request, model=self._engine.model_id)
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
        elif tracker := self._recording.tracker:
            tracker.answered(result, request)
        explanation = explained[0] if explained else None
        if on_explain and explanation:
            on_explain(explanation)
        self._accounts.put(
            request.snapshot.uri,
            Account(answer=result, request_id=request.id, explanation=explanation),
        )
        return result

    async def _live(
        self,
        request: CompletionRequest,
        on_partial: OnPartial | None,
        on_explain: Callable[[Explanation], None],
    ) -> Completion | Skip:
        if skip := self._gate(request.snapshot):
            return skip
        await self._engine.connect()
        if self._one_shot:
            await self._prompts.ready(request.snapshot.uri)

        started_s = time.monotonic()
        read = file, cursor = source_file(request.snapshot, request.line, request.column)
        unwanted = self._rejections.wordings(request)
        detours = another(unwanted)
        place = Place(file.data, cursor)
        source = Source(self._generations, file.path, place, [each.line for each in unwanted])
        is_known = source.origin == "cache"
        gathered = self._prompts.at(request, alone=is_known, read=read)
        if gathered.context.scope.kind == "comment" and gathered.context.scope.line_after.strip():
            return Skip(reason="inside_comment", message="The cursor is inside a comment.")
        context_ms = 1000 * (time.monotonic() - started_s)
        key = "" if is_known else self._key(request, gathered.prompt, detours)
        if key and (saved := await self._suggestions.get(key)):
            source.recall(saved)
        elif not is_known:
            await self._debounce(request, gathered)
        asked_s = time.monotonic()

        def begin() -> AsyncGenerator[TokenChunk]:
            # Of a stream that turned out to say something else only the open file was asked about.
            whole = self._prompts.at(request, read=read) if is_known else gathered
            return self._engine.generate(whole.prompt, detours=detours, home=whole.home)

        writing = self._begin(request, gathered, source, context_ms, detours)
        answer_by_s = (request.received_s or started_s) + self._settings.answer_ms / 1000
        show = (lambda: self._show(writing, on_partial)) if on_partial else None
        await writing.read(begin, show, answer_by_s)
        if writing.draft.text and source.origin == "engine":
            self._rhythm.answered(1000 * (writing.draft.shown_s - asked_s))
        on_explain(writing.explanation())
        self._look_ahead(writing)
        return self._answer(writing, key)

    def _gate(self, snapshot: Snapshot) -> Skip | None:
        skip = gate.refusal(self._settings, snapshot)
        if skip is not None and skip.reason == pause.CODE:
            self._engine.set_status(PAUSED)
        return skip

    def _key(self, request: CompletionRequest, prompt: Prompt, detours: tuple[Detour, ...]) -> str:
        """Names all that a suggestion depends on: text, file, other files, model, settings."""
        if not self._suggestions.is_on:
            return ""
        return key_of(
            __version__,
            request.snapshot.uri,
            *self._engine.recipe(prompt),
            detours,
            self._settings.max_lines,
            self._settings.multi_line,
        )

    async def _debounce(self, request: CompletionRequest, gathered: Gathered) -> None:
        """Wait for a pause in typing."""
        scope = gathered.context.scope
        wait_ms = self._rhythm.wait_ms(self._settings.mode, scope.line_before, scope.line_after)
        left_ms = self._scheduler.pause_left_ms(request, wait_ms)
        if left_ms > 0:
            self._ahead.asked(gathered.prompt)
        else:
            self._ahead.cancel()
        await asyncio.sleep(left_ms / 1000)
        self._ahead.cancel()

    def _begin(
        self,
        request: CompletionRequest,
        gathered: Gathered,
        source: Source,
        context_ms: float,
        detours: tuple[Detour, ...],
    ) -> Writing:
        shape = source.shape(asking.shaper(self._settings, gathered.context))
        return Writing(
            request,
            gathered,
            source,
            Draft(request, shape, context_ms, self._engine.model_id, detours),
            self._judge.verdict(self._settings, request, lambda: source.is_seen),
            self._judge.history.past(request.snapshot.uri, request.line),
        )

    def _show(self, writing: Writing, on_partial: OnPartial) -> bool:
        """Show as much as there is; False where the user does not want to see it."""
        if self._was_rejected(writing, complete=False):
            return False
        request, _, source, draft, verdict, _ = writing
        partial = draft.completion(complete=False, p=verdict.p)
        source.seen(draft.raw_shown)
        self._judged(request, verdict)
        if tracker := self._recording.tracker:
            tracker.answered(partial, request)
        on_partial(partial)
        return True

    def _look_ahead(self, writing: Writing) -> None:
        """Begin with the suggestion behind this one."""
        request, gathered, _, draft, verdict, _ = writing
        spot = Spot(snapshot=request.snapshot, line=request.line, column=request.column)
        shown = "" if verdict.hides else draft.completion(complete=True).text
        self._ahead.shown(spot, shown, settled=gathered.found.chosen.settled)

    def _answer(self, writing: Writing, key: str) -> Completion | Skip:
        """The suggestion, which is remembered, or the reason why there is none.

        Args:
            writing: all of it.
            key: to keep it by on disk; "" where it is not to be kept.
        """
        request, _, source, draft, verdict, _ = writing
        if not draft.text:
            return Skip(reason=draft.empty_reason, message="The model has nothing to add here.")
        if self._was_rejected(writing, complete=True):
            return Skip(reason="rejected", message="It was turned down here a moment ago.")
        if verdict.hides:
            return verdict.skip
        if key and draft.stop != "answer_ms" and (said := source.saved()):
            self._suggestions.put(key, said)
        self._rejections.made(request.id, request, draft.text, draft.wording)
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

    def _was_rejected(self, writing: Writing, *, complete: bool) -> bool:
        """Whether the user turned this very suggestion down; who asks for one gets it again."""
        return self._rejections.holds(writing.request, writing.draft.text, complete=complete)

    def _judged(self, request: CompletionRequest, verdict: Verdict) -> None:
        """Have it logged how likely a suggestion is to be taken, once that is known."""
        tracker = self._recording.tracker
        if tracker and verdict.features:
            tracker.judged(request.id, verdict.p, verdict.features, explored=verdict.explored)

    def _log_failure(self, request: CompletionRequest, reason: str) -> None:
        log.debug("no suggestion for %s: %s", request.id, reason)
        if tracker := self._recording.tracker:
            tracker.failed(request, reason, model=self._engine.model_id)


def new_request_id() -> str:
    """A unique completion id."""
    return uuid.uuid4().hex
