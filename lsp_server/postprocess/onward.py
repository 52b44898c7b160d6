"""A suggestion whose beginning was typed keeps the shape that it had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lsp_server.postprocess.shape import View


class Shape(Protocol):
    """Says what of a stream may be shown, as ``Shaper`` does."""

    def view(self, raw: str, *, final: bool) -> View:
        """See ``Shaper.view``."""


class Onward:
    """Shows what is left of a suggestion as it was shown, and then what the stream says beyond it.

    Where the cursor stands decides how many lines are shown; it moves with every key, and what is
    shown must not change as long as it is typed.

    Args:
        first: decided where the stream was started.
        typed: since then.
        fresh: would decide where the cursor is now.
        on_fresh: told once when it does.
    """

    def __init__(
        self,
        first: Shape,
        typed: str,
        fresh: Shape,
        *,
        on_fresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._first: Shape | None = first
        self._typed = typed
        self._fresh = fresh
        self._on_fresh: Callable[[], None] | None = on_fresh

    def leave(self) -> None:
        """Another stream is read from now on, from where the cursor is."""
        self._first = None

    def view(self, raw: str, *, final: bool) -> View:
        """The displayable part of what the stream says behind what was typed."""
        if self._first is None:
            return self._fresh.view(raw, final=final)
        whole = self._first.view(self._typed + raw, final=final)
        left = whole.text[len(self._typed) :] if whole.text.startswith(self._typed) else ""
        if left.strip():
            n_raw = max(0, whole.n_raw - len(self._typed))
            return View(text=left, stop=whole.stop, n_raw=n_raw)
        if whole.stop or final:
            beyond = self._fresh.view(raw, final=final)
            if beyond.text and self._on_fresh is not None:
                self._on_fresh()
                self._on_fresh = None
            return beyond
        return View(text="")
