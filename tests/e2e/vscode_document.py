"""A file in a window of VS Code, and what the scripted engine suggests in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.store import read_events
from tests.conftest import midfill_command
from tests.e2e.vscode import wait_until
from tests.e2e.vscode_window import VSCodeWindow

N_SESSION = 200
GROWING = ["total = 0", "\n    for n in a:", "\n        total += n", "\n    return total / b"]
LINES = "first = a\n    second = b\n    return first"
_LETTERS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
# A long first line in words, then lines in halves.
STREAM = ["found = alpha(a)", *(f" + {name}(b)" for name in _LETTERS[1:])]
for _name in _LETTERS[:6]:
    STREAM += [f"\n    {_name}_seen =", f" measure(found, {_name!r})"]
STREAM.append("\n    return found")


def session_text(number: int) -> str:
    """What is suggested after ``def s{number}(a, b):``; every fifth one from 2 has two lines."""
    one = f"return a * {number} + b"
    return f"first = a * {number}\n    return first + {number}" if number % 5 == 2 else one


def script() -> dict[str, Any]:
    """What the engine answers, by the line above the cursor."""
    replies: list[dict[str, Any]] = [
        {"after": "def f(a, b):\n    ", "text": "return a + b"},
        {"after": "def f(a, b):\n    r", "text": "eturn a + b"},
        {"after": "def g(a, b):\n    ", "pieces": GROWING, "interval_ms": 600},
        {"after": "def w(a, b):\n    ", "pieces": STREAM, "interval_ms": 50},
        {"after": "def h(a, b):\n    ", "text": LINES},
        {"after": "def p(a, b):\n    ", "text": "return scale(a, b)"},
        {"after": "def q(a, b):\n    ", "text": "return scale(b, a)"},
        {
            "after": "def k(a, b):\n    ",
            "text": "return a",
            "others": [{"text": "return b"}, {"text": "yield a"}],
        },
    ]
    replies += [
        {"after": f"def s{n}(a, b):\n    ", "text": session_text(n)} for n in range(N_SESSION)
    ]
    return {"replies": replies}


_COUNTED = ("shown", "accepted", "partially_accepted", "dismissed")


class Document:
    """A new file in the shared window, which the editor saves by itself.

    Args:
        window: shows it.
        path: of the file.
    """

    def __init__(self, window: VSCodeWindow, path: Path) -> None:
        self.window = window
        self.path = path

    def wait_for_text(self, text: str) -> None:
        """Wait until the editor has saved this text."""
        wait_until(
            lambda: self.path.read_text() == text,
            lambda: f"the text; it is {self.path.read_text()!r}",
        )

    def ask(self, head: str, ghost: str) -> None:
        """Type the head of a function and wait for its ghost text."""
        self.window.type(f"{head}\n    ", delay_ms=5)
        self.wait_for_ghost(ghost)

    def wait_for_ghost(self, text: str) -> None:
        """Wait until this ghost text stands on the screen; "" is none."""
        shown = text.replace("\n", "")
        wait_until(
            lambda: self.window.ghost() == shown, lambda: f"{text!r}; it is {self.window.ghost()!r}"
        )

    def stats(self) -> dict[str, Any]:
        """What ``midfill stats --json`` prints."""
        printed = subprocess.run(
            [midfill_command(), "stats", "--json"],
            capture_output=True,
            text=True,
            check=True,
            env=self.window.server.env,
        ).stdout
        figures: dict[str, Any] = json.loads(printed)
        return figures

    def counts(self) -> dict[str, int]:
        """How many suggestions the log says were shown, and what became of them."""
        total = summarise(read_events(Path(self.window.server.env["MIDFILL_STATE_DIR"]))).total
        return {name: getattr(total, name) for name in _COUNTED}

    def wait_for_counts(self, before: dict[str, int], **more: int) -> None:
        """Wait until the log has so many more of each than before, and no other ones."""
        wanted = {name: n + more.get(name, 0) for name, n in before.items()}
        wait_until(
            lambda: self.counts() == wanted, lambda: f"{wanted} in the log; it is {self.counts()}"
        )


def describe(window: VSCodeWindow, name: str) -> None:
    """Print what helps to see why a test failed."""
    print(window.status(), window.notifications(), repr(window.ghost()))
    print(window.server.logs())
    if shots := os.environ.get("MIDFILL_TEST_SCREENSHOTS"):
        window.page.screenshot(path=f"{shots}/{name}.png")
