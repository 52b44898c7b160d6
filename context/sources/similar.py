"""Places in the workspace where much the same was written before.

A window of lines is scored by the words it has in common with the lines above the cursor; what is
shown goes on behind the window, since what followed there is what may follow here.

Source: the retrieval of Zhang et al., "RepoCoder: Repository-Level Code Completion Through
Iterative Retrieval and Generation", 2023, with words weighted by their rarity.
"""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict

from context.sources.view import View
from context.types import Snippet
from context.workspace.index import WorkspaceIndex
from context.workspace.words import bag_of

ORIGIN = "similar"
_QUERY_LINES = 6
_WINDOW_LINES = 6
_STEP_LINES = 2
_BEHIND_LINES = 6
_MAX_FILES = 12
_MAX_RESULTS = 10
_MIN_SCORE = 0.12
_MAX_FILE_BYTES = 192 * 1024
_N_KEPT_FILES = 64
# A word in more windows of a file than this is looked for only in those that have rarer ones, and
# of these only in the best.
_MAX_SPREAD = 48
_N_CANDIDATES = 64
_NOWHERE: frozenset[int] = frozenset()
_UNFINISHED = re.compile(r"\w+$")


class Windows:
    """A file cut into overlapping windows, with the places of each word.

    Args:
        data: the text as UTF-8.
        whole: whether it is cut up at once; else by ``advance``.
    """

    def __init__(self, data: bytes, *, whole: bool = True) -> None:
        self.lines = data.decode("utf-8", "replace").split("\n")
        self.offsets = [0]
        for piece in data.split(b"\n"):
            self.offsets.append(self.offsets[-1] + len(piece) + 1)
        self.starts = range(0, max(1, len(self.lines) - _WINDOW_LINES // 2), _STEP_LINES)
        self.sizes = [0] * len(self.starts)
        self.places: dict[str, list[int]] = {}
        # Of words in many windows.
        self.spread: dict[str, frozenset[int]] = {}
        self._seen: dict[str, int] = {}
        self._row = 0
        if whole:
            self.advance(len(self.lines))

    def advance(self, n_rows: int) -> bool:
        """Cut up so many more lines; whether all are."""
        seen = self._seen
        for row in range(self._row, min(self._row + n_rows, len(self.lines))):
            # Windows that hold the line.
            last = min(row // _STEP_LINES, len(self.starts) - 1)
            first = max(0, -(-(row - _WINDOW_LINES + 1) // _STEP_LINES))
            for word in bag_of(self.lines[row]):
                begin = max(first, seen.get(word, -1) + 1)
                if begin <= last:
                    self.places.setdefault(word, []).extend(range(begin, last + 1))
                    for window in range(begin, last + 1):
                        self.sizes[window] += 1
                    seen[word] = last
        self._row += n_rows
        if self._row < len(self.lines):
            return False
        for word in [word for word, found in self.places.items() if len(found) > _MAX_SPREAD]:
            self.spread[word] = frozenset(self.places.pop(word))
        self._seen = {}
        return True


class SimilarWindows:
    """Finds windows; keeps those of the files looked at last, and the last answer.

    Cutting a file up takes up to some twenty milliseconds, too long for a request.

    Args:
        at_once: whether files are cut up when they are first asked about; else they are left out
            until they are ``missing`` no more.

    Attributes:
        missing: files that were left out, with their texts; see ``keep``.
    """

    def __init__(self, *, at_once: bool = True) -> None:
        self.missing: dict[str, bytes] = {}
        self._at_once = at_once
        self._kept: OrderedDict[str, tuple[bytes, Windows]] = OrderedDict()
        self._asked: tuple[str, frozenset[str], int] | None = None
        self._answer: list[Snippet] = []

    def find(self, view: View, index: WorkspaceIndex) -> list[Snippet]:
        """Windows most like the lines above the cursor, best first; none that is shown.

        A word that is being typed is left out: the answer changes with whole words only.

        Args:
            view: of the cursor.
            index: of the workspace.
        """
        lines = [*view.before[-_QUERY_LINES:-1], _UNFINISHED.sub("", view.before[-1])]
        query = bag_of("\n".join(lines))
        if not query:
            return []
        asked = (view.path, query, index.version)
        if asked != self._asked:
            self._answer = self._find(query, view, index)
            self._asked = asked
        return self._answer

    def _find(self, query: frozenset[str], view: View, index: WorkspaceIndex) -> list[Snippet]:
        # In one order, whatever that of the set: sums of floats depend on it, and ties on them.
        weights = {word: index.rarity(word.rstrip("~")) for word in sorted(query)}
        words = {word: 1.0 for word in weights if not word.endswith("~")}
        best: list[tuple[float, str, int, Windows]] = []
        # The open file first: what it does elsewhere is likeliest to come again.
        paths = [view.path, *(p for p in index.about(words, _MAX_FILES + 1) if p != view.path)]
        for path in paths:
            windows = self._windows(path, view.data if path == view.path else index.read(path))
            if windows is not None:
                scores = scores_of(weights, windows)
                if path == view.path:
                    scores = {n: s for n, s in scores.items() if not _shown(view, windows, n)}
                for score, start in _peaks(scores):
                    best.append((score, path, windows.starts[start], windows))
        best.sort(key=lambda found: (-found[0], found[1], found[2]))
        return [_snippet(*found) for found in best[:_MAX_RESULTS]]

    def _windows(self, path: str, data: bytes | None) -> Windows | None:
        if data is None or len(data) > _MAX_FILE_BYTES:
            return None
        kept = self._kept.pop(path, None)
        if kept is not None:
            self._kept[path] = kept
            if kept[0] == data:
                return kept[1]
        if not self._at_once:
            self.missing[path] = data
            # An older version serves until the new one is cut up.
            return kept[1] if kept is not None else None
        windows = Windows(data)
        self.keep(path, data, windows)
        return windows

    def forget_answer(self) -> None:
        """Texts that could not be read before can be read now."""
        self._asked = None

    def keep(self, path: str, data: bytes, windows: Windows) -> None:
        """Take up a file that was cut up."""
        self.missing.pop(path, None)
        self._kept[path] = (data, windows)
        self.forget_answer()
        while len(self._kept) > _N_KEPT_FILES:
            self._kept.popitem(last=False)


def scores_of(weights: dict[str, float], windows: Windows) -> dict[int, float]:
    """Of each window: weight of the common words over that of the query's and half of the others.

    Args:
        weights: of the query's words.
        windows: of a file.

    Returns:
        Scores by number of the window, of the likeliest that have a rare word of the query.
    """
    gained: dict[int, float] = {}
    n_common: dict[int, int] = {}
    for word, weight in weights.items():
        for window in windows.places.get(word, ()):
            gained[window] = gained.get(window, 0.0) + weight
            n_common[window] = n_common.get(window, 0) + 1
    if len(gained) > _N_CANDIDATES:
        gained = dict(heapq.nlargest(_N_CANDIDATES, gained.items(), key=lambda pair: pair[1]))
    for word, weight in weights.items():
        spread = windows.spread.get(word, _NOWHERE)
        for window in gained if spread else ():
            if window in spread:
                gained[window] += weight
                n_common[window] += 1
    total = sum(weights.values())
    return {
        window: gain
        / (total + 0.5 * gain / n_common[window] * (windows.sizes[window] - n_common[window]))
        for window, gain in gained.items()
    }


def _shown(view: View, windows: Windows, number: int) -> bool:
    """Whether a window of the open file is in the prompt, or goes on into what is."""
    first = windows.starts[number]
    last = min(first + _WINDOW_LINES + _BEHIND_LINES, len(windows.offsets) - 1)
    return view.shows(windows.offsets[first], windows.offsets[last])


def _peaks(scores: dict[int, float]) -> list[tuple[float, int]]:
    """The two best windows of a file that do not overlap; none that is little like the query."""
    likely = [(score, -window) for window, score in scores.items() if score >= _MIN_SCORE]
    n_apart = -(-(_WINDOW_LINES + _BEHIND_LINES) // _STEP_LINES)
    chosen: list[tuple[float, int]] = []
    for score, window in heapq.nlargest(32, likely):
        if all(abs(-window - other) >= n_apart for _, other in chosen):
            chosen.append((score, -window))
            if len(chosen) == 2:
                break
    return chosen


def _snippet(score: float, path: str, start: int, windows: Windows) -> Snippet:
    last = min(len(windows.lines), start + _WINDOW_LINES + _BEHIND_LINES)
    return Snippet(
        path=path,
        start_byte=windows.offsets[start],
        end_byte=windows.offsets[last] - 1,
        text="\n".join(windows.lines[start:last]).strip("\n"),
        origin=ORIGIN,
        score=score,
    )
