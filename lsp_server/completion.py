"""The life of a completion, from the request to the suggestion; ``_live`` reads top to bottom."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from context import fim
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, Prompt, SourceFile
from lsp_server.acceptance.log import EventLog
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.draft import Account, Draft, Explanation, source_file
from lsp_server.engine import pause
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import adapters, engine_options, tell_change, unmeasured
from lsp_server.engine.protocol import StateChange
from lsp_server.errors import EngineError, EngineRefusedError, MidfillError, ModelError
from lsp_server.postprocess.shape import Shaper
from lsp_server.scheduler import Scheduler
from lsp_server.settings import Resolved, Settings
from lsp_server.types import (
    Completion,
    CompletionRequest,
    OnPartial,
    OnStatus,
    SamplingParams,
    Skip,
    Snapshot,
    Status,
    StatusKind,
)
from lsp_server.warmup import Spot, WarmUp

log = logging.getLogger("midfill.completion")

# Prompt budgets and longest suggestion where the settings leave them open: a CPU evaluates some
# 200 prompt tokens a second, a GPU several thousand.
_CPU_BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
_GPU_BUDGET = Budget(n_prefix_tokens=3072, n_suffix_tokens=1024)
_CPU_MAX_TOKENS, _GPU_MAX_TOKENS = 96, 192
# Budgets are counted in estimated tokens: so much of a small context is filled.
_ROOM_SHARE = 0.75
_N_DOCUMENTS = 32
_MAX_SHORT_LINES = 100
# Most clients ask right after an edit; the others give a hint of when they will.
_TYPING_PAUSE_MS, _RESTING_PAUSE_MS = 15.0, 300.0
_AROUND_CHARS = 2000
# Refusals that say nothing of the engine's health: the answer's reason is enough.
_ANSWERS_ONLY = ("prompt_quarantined",)


class CompletionService:
    """Answers completion requests of one language server or command line.

    Args:
        resolved: settings and where they come from.
        load: resolves the settings again for the options an editor sends.
        tracker: acceptance log; None logs nothing.
        event_log: closed with the service.
        client_name: who we are, for the engine's log.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        load: Callable[[Mapping[str, Any]], Resolved] | None = None,
        tracker: AcceptanceTracker | None = None,
        event_log: EventLog | None = None,
        client_name: str = "midfill",
    ) -> None:
        self.resolved = resolved
        self.on_status: OnStatus = lambda _status: None
        self._settings: Settings = resolved.settings
        self._load = load
        self._tracker = tracker
        self._event_log = event_log
        self._client_name = client_name
        self._engine: EngineClient | None = None
        self._scheduler = Scheduler(self._settings.completion.debounce_ms)
        self._warm_up = WarmUp()
        self._trees: OrderedDict[str, SyntaxTree] = OrderedDict()
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._status: Status | None = None
        self._background: set[asyncio.Task[None]] = set()

    # -- what handlers call --------------------------------------------------------------

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take the options of the editor; called before ``start``.

        Args:
            options: nested, as in the settings file: ``{"completion": {"max_lines": 4}}``.
        """
        if self._load is None or not options:
            return
        self.resolved = self._load(options)
        self._settings = self.resolved.settings
        self._scheduler.debounce_ms = self._settings.completion.debounce_ms

    def warn(self, error: MidfillError) -> None:
        """Tell the user about trouble that does not keep suggestions from being made."""
        log.warning("%s", error)
        self.on_status(Status(kind="Warning", message=str(error)))

    async def start(self) -> None:
        """Say how things stand: settings that were not taken, no model yet, paused, or ready."""
        for problem in self.resolved.problems:
            log.warning("settings: %s", problem)
        try:
            self._client()
        except MidfillError as error:
            self._report_error(error)
        else:
            problems = " ".join(self.resolved.problems)
            self._set_status(
                Status(kind="Warning", message=f"Settings: {problems}")
                if problems
                else _PAUSED
                if pause.is_paused()
                else Status(kind="Normal")
            )

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
            self._tracker.requested(request, model=self._model_id)
        explained: list[Explanation] = []
        try:
            result = await self._scheduler.run(
                request.snapshot.uri, lambda: self._live(request, on_partial, explained.append)
            )
        except asyncio.CancelledError:
            self._log_failure(request, "cancelled")
            raise
        except EngineError as error:
            if isinstance(error, EngineRefusedError) and error.code == pause.CODE:
                self._report_pause()
            elif error.code not in _ANSWERS_ONLY:
                self._report_error(error)
                self._revive()
            result = Skip(reason=error.code, message=str(error))
        except MidfillError as error:
            self._report_error(error)
            result = Skip(reason=error.code, message=str(error))
        if isinstance(result, Skip):
            self._log_failure(request, result.reason)
        elif self._tracker:
            self._tracker.answered(result, request)
        explanation = explained[0] if explained else None
        if on_explain and explanation:
            on_explain(explanation)
        self._remember(
            request.snapshot.uri,
            Account(answer=result, request_id=request.id, explanation=explanation),
        )
        return result

    def account(self, uri: str) -> Account | None:
        """How the last request in a document was answered; None before the first."""
        return self._accounts.get(uri)

    async def accepted(self, completion_id: str) -> None:
        """The user took a suggestion; returns once that is stored."""
        if self._tracker:
            self._tracker.accepted(completion_id)
        if self._event_log:
            await self._event_log.flush()

    def shown(self, completion_id: str) -> None:
        """The client shows a suggestion."""
        if self._tracker:
            self._tracker.shown(completion_id)

    def partially_accepted(self, completion_id: str, n_utf16: int) -> None:
        """The user took the first ``n_utf16`` UTF-16 units of a suggestion."""
        if self._tracker:
            self._tracker.partially_accepted(completion_id, n_utf16)

    def dismissed(self, completion_id: str) -> None:
        """The user turned a suggestion down."""
        if self._tracker:
            self._tracker.dismissed(completion_id)

    def document_opened(self, snapshot: Snapshot) -> None:
        """Get the engine up while the user reads.

        Of a short document all text is in the prompt, wherever the cursor will be.
        """
        self._wake_engine()
        if len(snapshot.lines) <= _MAX_SHORT_LINES:
            self.cursor_at(snapshot, len(snapshot.lines) - 1, 0)

    def cursor_at(
        self, snapshot: Snapshot, line: int, column: int, *, typing: bool = False
    ) -> None:
        """The next request is likely to come from here, soon if the user is typing."""
        if self._settings.completion.warm_up:
            spot = Spot(snapshot=snapshot, line=line, column=column)
            pause_ms = _TYPING_PAUSE_MS if typing else _RESTING_PAUSE_MS
            self._warm_up.want(lambda: self._evaluate_ahead(spot), pause_ms)

    def document_closed(self, uri: str) -> None:
        """Forget a document."""
        self._trees.pop(uri, None)
        self._accounts.pop(uri, None)
        self._scheduler.cancel(uri)

    def focused(self, uri: str) -> None:
        """The user looks at a document, and may type: have the model loaded."""
        self._wake_engine()

    async def aclose(self) -> None:
        """End all requests, leave the engine, store all events."""
        self._scheduler.cancel_all()
        self._warm_up.cancel()
        for task in self._background:
            task.cancel()
        if self._engine is not None:
            await self._engine.aclose()
        if self._event_log is not None:
            await self._event_log.aclose()

    # -- the life of a completion --------------------------------------------------------

    async def _live(
        self,
        request: CompletionRequest,
        on_partial: OnPartial | None,
        on_explain: Callable[[Explanation], None],
    ) -> Completion | Skip:
        if skip := self._gate(request.snapshot):
            return skip
        client = self._client()
        await client.connect()
        self._report_no_pause(client)

        started_s = time.monotonic()
        context = self._gather(request, self._budget(client))
        if context.scope.kind == "comment" and context.scope.line_after.strip():
            return Skip(reason="inside_comment", message="The cursor is inside a comment.")
        prompt = fim.build_prompt(context)
        context_ms = 1000 * (time.monotonic() - started_s)
        await self._debounce(request, client, prompt)

        draft = Draft(request, self._shaper(context), context_ms, client.options.model_id)
        answer_by_s = (request.received_s or started_s) + self._settings.completion.answer_ms / 1000
        stream = client.generate(
            prompt.segments,
            self._sampling(client),
            stop=prompt.stop,
            heal_bytes=self._heal_bytes(prompt),
            adapters=adapters(self._settings),
        )
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if draft.take(chunk) and on_partial:
                    partial = draft.completion(complete=False)
                    if self._tracker:
                        self._tracker.answered(partial, request)
                    on_partial(partial)
                if draft.stop:
                    break
                if not on_partial and time.monotonic() > answer_by_s and draft.keep_whole_lines():
                    break
        draft.close()
        on_explain(draft.explain(context, prompt))
        if not draft.text:
            return Skip(reason=draft.empty_reason, message="The model has nothing to add here.")
        return draft.completion(complete=True)

    async def _evaluate_ahead(self, spot: Spot) -> None:
        """Evaluate the prompt of a spot; trouble is told by the request that meets it."""
        if self._gate(spot.snapshot):
            return
        with contextlib.suppress(MidfillError):
            client = self._client()
            await client.connect()
            await self._prefill(client, fim.build_prompt(self._gather(spot, self._budget(client))))

    async def _prefill(self, client: EngineClient, prompt: Prompt) -> None:
        nothing = SamplingParams(max_tokens=0)
        healed = self._heal_bytes(prompt)
        with contextlib.suppress(MidfillError):
            async for _ in client.generate(
                prompt.segments,
                nothing,
                heal_bytes=healed,
                lane="warm_up",
                adapters=adapters(self._settings),
            ):
                pass

    async def _debounce(
        self, request: CompletionRequest, client: EngineClient, prompt: Prompt
    ) -> None:
        """Wait for a pause in typing; what the engine evaluates meanwhile is never lost."""
        left_ms = self._scheduler.pause_left_ms(request)
        if left_ms > 0 and self._settings.completion.warm_up:
            self._warm_up.want(lambda: self._prefill(client, prompt), 0)
        else:
            self._warm_up.cancel()
        await asyncio.sleep(left_ms / 1000)
        self._warm_up.cancel()

    def _heal_bytes(self, prompt: Prompt) -> int:
        return prompt.heal_bytes if self._settings.completion.healing else 0

    def _gate(self, snapshot: Snapshot) -> Skip | None:
        settings = self._settings.completion
        if not settings.enabled:
            return Skip(reason="disabled", message="Completion is switched off.")
        if pause.is_paused():
            self._report_pause()
            return Skip(reason=pause.CODE, message=str(pause.refusal()))
        if snapshot.language in settings.disabled_languages:
            return Skip(
                reason="language_disabled", message=f"Switched off for {snapshot.language}."
            )
        if snapshot.n_bytes > settings.max_document_bytes:
            return Skip(
                reason="document_too_large",
                message=f"The document has {snapshot.n_bytes / 2**20:.1f} MiB; suggestions are "
                f"made up to {settings.max_document_bytes / 2**20:g} MiB "
                "(completion.max_document_bytes).",
            )
        return None

    def _gather(self, request: CompletionRequest | Spot, budget: Budget) -> FileContext:
        file, cursor = source_file(request.snapshot, request.line, request.column)
        tree = self._tree(request.snapshot.uri, file)
        return gather(file, tree, cursor, budget)

    def _tree(self, uri: str, file: SourceFile) -> SyntaxTree | None:
        old = self._trees.pop(uri, None)
        tree = SyntaxTree.update(old, file) if old is not None else SyntaxTree.parse(file)
        if tree is not None:
            self._trees[uri] = tree
            while len(self._trees) > _N_DOCUMENTS:
                self._trees.popitem(last=False)
        return tree

    def _remember(self, uri: str, account: Account) -> None:
        self._accounts.pop(uri, None)
        self._accounts[uri] = account
        while len(self._accounts) > _N_DOCUMENTS:
            self._accounts.popitem(last=False)

    def _budget(self, client: EngineClient) -> Budget:
        chosen = _GPU_BUDGET if _on_gpu(client) else _CPU_BUDGET
        settings = self._settings.completion
        n_prefix = settings.n_prefix_tokens or chosen.n_prefix_tokens
        n_suffix = settings.n_suffix_tokens or chosen.n_suffix_tokens
        # The engine may have come down to a small context for want of memory.
        n_ctx = client.state.n_ctx if client.state else 0
        n_room = max(n_ctx - self._sampling(client).max_tokens, 0) * _ROOM_SHARE
        share = min(1.0, n_room / max(n_prefix + n_suffix, 1)) if n_ctx else 1.0
        return Budget(n_prefix_tokens=int(n_prefix * share), n_suffix_tokens=int(n_suffix * share))

    def _sampling(self, client: EngineClient) -> SamplingParams:
        settings = self._settings.completion
        chosen = _GPU_MAX_TOKENS if _on_gpu(client) else _CPU_MAX_TOKENS
        return SamplingParams(
            max_tokens=settings.max_tokens or chosen,
            temperature=settings.temperature,
            temperature_floor=settings.temperature_floor,
            temperature_decay=settings.temperature_decay,
            top_p=settings.top_p,
            repeat_penalty=settings.repeat_penalty,
            seed=settings.seed,
        )

    def _shaper(self, context: FileContext) -> Shaper:
        scope = context.scope
        choice = self._settings.completion.multi_line
        multi_line = scope.multi_line if choice == "auto" else choice == "always"
        prefix, suffix = context.prefix_text, context.suffix_text
        return Shaper(
            scope,
            before=prefix.encode("utf-8", "replace"),
            around=prefix[-_AROUND_CHARS:] + suffix[:_AROUND_CHARS],
            max_lines=self._settings.completion.max_lines,
            multi_line=multi_line,
        )

    # -- the engine ----------------------------------------------------------------------

    @property
    def _model_id(self) -> str:
        return self._engine.options.model_id if self._engine else ""

    def _client(self) -> EngineClient:
        """The engine's client; while there is no model, each request looks again."""
        if self._engine is None:
            options = engine_options(self._settings)
            tell_change(self._settings, options.model_id)
            self._engine = EngineClient(
                options,
                name=self._client_name,
                on_state=self._on_engine_state,
                survey=lambda: unmeasured(self._settings),
            )
        return self._engine

    def _wake_engine(self) -> None:
        """Have the engine running and its model loaded, unless the user does not want it."""
        if pause.is_paused():
            return
        with contextlib.suppress(MidfillError):
            self._spawn(self._wake(self._client()))

    async def _wake(self, client: EngineClient) -> None:
        try:
            await client.wake()
        except MidfillError as error:
            self._report_error(error)

    def _revive(self) -> None:
        """Start the engine again at once, so that the next request finds it ready."""
        if self._engine is not None and self._engine.breaker.wait_s() == 0:
            self._spawn(self._wake(self._engine))

    def _on_engine_state(self, state: StateChange) -> None:
        self._set_status(_status_of(state))

    def _report_pause(self) -> None:
        self._set_status(_PAUSED)

    def _report_no_pause(self, client: EngineClient) -> None:
        """Completion goes on, which an engine that was not told of the pause does not report."""
        if self._status == _PAUSED and client.state and client.state.state != "paused":
            self._set_status(_status_of(client.state))

    def _report_error(self, error: MidfillError) -> None:
        kind: StatusKind = "Warning" if isinstance(error, ModelError) else "Error"
        self._set_status(Status(kind=kind, message=str(error)))

    def _set_status(self, status: Status) -> None:
        if status != self._status:
            self._status = status
            self.on_status(status)

    def _log_failure(self, request: CompletionRequest, reason: str) -> None:
        log.debug("no suggestion for %s: %s", request.id, reason)
        if self._tracker:
            self._tracker.failed(request, reason, model=self._model_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


_PAUSED = Status(kind="Inactive", message=str(pause.refusal()))


def _status_of(state: StateChange) -> Status:
    """What an editor shows of an engine's state."""
    match state.state:
        case "loading":
            percent = f" {100 * state.progress:.0f} %" if state.progress else ""
            return Status(kind="Normal", message=f"Loading {state.model}{percent}", busy=True)
        case "ready":
            place = "GPU" if state.on_gpu else "CPU"
            return Status(kind="Normal", message=f"{state.model} on {place}", notice=state.message)
        case "unloaded":
            message = f"{state.model} is unloaded; it is loaded again when you type"
            return Status(kind="Normal", message=message)
        case "paused":
            return _PAUSED
        case "failed":
            return Status(kind="Error", message=f"{state.message} {state.hint}".strip())


def _on_gpu(client: EngineClient) -> bool:
    return bool(client.state and client.state.on_gpu)


def new_request_id() -> str:
    """A unique completion id."""
    return uuid.uuid4().hex


def build_service(
    load: Callable[[Mapping[str, Any]], Resolved], *, client_name: str = "midfill"
) -> CompletionService:
    """A service with an acceptance log, as the language server uses it.

    Args:
        load: settings for the options an editor sends.
        client_name: who we are, for the engine's log.
    """
    resolved = load({})
    if not resolved.settings.acceptance_log.enabled:
        return CompletionService(resolved, load=load, client_name=client_name)
    event_log = EventLog(on_warning=lambda error: service.warn(error))
    tracker = AcceptanceTracker(event_log, session=uuid.uuid4().hex)
    service = CompletionService(
        resolved, load=load, tracker=tracker, event_log=event_log, client_name=client_name
    )
    return service
