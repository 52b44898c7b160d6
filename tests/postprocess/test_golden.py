"""The golden cases: whole, in chunks, and character by character."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from lsp_server.postprocess.shape import Shaper, View
from tests.postprocess.places import chunks, n_taken_back, ones, shaper, streamed, surroundings

_FOLDER = Path(__file__).parent.parent / "golden" / "postprocess"
_KEYS = {
    *("name", "language", "text", "raw", "shown", "stop", "streams", "flicker"),
    *("max_lines", "multi_line"),
}
CASES: list[dict[str, Any]] = [
    {"file": path.stem, **case}
    for path in sorted(_FOLDER.glob("*.toml"))
    for case in tomllib.loads(path.read_text("utf-8"))["case"]
]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case['file']}: {case['name']}" for case in CASES]
)


def shaper_of(case: dict[str, Any]) -> Shaper:
    """The shaper of a case."""
    return shaper(
        case["text"],
        case.get("language", "python"),
        max_lines=case.get("max_lines", 12),
        multi_line=case.get("multi_line", "auto"),
    )


def test_cases_are_well_formed() -> None:
    """There are enough of them, in a dozen languages; names are unique, keys are known."""
    assert len(CASES) >= 250
    assert len({case.get("language", "python") for case in CASES}) >= 12
    names = [(case["file"], case["name"]) for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case.keys() <= {*_KEYS, "file"}, case["name"]


@every_case
def test_whole(case: dict[str, Any]) -> None:
    """A text that comes at once is shown as written."""
    view = shaper_of(case).view(case["raw"], final=True)
    assert (view.text, view.stop) == (case["shown"], case["stop"])


@every_case
def test_in_chunks(case: dict[str, Any]) -> None:
    """A text that comes in pieces ends as the same."""
    for number in range(3):
        view, _ = streamed(shaper_of(case), case["raw"], chunks(f"{case['name']} {number}"))
        assert (view.text, view.stop) == (case["shown"], case["stop"])


@every_case
def test_character_by_character(case: dict[str, Any]) -> None:
    """A text that comes character by character ends as the same, and nothing is taken back."""
    view, shown = streamed(shaper_of(case), case["raw"], ones())
    assert (view.text, view.stop) == (case["shown"], case["stop"])
    assert bool(n_taken_back(shown)) == case.get("flicker", False)
    if "streams" in case:
        texts = [text for text in shown if text]
        assert [t for n, t in enumerate(texts) if n == 0 or t != texts[n - 1]] == case["streams"]


@every_case
def test_what_is_shown_is_shown_again(case: dict[str, Any]) -> None:
    """A text that was shown comes through unchanged."""
    shown = case["shown"]
    if shown:
        assert shaper_of(case).view(shown, final=True).text == shown


@every_case
def test_the_line_below_is_never_shown_last(case: dict[str, Any]) -> None:
    """Behind what is shown the document goes on with another line, unless it is a bracket."""
    place = surroundings(case["text"], case.get("language", "python"))
    last = (place.scope.line_before + case["shown"]).split("\n")[-1].rstrip()
    if case["shown"] and place.below and any(map(str.isalnum, last)):
        assert last != place.below[0].rstrip()


@every_case
def test_the_stream_is_counted_up_to_what_is_shown(case: dict[str, Any]) -> None:
    """The stream up to the place that is told amounts to what is shown."""
    view = shaper_of(case).view(case["raw"], final=True)
    raw = case["raw"]
    if view.text:
        assert raw[: view.n_raw].split()[-1] == view.text.split()[-1]
        again: View = shaper_of(case).view(raw[: view.n_raw], final=True)
        assert again.text == view.text
    else:
        assert view.n_raw == 0
