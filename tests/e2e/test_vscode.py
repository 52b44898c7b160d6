"""Suggestions in a real VS Code, with midfill built and installed as a user does."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import UseServer, UseSettings
from tests.e2e.vscode import wait_until
from tests.e2e.vscode_document import GROWING, LINES, N_SESSION, STREAM, Document, session_text
from tests.e2e.vscode_window import Seen

pytestmark = pytest.mark.editor

_SOURCE = Path(__file__).parent / "files" / "unfinished.py"
_REAL_TIMEOUT_S = 180.0
_MODEL = "0.5b-instruct-q4"
# The shared window's settings name a scripted engine.
_REAL = f"""#!{{python}}
import os, pathlib, sys
folder = pathlib.Path(__file__).parent / "settings"
folder.mkdir(exist_ok=True)
(folder / "config.toml").write_text('model.id = "{_MODEL}"')
os.environ["MIDFILL_CONFIG_DIR"] = str(folder)
os.environ["MIDFILL_CACHE_DIR"] = {{cache!r}}
os.environ["MIDFILL_RUNTIME_DIR"] = {{runtime!r}}
from lsp_server import cli
sys.exit(cli.main())
"""


def test_ghost_text_is_accepted_and_counted(document: Document) -> None:
    """A function's head brings ghost text; Tab inserts it, and the log counts it."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.wait_for_counts(before, shown=1, accepted=1)
    # Of the very first one the server cannot know yet that it will be told what is shown.
    assert document.stats()["shown_assumed"] <= 1


def test_ghost_text_grows(document: Document) -> None:
    """Each partial result is shown, and none is shorter than the last."""
    before = document.counts()
    document.window.watch_ghost()
    text = "".join(GROWING)
    document.ask("def g(a, b):", text)
    assert len(grown(document.window.seen_ghosts())) >= 2
    document.window.press("Tab")
    document.wait_for_text(f"def g(a, b):\n    {text}")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_a_fast_stream_does_not_blink(
    document: Document, record_property: Callable[[str, object], None]
) -> None:
    """While words and lines come in, no frame is empty and no text is taken back."""
    document.window.watch_ghost()
    document.ask("def w(a, b):", "".join(STREAM))
    seen = document.window.seen_ghosts()
    shown = grown(seen)
    assert len(shown) >= 2
    record_property("pieces", len(STREAM))
    record_property("frames", len(shown))
    record_property("empty frames", shown.count(""))
    document.window.press("Tab")
    document.wait_for_text("def w(a, b):\n    " + "".join(STREAM))


def grown(seen: Seen) -> list[str]:
    """The ghost texts from the first one on: never nothing, and each begins with the one before.

    The page's nodes are looked at as well, since a gap may be too short for a frame here and be one
    elsewhere; lines that are there but not laid out yet are out of order in them.
    """
    frames, states = (list(itertools.dropwhile(lambda text: not text, each)) for each in seen)
    assert all(frames), f"{frames.count('')} empty frames in {frames}"
    assert all(states), f"{states.count('')} times nothing in {states}"
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(frames)), frames
    return frames


def test_a_word_is_accepted_in_part(document: Document) -> None:
    """Ctrl+Right takes a word; the log counts the suggestion once, as partly accepted."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Control+ArrowRight")
    document.wait_for_text("def f(a, b):\n    return")
    document.wait_for_counts(before, shown=1, partially_accepted=1)
    document.wait_for_ghost(" a + b")
    for taken, rest in ((" ", "a + b"), (" a", " + b")):
        document.window.press("Control+ArrowRight")
        document.wait_for_text(f"def f(a, b):\n    return{taken}")
        document.wait_for_ghost(rest)
    document.wait_for_counts(before, shown=1, partially_accepted=1)


def test_a_line_is_accepted_in_part(document: Document) -> None:
    """Ctrl+Shift+Right takes a line of several."""
    before = document.counts()
    document.ask("def h(a, b):", LINES)
    document.window.press("Control+Shift+ArrowRight")
    document.wait_for_text("def h(a, b):\n    first = a\n")
    document.wait_for_counts(before, shown=1, partially_accepted=1)


def test_escape_is_logged_as_dismissed(document: Document) -> None:
    """Escape takes the ghost text away, leaves the text as it is, and is counted."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Escape")
    document.wait_for_ghost("")
    document.wait_for_counts(before, shown=1, dismissed=1)
    document.wait_for_text("def f(a, b):\n    ")


