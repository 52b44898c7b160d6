"""What llama.cpp shares with the process around it: its log, its abort flag, the cores."""

from __future__ import annotations

import contextlib
import ctypes
import re
import threading
from collections.abc import Iterator
from typing import Any

import llama_cpp

# llama.cpp has one log for the whole process, and may print something when a model is gone.
_installed: NativeLog | None = None
_lines: list[str] = []
_NO_MEMORY = re.compile(r"alloc|out of memory|not enough memory", re.IGNORECASE)


class NativeLog:
    """Keeps the last lines llama.cpp printed: its only account of why a load failed.

    All instances have the same lines.
    """

    def __init__(self) -> None:
        global _installed
        self.lines = _lines
        self._callback = llama_cpp.llama_log_callback(self._write)
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))
        _installed = self

    def _write(self, level: int, text: bytes, _user_data: object) -> None:
        if level in (3, 4):  # warnings and errors
            self.lines.append(text.decode("utf-8", "replace").strip())
            del self.lines[:-20]

    def lacks_memory(self) -> bool:
        """Whether one of the last messages says that there was no memory."""
        return any(_NO_MEMORY.search(line) for line in self.lines)

    def last_error(self) -> str:
        """The last message, without paths longer than a line."""
        return next((line for line in reversed(self.lines) if line), "no reason given")[:300]


class AbortFlag:
    """Stops the evaluation in a context; any thread may raise it.

    Args:
        context: llama.cpp's pointer to the context; the flag must outlive it.
    """

    def __init__(self, context: Any) -> None:
        # A C function that reads one byte: llama.cpp calls it from its worker threads, and
        # it must not wait for Python's lock. strlen over {flag, 0} gives 0 or 1.
        self._flag = (ctypes.c_char * 2)(b"\0", b"\0")
        self._guard = threading.Lock()
        self._held = self._wanted = False
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
        self._callback = ctypes.cast(strlen or 0, llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(context, self._callback, ctypes.addressof(self._flag))

    def set(self) -> None:
        """Stop what runs, and everything after it."""
        with self._guard:
            self._wanted = True
            self._show()

    def clear(self) -> None:
        """Allow evaluations again."""
        with self._guard:
            self._wanted = False
            self._show()

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """What must not be stopped halfway; the flag shows itself afterwards."""
        with self._guard:
            self._held = True
            self._show()
        try:
            yield
        finally:
            with self._guard:
                self._held = False
                self._show()

    def _show(self) -> None:
        self._flag[0] = b"\1" if self._wanted and not self._held else b"\0"
