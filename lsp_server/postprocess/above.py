"""A text that begins by saying again what stands above the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from lsp_server.postprocess.cut import Cut

# A single short line may well be right twice: `next(lines)`.
_MIN_CHARS = 10


def above_cut(lines: Sequence[str], above: Sequence[str]) -> Cut | None:
    """The end of a run of lines at the beginning that are the last lines above.

    Nothing is kept: a model that copies one line copies the next.

    Args:
        lines: the completion's complete lines; the first one with what stands left of the cursor.
        above: the last non-blank lines above the cursor, in file order.
    """
    at = 0
    seen: list[str] = []
    for line in lines:
        at += len(line) + 1
        if not line.strip():
            continue
        seen.append(line.rstrip())
        n = len(seen)
        if n > len(above):
            return None
        if seen == [each.rstrip() for each in above[-n:]] and _says_something(seen):
            return Cut(at, 0, "line_above")
    return None


def may_repeat_above(lines: Sequence[str], growing: str, above: Sequence[str]) -> bool:
    """Whether a text so far is the beginning of such a run.

    Args:
        lines: see ``above_cut``.
        growing: the line behind them, so far.
        above: see ``above_cut``.
    """
    seen = [line.rstrip() for line in lines if line.strip()]
    for n in range(max(len(seen), 1), len(above) + 1):
        run = [each.rstrip() for each in above[-n:]]
        if run[: len(seen)] != seen or not _says_something(run):
            continue
        if len(seen) == n:
            continue
        if run[len(seen)].startswith(growing.rstrip()):
            return True
    return False


def _says_something(lines: Sequence[str]) -> bool:
    return any(len(line.strip()) >= _MIN_CHARS and any(map(str.isalpha, line)) for line in lines)