def test_typing_on_keeps_the_rest_without_flicker(document: Document) -> None:
    """Whoever types what is suggested sees its rest all the time; it is one suggestion."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.watch_ghost()
    document.window.type("return a", delay_ms=60)
    document.wait_for_ghost(" + b")
    seen = document.window.seen_ghosts().frames
    assert all(ghost and "return a + b".endswith(ghost) for ghost in seen), seen
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_alternatives_are_shown_one_after_another(document: Document) -> None:
    """Alt+] and Alt+[ go through the suggestions for the place; the one that is shown is taken."""
    before = document.counts()
    document.ask("def k(a, b):", "return a")
    for key, text in (
        ("Alt+BracketRight", "return b"),
        ("Alt+BracketRight", "yield a"),
        ("Alt+BracketRight", "return a"),
        ("Alt+BracketLeft", "yield a"),
    ):
        document.window.press(key)
        document.wait_for_ghost(text)
    document.window.press("Tab")
    document.wait_for_text("def k(a, b):\n    yield a")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_a_language_is_switched_off_and_on(document: Document) -> None:
    """The status bar says that it is off; nothing is asked for until it is on again."""
    window, switch = document.window, "midfill: Switch On or Off for This Language"
    notes = document.path.with_suffix(".txt")
    notes.write_text("")
    window.run(switch)
    wait_until(lambda: "Off for python" in window.status(), "the state in the status bar")
    requested = document.stats()["requested"]
    window.focus_end()
    window.type("def f(a, b):\n    ")
    document.wait_for_text("def f(a, b):\n    ")
    window.open(notes)
    wait_until(lambda: "Ready" in window.status(), "the state for another language")
    window.open(document.path)
    wait_until(lambda: "Off for python" in window.status(), "the state in the status bar")
    assert document.stats()["requested"] == requested
    window.run(switch)
    wait_until(lambda: "Ready" in window.status(), "the state in the status bar")
    window.focus_end()
    window.type("r", delay_ms=0)
    document.wait_for_ghost("eturn a + b")


def test_a_snooze_lasts_until_it_is_ended(document: Document) -> None:
    """Nothing is asked for, and the status bar and the answer to "why" say until when."""
    window = document.window
    document.ask("def f(a, b):", "return a + b")
    window.run("midfill: Snooze")
    window.choose("1 hour")
    wait_until(lambda: "Snoozed until" in window.status(), "the state in the status bar")
    document.wait_for_ghost("")
    requested = document.stats()["requested"]
    window.focus_end()
    window.type("\nx = 1")
    document.wait_for_text("def f(a, b):\n    \nx = 1")
    assert document.stats()["requested"] == requested
    window.run("midfill: Why Is There No Suggestion?")
    wait_until(
        lambda: any("Snoozed until" in text for text in window.notifications()), "the reason"
    )
    window.run("Notifications: Clear All Notifications")
    window.run("midfill: End Snooze")
    wait_until(lambda: "Ready" in window.status(), "the state in the status bar")
    window.focus_end()
    window.press("Enter")
    document.ask("def h(a, b):", LINES)


def test_changed_settings_hold_at_once(document: Document, use_settings: UseSettings) -> None:
    """The next suggestion has as many lines as are set; an unknown value is told of once."""
    window = document.window
    use_settings({"midfill.completion.maxLines": 1})
    document.ask("def h(a, b):", LINES.partition("\n")[0])
    window.press("Escape")
    use_settings({"midfill.completion.maxLines": 1, "midfill.completion.mode": "fast"})
    wait_until(
        lambda: any("mode" in text and "fast" in text for text in window.notifications()),
        lambda: f"a message; there are {window.notifications()}",
    )
    assert len(window.notifications()) == 1
    window.run("Notifications: Clear All Notifications")
    use_settings({"midfill.completion.mode": "eager"})
    window.focus_end()
    window.press("Enter")
    document.ask("def h(a, b):", LINES)
    assert window.notifications() == []


def test_without_a_suggestion_the_keys_are_the_editors(document: Document) -> None:
    """Where no ghost text stands, Tab, Escape and Ctrl+Right do what they always do."""
    before = document.counts()
    document.window.type("x y")
    document.window.press("Home")
    document.window.press("Escape")
    document.window.press("Control+ArrowRight")
    document.window.press("Tab")
    document.wait_for_text("x    y")
    document.wait_for_counts(before)


def test_the_status_bar_tells_model_latency_and_acceptance(document: Document) -> None:
    """After an accept the item shows the model, how fast it was and today's counts."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    figures = document.stats()
    wanted = (
        "Ready",
        "Model: ",
        "Last suggestion after ",
        f"Today: {figures['accepted']} of {figures['shown']} accepted",
    )
    wait_until(
        lambda: all(text in document.window.status() for text in wanted),
        lambda: f"{wanted}; it is {document.window.status()!r}",
    )


def test_why_there_is_no_suggestion(document: Document) -> None:
    """The command says in a sentence, and by its code, why the last request brought nothing."""
    before = document.stats()["failed"].get("model_stopped", 0)
    document.window.type("def nothing(a, b):\n    ")
    wait_until(
        lambda: document.stats()["failed"].get("model_stopped", 0) > before, "an empty answer"
    )
    document.window.run("midfill: Why Is There No Suggestion?")
    wait_until(
        lambda: any("(model_stopped)" in text for text in document.window.notifications()),
        lambda: f"the reason; there are {document.window.notifications()}",
    )
    document.window.run("Notifications: Clear All Notifications")


def test_statistics_are_shown_in_a_tab(document: Document) -> None:
    """The server's page of figures is shown, in the editor's colours."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.window.run("midfill: Show Statistics")
    wait_until(
        lambda: "Shown and accepted, day by day" in document.window.web_text(), "the statistics"
    )


def test_the_last_suggestion_is_explained(document: Document) -> None:
    """What the model wrote and was shown is told in a tab beside the document."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.window.press("Enter")
    document.window.run("midfill: Explain the Last Suggestion")
    wait_until(lambda: "What the model was shown" in document.window.web_text(), "the explanation")
    document.window.run("View: Close All Editors")


def test_a_file_is_pinned_and_banned_from_the_explanation(document: Document) -> None:
    """What is pinned is shown to the model with the next request; what is banned is not."""
    window = document.window
    helpers = document.path.with_name("helpers.py")
    helpers.write_text('def scale(a, b):\n    """Scale a."""\n    return a * b\n')
    explain, row = "midfill: Explain the Last Suggestion", "details:has-text('helpers.py')"
    window.type("from helpers import scale")
    window.press("Enter")
    document.ask("def p(a, b):", "return scale(a, b)")
    window.run(explain)
    for link, other in (("Pin", "Unpin"), ("Unpin", "Pin"), ("Ban", "Allow"), ("Allow", "Ban")):
        window.follow_link(link, row)
        wait_until(lambda: window.web_has(f"{row} a:text-is('{other}')"), other)  # noqa: B023
    window.follow_link("Pin", row)
    wait_until(lambda: window.web_has(f"{row} a:text-is('Unpin')"), "the mark")
    window.open(document.path)
    window.press("Enter")
    document.ask("def q(a, b):", "return scale(b, a)")
    window.run(explain)
    wait_until(lambda: window.web_has(f"{row}:has-text('pinned')"), "the pinned file")
    window.follow_link("Unpin", row)
    wait_until(lambda: window.web_has(f"{row} a:text-is('Pin')"), "the mark taken back")
    window.run("View: Close All Editors")


@pytest.mark.model
def test_the_real_model_suggests(
    document: Document, use_server: UseServer, default_model_cache: Path, private_folders: Path
) -> None:
    """In a file of Python the default model's ghost text is taken with Tab and counted."""
    # Its engine is one of this test, and ends with it.
    folders = {"cache": str(default_model_cache), "runtime": str(private_folders)}
    use_server(_REAL.format(python=sys.executable, **folders))
    window = document.window
    wait_until(lambda: f"Model: {_MODEL}" in window.status(), window.status, _REAL_TIMEOUT_S)
    before = _SOURCE.read_text().rstrip()
    document.path.write_text(before)
    wait_until(lambda: "by_station" in window.page.inner_text(".monaco-editor"), "the file")
    window.focus_end()
    accepted = document.counts()["accepted"]
    window.type("\n    ")
    # Told once the answer is whole.
    wait_until(lambda: "Last suggestion after" in window.status(), "an answer", _REAL_TIMEOUT_S)
    ghost = wait_until(window.ghost, "ghost text")
    window.press("Tab")
    wait_until(lambda: document.counts()["accepted"] == accepted + 1, "the accept in the log")
    head = f"{before}\n    "
    wait_until(lambda: document.path.read_text().rstrip() not in (before, ""), "the saved text")
    saved = document.path.read_text()
    assert saved.removeprefix(head).replace("\n", "").startswith(ghost.rstrip())
    compile(f"{saved}\n", document.path.name, "exec")


def test_a_session_agrees_with_the_log(document: Document) -> None:
    """Of 200 suggestions that are taken, whole or in part, turned down or ignored, it has all."""
    window, before = document.window, document.counts()
    expected = ""
    for n in range(N_SESSION):
        head, text = f"def s{n}(a, b):", session_text(n)
        document.ask(head, text)
        body = _ACTIONS[n % len(_ACTIONS)](document, text, before["shown"] + n + 1)
        expected += f"{head}\n    {body}\n"
        document.wait_for_text(expected[:-1])
        window.press("Enter")
    each = N_SESSION // len(_ACTIONS)
    document.wait_for_counts(
        before, shown=N_SESSION, accepted=each, partially_accepted=2 * each, dismissed=each
    )


def _take(document: Document, text: str, n_shown: int) -> str:
    document.window.press("Tab")
    return text


def _take_word(document: Document, text: str, n_shown: int) -> str:
    document.window.press("Control+ArrowRight")
    document.wait_for_ghost(text.removeprefix("return"))
    return "return"


def _take_line(document: Document, text: str, n_shown: int) -> str:
    line, _, rest = text.partition("\n")
    document.window.press("Control+Shift+ArrowRight")
    document.wait_for_ghost(rest)
    return line + "\n"


def _turn_down(document: Document, text: str, n_shown: int) -> str:
    document.window.press("Escape")
    document.wait_for_ghost("")
    return ""


def _ignore(document: Document, text: str, n_shown: int) -> str:
    # Shown while it is read, then another text is typed.
    wait_until(lambda: document.counts()["shown"] == n_shown, lambda: f"{n_shown} shown")
    document.window.type("pass")
    return "pass"


_ACTIONS = (_take, _take_word, _take_line, _turn_down, _ignore)
