"""Random edits on the document store and on a plain string; both must hold the same text.

``python -m tests.fuzz.sync --edits 3000000`` makes the long run.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator

import msgspec

from lsp_server.documents import Change, DocumentStore, Span
from lsp_server.positions import PositionEncoding

ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")

# Every EOL, every character that str.splitlines() would wrongly end a line at, and
# characters of one to four UTF-8 bytes, two of them surrogate pairs in UTF-16.
_ALPHABET = (
    *("\n", "\r\n", "\r", "\n", "\r"),
    *("\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\x1d", "\x1e"),
    *("a", "b", " ", "\t", "x = 1", "é", "ß", "ₓ", "中", "\ufeff", "😀", "𝒳", "e\u0301"),
)
_EDITS_PER_DOCUMENT = 400
_MAX_CHARS = 1_500


class Report(msgspec.Struct, kw_only=True):
    """What a run did."""

    seed: int
    n_edits: int = 0
    n_comparisons: int = 0
    divergences: list[str] = msgspec.field(default_factory=list)


def run(n_edits: int, seed: int, max_divergences: int = 1) -> Report:
    """Make ``n_edits`` random edits.

    Args:
        n_edits: number of single changes.
        seed: the run's seed; the same seed makes the same edits.
        max_divergences: number of divergences after which the run ends.
    """
    rng = random.Random(seed)
    report = Report(seed=seed)
    while report.n_edits < n_edits and len(report.divergences) < max_divergences:
        _one_document(rng, min(_EDITS_PER_DOCUMENT, n_edits - report.n_edits), report)
    return report


def _one_document(rng: random.Random, n_edits: int, report: Report) -> None:
    encoding = rng.choice(ENCODINGS)
    store = DocumentStore(encoding)
    expected = random_text(rng, 120)
    store.open("file:///f", "python", 0, expected)
    version, done = 0, 0
    while done < n_edits:
        steps = []
        for _ in range(min(rng.choice((1, 1, 1, 2, 5)), n_edits - done)):
            step, expected = _random_step(rng, expected, encoding)
            steps.append(step)
            done += 1
        version += 1
        if rng.random() < 0.01:
            snapshot = store.get("file:///f").snapshot()
            before = snapshot.text
            store.change("file:///f", version, steps)
            if snapshot.text != before:
                report.divergences.append(f"seed {report.seed}: a snapshot changed")
        else:
            store.change("file:///f", version, steps)
        if rng.random() < 0.2 or done >= n_edits:
            report.n_comparisons += 1
            fault = difference(store, expected)
            if fault:
                where = f"seed {report.seed}, edit {report.n_edits + done}, {encoding}"
                report.divergences.append(f"{where}: {fault}; last edit {steps!r}")
                break
    report.n_edits += done


def difference(store: DocumentStore, expected: str) -> str:
    """What the store has wrong about a text; "" when nothing is."""
    document = store.get("file:///f")
    if document.text != expected:
        return f"text is {document.text!r}, not {expected!r}"
    if list(document.lines) != list(reference_lines(expected)):
        return f"lines are {list(document.lines)!r}"
    if document.n_bytes != len(expected.encode()):
        return f"size is {document.n_bytes}, not {len(expected.encode())}"
    return ""


def random_text(rng: random.Random, n_pieces: int) -> str:
    """A text of up to ``n_pieces`` awkward pieces."""
    return "".join(rng.choices(_ALPHABET, k=rng.randrange(n_pieces + 1)))


def _random_step(rng: random.Random, text: str, encoding: PositionEncoding) -> tuple[Change, str]:
    if rng.random() < 0.005:
        whole = random_text(rng, 120)
        return Change(text=whole), whole
    n_lines = sum(1 for _ in reference_lines(text))
    start = _random_position(rng, n_lines)
    end = start
    if rng.random() < 0.6:
        end = _random_position(rng, n_lines, near=start[0])
    if end < start and rng.random() < 0.9:
        start, end = end, start
    shrink = len(text) > _MAX_CHARS
    new = "" if shrink else random_text(rng, rng.choice((0, 1, 1, 1, 3, 8)))
    span = Span(
        start_line=start[0], start_character=start[1], end_line=end[0], end_character=end[1]
    )
    first = reference_offset(text, start, encoding)
    last = reference_offset(text, end, encoding)
    if last < first:
        first, last = last, first
    return Change(text=new, span=span), text[:first] + new + text[last:]


def _random_position(rng: random.Random, n_lines: int, near: int | None = None) -> tuple[int, int]:
    if near is not None and rng.random() < 0.7:
        line = max(0, near + rng.randrange(-2, 4))
    else:
        line = rng.randrange(n_lines + 2)
    if rng.random() < 0.02:
        return line, rng.choice((10_000, 2**31 - 1, 2**32))
    return line, rng.randrange(12)


def reference_lines(text: str) -> Iterator[str]:
    """The lines of a text, found character by character."""
    line, at = "", 0
    while at < len(text):
        char = text[at]
        at += 1
        line += char
        if char == "\r" and at < len(text) and text[at] == "\n":
            continue
        if char in "\r\n":
            yield line
            line = ""
    yield line


def reference_offset(text: str, position: tuple[int, int], encoding: PositionEncoding) -> int:
    """The offset of an LSP position in a text, found by walking over it from its start."""
    line, units_left = position
    at = 0
    while line > 0 and at < len(text):
        crlf = text[at] == "\r" and text[at + 1 : at + 2] == "\n"
        at += 2 if crlf else 1
        if text[at - 1] in "\r\n":
            line -= 1
    if line > 0:
        return len(text)
    while at < len(text) and text[at] not in "\r\n":
        units_left -= _units(text[at], encoding)
        if units_left < 0:
            break
        at += 1
    return at


def _units(char: str, encoding: PositionEncoding) -> int:
    code = ord(char)
    if encoding == "utf-32":
        return 1
    if encoding == "utf-16":
        return 2 if code > 0xFFFF else 1
    return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)


def main(argv: list[str] | None = None) -> int:
    """Run the fuzz from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args(argv)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
    began_s = time.monotonic()
    report = run(args.edits, seed, max_divergences=10)
    took_s = time.monotonic() - began_s
    print(
        f"seed {seed}: {report.n_edits} edits, {report.n_comparisons} comparisons, "
        f"{len(report.divergences)} divergences, {took_s:.0f} s"
    )
    for divergence in report.divergences:
        print(divergence)
    return 1 if report.divergences else 0


if __name__ == "__main__":
    sys.exit(main())
