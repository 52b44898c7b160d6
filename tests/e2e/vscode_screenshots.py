"""Takes the pictures of the extension's README from the real editor.

``python -m tests.e2e.vscode_screenshots FOLDER`` writes them into a folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.conftest import end_engines
from tests.e2e.vscode import (
    CHROMIUM_OPTIONS,
    CodeServer,
    build_extension,
    find_or_install_chromium,
    find_or_install_vscode,
    private_env,
    wait_until,
)
from tests.e2e.vscode_window import VSCodeWindow

_SIZE = (1000, 560)
_N_COLOURS = 128
_SOURCE = '''"""Figures of a list of numbers."""

from collections.abc import Sequence


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


'''
_HEAD = "def variance(numbers: Sequence[float]) -> float:\n    "
_PIECES = [
    "middle = mean(numbers)",
    "\n    squares = [(number - middle) ** 2 for number in numbers]",
    "\n    return sum(squares) / len(numbers)",
]
_SCRIPT = {
    "replies": [
        {"after": _HEAD, "pieces": _PIECES, "interval_ms": 1200},
        *(
            {"after": f"def part{n}(numbers):\n    ", "text": f"return numbers[{n}:]"}
            for n in range(12)
        ),
    ]
}


def main() -> int:
    """Take all pictures."""
    target = Path(sys.argv[1])
    folder = Path(tempfile.mkdtemp(prefix="mf-"))
    env = private_env(folder, _SCRIPT)
    project = folder / "figures"
    project.mkdir()
    file = project / "figures.py"
    file.write_text(_SOURCE)
    settings = {"workbench.colorTheme": "Default Dark Modern", "editor.fontSize": 14}
    settings["workbench.reduceMotion"] = "on"
    try:
        with (
            sync_playwright() as playwright,
            CodeServer(
                find_or_install_vscode(), folder / "code", env, build_extension(), settings
            ) as server,
        ):
            browser = playwright.chromium.launch(
                executable_path=str(find_or_install_chromium()), args=list(CHROMIUM_OPTIONS)
            )
            window = VSCodeWindow(browser, server, project, file, _SIZE)
            wait_until(lambda: "Ready" in window.status(), "the server", 60.0)
            _pictures(window, target, project)
            browser.close()
    finally:
        end_engines(Path(env["MIDFILL_RUNTIME_DIR"]))
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _pictures(window: VSCodeWindow, target: Path, project: Path) -> None:
    window.page.keyboard.press("Control+b")
    window.focus_end()
    window.type(_HEAD)
    wait_until(lambda: window.ghost().startswith(_PIECES[0]), "the first piece")
    _save(window, target / "growing.png")
    whole = "".join(_PIECES).replace("\n", "")
    wait_until(lambda: window.ghost() == whole, "the whole suggestion")
    _save(window, target / "ghost-text.png")
    window.press("Tab")
    window.run("midfill: Explain the Last Suggestion")
    wait_until(lambda: "What the model was shown" in window.web_text(), "the explanation")
    _save(window, target / "explain.png")
    window.run("View: Close All Editors")
    _use(window, project)
    window.run("midfill: Show Statistics")
    wait_until(lambda: "day by day" in window.web_text(), "the statistics")
    _save(window, target / "statistics.png")
    window.run("View: Close All Editors")
    window.page.click('[id="midfill.midfill.midfill.status"]')
    window.page.wait_for_selector(".quick-input-list .monaco-list-row:has-text('Snooze')")
    _save(window, target / "menu.png")
    window.press("Escape")
    window.run("midfill: Get Started")
    window.page.wait_for_selector(".getting-started-step, .gettingStartedContainer")
    wait_until(lambda: "Get started with midfill" in window.page.inner_text("body"), "the steps")
    _save(window, target / "walkthrough.png")


def _use(window: VSCodeWindow, project: Path) -> None:
    """Some suggestions for the statistics: taken, turned down, taken in part."""
    file = project / "parts.py"
    file.write_text("")
    window.open(file)
    for n in range(12):
        window.type(f"def part{n}(numbers):\n    ", delay_ms=5)
        wait_until(lambda: window.ghost() == f"return numbers[{n}:]", "ghost text")  # noqa: B023
        window.press(("Tab", "Tab", "Escape", "Control+ArrowRight")[n % 4])
        wait_until(lambda: window.ghost() != f"return numbers[{n}:]", "its end")  # noqa: B023
        window.press("Control+End")
        window.press("Enter")
    window.run("View: Close All Editors")


def _save(window: VSCodeWindow, path: Path) -> None:
    # Nothing is shown on hover in the empty part of the status bar.
    window.page.mouse.move(_SIZE[0] / 3, _SIZE[1] - 15)
    window.page.wait_for_selector(".workbench-hover", state="detached")
    window.page.screenshot(path=str(path))
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(_N_COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
