"""The engine as a server sees it: found when it is needed, woken, and its state told."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any

from context.rank import Allowance
from context.types import Budget, Prompt
from lsp_server.completion import asking
from lsp_server.engine import pause, spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import adapters, engine_options, tell_change, unmeasured
from lsp_server.engine.protocol import NOWHERE, Detour, Home, Lane, StateChange
from lsp_server.errors import EngineError, EngineRefusedError, MidfillError, ModelError
from lsp_server.settings import Settings
from lsp_server.types import OnStatus, SamplingParams, Status, StatusKind, TokenChunk

# Refusals that say nothing of the engine's health: the answer's reason is enough.
_ANSWERS_ONLY = ("prompt_quarantined",)
# Fewer tokens take as long as one step, which says little of many.
_MIN_PREFILLED = 64


class EngineLink:
    """One engine, and what the editor shows of it.

    Args:
        settings: which model, and how it is run.
        name: who we are, for the engine's log.
        on_status: called with each new status.
        at_once: whether a request waits until the engine has read all it was told.
    """

    def __init__(
        self, settings: Settings, name: str, on_status: OnStatus, *, at_once: bool = False
    ) -> None:
        self.settings = settings
        self._at_once = at_once
        self._name = name
        self._on_status = on_status
        self._client: EngineClient | None = None
        self._status: Status | None = None
        self._prefill_tokens_per_s = 0.0
        self._background: set[asyncio.Task[None]] = set()
        self._pausing = asyncio.Lock()

    @property
    def model_id(self) -> str:
        """Id of the model; "" before it is known."""
        return self._client.options.model_id if self._client else ""

    @property
    def budget(self) -> Budget:
        """Tokens for a prompt."""
        state = self._client.state if self._client else None
        return asking.budget(self.settings, state)

    @property
    def knows_repositories(self) -> bool:
        """Whether the model was made for prompts of several files; False while it is not known."""
        state = self._client.state if self._client else None
        return state is not None and state.repo_level

    def allowance(self, *, resting: bool) -> Allowance:
        """How much of other files may come new into a prompt.

        Args:
            resting: whether the user has made a pause; else a suggestion waits for it.
        """
        state = self._client.state if self._client else None
        return asking.allowance(self.settings, state, self._prefill_tokens_per_s, resting=resting)

    @property
    def pid(self) -> int:
        """Of the engine's process that was connected last; 0 before there is one."""
        return self._client.engine_pid if self._client else 0

    def tell(self, corpus: str, path: str, text: str) -> None:
        """Tell the engine a text of a workspace, see Text.

        Raises:
            EngineUnavailableError: it died just now.
        """
        if self._client is not None:
            self._client.tell(corpus, path, text)

    def find(self) -> EngineClient:
        """The engine's client; while there is no model, each call looks again.

        Raises:
            ModelError: there is no model.
        """
        if self._client is None:
            options = engine_options(self.settings)
            tell_change(self.settings, options.model_id)
            self._client = EngineClient(
                options,
                name=self._name,
                on_state=lambda state: self.set_status(_status_of(state)),
                survey=lambda: unmeasured(self.settings),
            )
        return self._client

    def configure(self, settings: Settings) -> None:
        """Other settings: if they are for another engine, leave this one."""
        self.settings = settings
        client = self._client
        if client is None:
            return
        with contextlib.suppress(MidfillError):
            if engine_options(settings) == client.options:
                return
        self._client, self._prefill_tokens_per_s = None, 0.0
        self._spawn(client.aclose())

    async def connect(self) -> None:
        """Have a connection to a running engine whose model is loaded, or is not to be.

        Raises:
            MidfillError: there is no model, or the engine cannot be started.
        """
        client = self.find()
        await client.settle()
        # An engine that was not told of a pause does not report its end either.
        if self._status == PAUSED and client.state and client.state.state != "paused":
            self.set_status(_status_of(client.state))

    @property
    def prefetches(self) -> bool:
        """Whether the suggestion behind the one that is shown is written ahead."""
        state = self._client.state if self._client else None
        return asking.prefetches(self.settings.completion, state)

    def generate(
        self,
        prompt: Prompt,
        *,
        lane: Lane = "interactive",
        detours: Sequence[Detour] = (),
        home: Home = NOWHERE,
    ) -> AsyncGenerator[TokenChunk]:
        """Stream a completion, see EngineClient.

        Args:
            prompt: what is completed.
            home: of the document.
            lane: how urgent it is.
            detours: texts that are not to be written.
        """
        client = self.find()
        completion = self.settings.completion
        return client.generate(
            prompt.segments,
            asking.sampling(completion, client.state),
            stop=prompt.stop,
            heal_bytes=asking.heal_bytes(completion, prompt),
            lane=lane,
            adapters=adapters(self.settings),
            detours=detours,
            home=home,
            whole_corpus=self._at_once,
        )

    def recipe(self, prompt: Prompt) -> tuple[object, ...]:
        """All that a stream of the engine without detours depends on."""
        client, completion = self.find(), self.settings.completion
        return (
            client.options.model_id,
            *_file_state(client.options.model_path),
            prompt.segments,
            prompt.stop,
            asking.heal_bytes(completion, prompt),
            asking.sampling(completion, client.state),
            adapters(self.settings),
            self.settings.context.n_corpus_tokens > 0,
        )

    async def prefill(self, prompt: Prompt) -> None:
        """Evaluate a prompt while nobody waits; trouble is told by the request that meets it."""
        with contextlib.suppress(MidfillError):
            async for chunk in self.find().generate(
                prompt.segments,
                SamplingParams(max_tokens=0),
                heal_bytes=asking.heal_bytes(self.settings.completion, prompt),
                lane="warm_up",
                adapters=adapters(self.settings),
            ):
                self._learn_speed(chunk)

    def _learn_speed(self, chunk: TokenChunk) -> None:
        timings = chunk.timings
        if timings is None or timings.prefill_ms <= 0:
            return
        n_evaluated = timings.n_prompt - timings.n_reused
        if n_evaluated >= _MIN_PREFILLED:
            self._prefill_tokens_per_s = 1000 * n_evaluated / timings.prefill_ms

    def wake(self) -> None:
        """Have the engine running and its model loaded, unless the user does not want it."""
        if pause.is_paused():
            return
        with contextlib.suppress(MidfillError):
            self._spawn(self._wake(self.find()))

    async def pause(self, paused: bool) -> None:
        """Have nothing computed in any editor, and all memory freed, or go on.

        Raises:
            StoreError: the state folder cannot be written.
        """
        async with self._pausing:
            pause.set_paused(paused)
            if paused:
                self.set_status(PAUSED)
            await spawn.tell_all_paused(paused)
            if not paused and self._status == PAUSED:
                state = self._client.state if self._client else None
                is_known = state is not None and state.state != "paused"
                self.set_status(_status_of(state) if state and is_known else Status(kind="Normal"))
        if not paused:
            self.wake()

    # -- what the editor shows -----------------------------------------------------------

    def set_status(self, status: Status) -> None:
        """Tell the editor, if it is something new."""
        if status != self._status:
            self._status = status
            self._on_status(status)

    def report(self, error: MidfillError) -> None:
        """Tell what keeps suggestions from being made."""
        kind: StatusKind = "Warning" if isinstance(error, ModelError) else "Error"
        self.set_status(Status(kind=kind, message=str(error)))

    def failed(self, error: MidfillError) -> None:
        """A request was not served: tell why, and start an engine that died again.

        So the next request finds it ready.
        """
        if isinstance(error, EngineRefusedError) and error.code == pause.CODE:
            self.set_status(PAUSED)
        elif error.code not in _ANSWERS_ONLY:
            self.report(error)
            if isinstance(error, EngineError) and self._client is not None:
                self._revive(self._client)

    async def aclose(self) -> None:
        """Leave the engine, which goes on for others."""
        for task in self._background:
            task.cancel()
        if self._client is not None:
            await self._client.aclose()

    def _revive(self, client: EngineClient) -> None:
        if client.breaker.wait_s() == 0:
            self._spawn(self._wake(client))

    async def _wake(self, client: EngineClient) -> None:
        try:
            await client.wake()
        except MidfillError as error:
            self.report(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _file_state(path: str) -> tuple[str, int, int]:
    try:
        info = os.stat(path)
    except OSError:
        return path, 0, 0
    return path, info.st_size, info.st_mtime_ns


PAUSED = Status(kind="Inactive", message=str(pause.refusal()))


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
            return PAUSED
        case "failed":
            return Status(kind="Error", message=f"{state.message} {state.hint}".strip())
