"""A window of VS Code in a headless browser, driven as by a user."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Frame, Page
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.e2e.vscode import CodeServer, wait_until

_PICK_TIMEOUT_MS = 10_000.0

# From top to bottom: lines after the first are drawn by other elements, which come first.
_GHOST = """() => [...document.querySelectorAll(
  '.ghost-text, .ghost-text-decoration, .ghost-text-decoration-preview')]
  .map((e) => [e.getBoundingClientRect(), e.textContent])
  .sort(([a], [b]) => Math.abs(a.top - b.top) > 4 ? a.top - b.top : a.left - b.left)
  .map(([, text]) => text).join('').replace(/\\u00a0/g, ' ')"""

_STATUS = """() => {
  const item = document.querySelector('[id="midfill.midfill.midfill.status"]');
  return item ? `${item.getAttribute('aria-label')} ${item.textContent}` : '';
}"""

# What stands there in each frame, and after each change of the page's nodes, which may be between
# two frames; without repeats. The observer of sizes is called last before a frame is painted.
_WATCH = f"""() => {{
  const ghost = {_GHOST};
  const note = (texts) => {{
    const text = ghost();
    if (texts.at(-1) !== text) texts.push(text);
  }};
  const watched = {{ frames: [], states: [], isOn: true }};
  const workbench = document.querySelector('.monaco-workbench');
  const painting = new ResizeObserver(() => note(watched.frames));
  const nextFrame = () => {{
    painting.unobserve(workbench);
    painting.observe(workbench);
    if (watched.isOn) requestAnimationFrame(nextFrame);
  }};
  nextFrame();
  watched.changes = new MutationObserver(() => note(watched.states));
  watched.changes.observe(workbench, {{ subtree: true, childList: true, characterData: true }});
  window.watched = watched;
}}"""
_SEEN = """() => {
  const { frames, states, changes } = window.watched;
  window.watched.isOn = false;
  changes.disconnect();
  return [frames, states];
}"""


class Seen(NamedTuple):
    """Ghost texts in the order in which they stood; equal neighbours once.

    Args:
        frames: as they were painted.
        states: of the page's nodes, painted or not.
    """

    frames: list[str]
    states: list[str]


class VSCodeWindow:
    """One window of VS Code in a browser.

    Args:
        browser: shows it.
        server: of which it is a window.
        workspace: the folder it opens.
        file: opened in it.
        size: width and height in pixels.
    """

    def __init__(
        self,
        browser: Browser,
        server: CodeServer,
        workspace: Path,
        file: Path,
        size: tuple[int, int] = (1100, 700),
    ) -> None:
        self.server = server
        self._context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.goto(server.url(workspace, file), timeout=60_000)
        self.page.wait_for_selector(".monaco-editor .view-line", timeout=120_000)

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    # -- what is on the screen -----------------------------------------------------------

    def ghost(self) -> str:
        """The ghost text, its lines joined without separator; "" if there is none."""
        text: str = self.page.evaluate(_GHOST)
        return text

    def status(self) -> str:
        """What the status bar item says and shows on hover."""
        text: str = self.page.evaluate(_STATUS)
        return text

    def notifications(self) -> list[str]:
        """The messages that are shown."""
        return [
            each.inner_text()
            for each in self.page.query_selector_all(
                ".notifications-toasts .notification-list-item-message"
            )
        ]

    def watch_ghost(self) -> None:
        """Note what the ghost text is from now on."""
        self.page.evaluate(_WATCH)

    def seen_ghosts(self) -> Seen:
        """End ``watch_ghost``; what was seen."""
        return Seen(*self.page.evaluate(_SEEN))

    def web_text(self) -> str:
        """The text of the page that a tab of the extension shows; "" while there is none."""
        texts = []
        for frame in self.page.frames[1:]:
            with contextlib.suppress(PlaywrightError):  # a frame that is just replaced
                texts.append(str(frame.evaluate("() => document.body?.innerText ?? ''")))
        return "\n".join(texts)

    def web_has(self, selector: str) -> bool:
        """Whether such an element is in the page that a tab of the extension shows."""
        return self._web_frame(selector) is not None

    def _web_frame(self, selector: str) -> Frame | None:
        for frame in self.page.frames[1:]:
            with contextlib.suppress(PlaywrightError):  # a frame that is just replaced
                if frame.query_selector(selector):
                    return frame
        return None

    # -- what the user does --------------------------------------------------------------

    def press(self, key: str) -> None:
        """Press a key, in Playwright's notation."""
        self.page.keyboard.press(key)

    def type(self, text: str, delay_ms: float = 20.0) -> None:
        """Type as fast as people do."""
        self.page.keyboard.type(text, delay=delay_ms)

    def run(self, title: str) -> None:
        """Run a command from the palette."""
        self._pick("F1", f">{title}", title)

    def choose(self, row: str) -> None:
        """Choose from the list that is open."""
        self.page.click(f".quick-input-list .monaco-list-row:has-text('{row}')")

    def answer(self, label: str) -> None:
        """Press a button of a message or a dialog."""
        self.page.click(
            f":is(.notifications-toasts, .monaco-dialog-box) .monaco-button:has-text('{label}')"
        )

    def follow_link(self, label: str, within: str) -> None:
        """Click a link in the page that a tab of the extension shows, within an element of it."""
        selector = f"{within} a:text-is('{label}')"
        frame = wait_until(
            lambda: self._web_frame(selector), lambda: f"{label}; it is {self.web_text()}"
        )
        frame.click(selector)

    def _pick(self, key: str, text: str, row: str) -> None:
        """Choose from a list that a key opens; one that closes again by itself is opened anew.

        The list goes as soon as something else gets the focus, such as a message that comes up.
        What is wanted need not be its first row.
        """
        for is_last in (False, False, True):
            self.press(key)
            try:
                self.page.fill(".quick-input-widget input", text, timeout=_PICK_TIMEOUT_MS)
                self.page.click(
                    f".quick-input-list .monaco-list-row:has(:text-is('{row}'))",
                    timeout=_PICK_TIMEOUT_MS,
                )
            except PlaywrightTimeoutError:
                if is_last:
                    raise
                self.press("Escape")
            else:
                return

    def open(self, file: Path) -> None:
        """Open a file and put the cursor at its end."""
        self._pick("Control+p", str(file), file.name)
        self.page.wait_for_selector(f".tab.active[data-resource-name='{file.name}']")
        self.focus_end()

    def focus_end(self) -> None:
        """Put the cursor at the end of the text."""
        self.page.click(".monaco-editor .view-lines")
        self.press("Control+End")
