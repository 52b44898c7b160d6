"""The settings of a service, and what changes with them while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from lsp_server.completion.ahead import Ahead
from lsp_server.completion.engine_link import PAUSED, EngineLink
from lsp_server.completion.feed import Feed
from lsp_server.completion.generations import Generations
from lsp_server.completion.recording import Recording
from lsp_server.completion.scheduler import Scheduler
from lsp_server.completion.showing import Judge
from lsp_server.completion.suggestion_cache import SuggestionCache
from lsp_server.engine import pause
from lsp_server.errors import MidfillError
from lsp_server.score import scorer
from lsp_server.settings import Resolved, changed_options
from lsp_server.types import Status
from lsp_server.workspace.workspaces import Workspaces

log = logging.getLogger("midfill.completion")

Load = Callable[[Mapping[str, Any]], Resolved]


class Configuration:
    """Resolves settings, and hands them to all that go by them.

    Args:
        resolved: settings and where they come from.
        load: resolves them again for the options an editor sends; None takes none.
        engine: has the settings that hold, and shows how things stand.
        scheduler: its pause.
        workspaces: what is shown of them.
        feed: begins anew where other files count.
        judge: whether it goes by what was learned.
        generations: other settings would write something else.
        suggestions: their room on disk.
        keeps_suggestions: whether there is any, as far as the settings allow it.
        ahead: work for the settings before.
        recording: what is recorded.
    """

    def __init__(
        self,
        resolved: Resolved,
        load: Load | None,
        *,
        engine: EngineLink,
        scheduler: Scheduler,
        workspaces: Workspaces,
        feed: Feed,
        judge: Judge,
        generations: Generations,
        suggestions: SuggestionCache,
        keeps_suggestions: bool,
        ahead: Ahead,
        recording: Recording,
    ) -> None:
        self.resolved = resolved
        self._load = load
        self._editor_options: Mapping[str, Any] = {}
        self._changing = asyncio.Lock()
        self._engine = engine
        self._scheduler = scheduler
        self._workspaces = workspaces
        self._feed = feed
        self._judge = judge
        self._generations = generations
        self._suggestions = suggestions
        self._keeps_suggestions = keeps_suggestions
        self._ahead = ahead
        self._recording = recording

    def take(self, options: Mapping[str, Any]) -> None:
        """Take the options of the editor; called before ``start``.

        Args:
            options: nested, as in the settings file: ``{"completion": {"max_lines": 4}}``.
        """
        if self._load is None or not options:
            return
        self._editor_options = options
        self.resolved = self._load(options)
        settings = self.resolved.settings
        self._engine.configure(settings)
        self._scheduler.debounce_ms = settings.completion.debounce_ms
        self._workspaces.settings = settings.context
        self._judge.scorer = scorer.load(own=settings.completion.learn)
        self._generations.clear()
        if self._keeps_suggestions:
            self._suggestions.limit(settings.completion.cache_mib * 2**20)
        self._recording.follow(settings.acceptance_log)

    async def change(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The user has changed the options of the editor; they hold at once.

        Args:
            options: all of them, see ``take``.

        Returns:
            A sentence for each that cannot be used: it stays as it was.
        """
        async with self._changing:
            kept, problems = changed_options(options, self._editor_options)
            context = self._workspaces.settings
            self._scheduler.cancel_all()
            self._ahead.cancel()
            # Without any option the editor has no say any more.
            self.take(kept or {"completion": {}})
            self._workspaces.settings = context
            await self._workspaces.configure(self.resolved.settings.context)
            if self.resolved.settings.context != context:
                self._feed.restart()
            self._tell_standing()
            self._engine.wake()
        return problems

    def tell(self) -> None:
        """Say how things stand: settings that were not taken, no model yet, paused, or ready."""
        for problem in self.resolved.problems:
            log.warning("settings: %s", problem)
        self._tell_standing()

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
