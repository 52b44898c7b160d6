"""Which lines of a Python file are worth typing again, and how they group into targets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

import msgspec

from benchmarks.replay.types import Target
from context.syntax import SyntaxTree
from context.types import SourceFile

MIN_CHARACTERS = 8
# Larger files are data, not code that somebody typed.
MAX_FILE_BYTES = 512 * 1024
# So many other lines may stand between two lines of one target.
_MAX_GAP = 3
_MAX_RUN = 30
# A long run is not split closer to its start than this.
_MIN_PIECE = 8
_VENDORED = {
    "_vendor",
    "_vendored",
    "_vendored_packages",
    "extern",
    "node_modules",
    "site-packages",
    "third_party",
    "thirdparty",
    "vendor",
    "vendored",
}
_GENERATED_NAME = re.compile(r".*_pb2(_grpc)?\.py|.*_(generated|autogen)\.py")
_VERSION_NAMES = {"__version__.py", "_version.py", "version.py"}
# packaging/version.py is code; files that a build tool writes are short.
_MAX_VERSION_LINES = 40
_GENERATED = re.compile(
    r"@generated|generated (by|from|with|using)\b|auto-?\s?generated|do not (edit|modify)"
    r"|don't (edit|change)",
    re.IGNORECASE,
)
_HEADER_LINES = 8
# A line that goes on with the statement or block above it; no target begins there.
_CONTINUES = re.compile(r"[\])}]|(elif|else|except|finally|case)\b")


class CodeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Python file whose lines may be targets.

    Args:
        path: relative to the project's root, with slashes.
        lines: without EOL; an editor counts the same lines.
        usable: the indexes of lines that are long enough and outside multi-line strings.
    """

    path: str
    lines: tuple[str, ...]
    usable: tuple[int, ...]


def is_vendored(path: str) -> bool:
    """Whether a folder of the path says that the file was copied from another project."""
    return not _VENDORED.isdisjoint(PurePosixPath(path).parts[:-1])


def code_file(path: str, data: bytes) -> CodeFile | None:
    """Read a file; None when nobody typed it or it cannot be read for sure.

    Left out are files that are no Python, vendored, generated, too large, not UTF-8, with a lone
    carriage return (tools disagree on what a line is), or with a syntax error.

    Args:
        path: relative to the project's root, with slashes.
        data: its bytes.
    """
    if not path.endswith(".py") or is_vendored(path) or len(data) > MAX_FILE_BYTES:
        return None
    text = split_lines(data)
    if text is None or _is_generated(path, text):
        return None
    tree = SyntaxTree.parse(SourceFile(path=path, language="python", data=data))
    if tree is None or tree.root.has_error:
        return None
    inside = set(_multi_line_strings(tree))
    usable = tuple(
        index
        for index, line in enumerate(text)
        if index not in inside and len(line.strip()) >= MIN_CHARACTERS
    )
    return CodeFile(path=path, lines=tuple(text), usable=usable)


def split_lines(data: bytes) -> list[str] | None:
    """Lines without EOL; None when the bytes are not UTF-8 or the lines are ambiguous."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    return None if "\r" in text or "\0" in text else text.split("\n")


def targets_of(file: CodeFile, fresh: Collection[int], *, new_file: bool) -> list[Target]:
    """The fresh lines of a file as targets, top-down.

    Lines that stand close together are one target. A long run is split where the code is
    outdented most, after blank lines if there are any.

    Args:
        file: the file.
        fresh: indexes of lines that are new; those that are not usable are left out.
        new_file: whether the whole file is new.
    """
    chosen = [index for index in file.usable if index in fresh]
    targets = []
    for run in _runs(chosen):
        for piece in _split(run, file.lines):
            targets.append(
                Target(
                    path=file.path,
                    first_line=piece[0],
                    last_line=piece[-1] + 1,
                    lines=tuple(piece),
                    new_file=new_file,
                )
            )
    return targets


def _is_generated(path: str, lines: Sequence[str]) -> bool:
    name = PurePosixPath(path).name
    if _GENERATED_NAME.fullmatch(name):
        return True
    if name in _VERSION_NAMES and len(lines) <= _MAX_VERSION_LINES:
        return True
    return any(_GENERATED.search(line) for line in lines[:_HEADER_LINES] if line.startswith("#"))


def _multi_line_strings(tree: SyntaxTree) -> Iterator[int]:
    """The lines that a string of more than one line touches."""
    nodes = [tree.root]
    while nodes:
        node = nodes.pop()
        first, last = node.start_point.row, node.end_point.row
        if first == last:
            continue
        if node.type == "string":
            yield from range(first, last + 1)
        else:
            nodes.extend(node.children)


def _runs(lines: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for line in lines:
        if run and line - run[-1] > _MAX_GAP + 1:
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _split(run: list[int], lines: Sequence[str]) -> Iterator[list[int]]:
    while run[-1] - run[0] >= _MAX_RUN:
        cut = _best_cut(run, lines)
        yield run[:cut]
        run = run[cut:]
    yield run


def _best_cut(run: Sequence[int], lines: Sequence[str]) -> int:
    """Index into the run of the line that a new target begins with."""

    def cost(at: int) -> tuple[bool, int, bool, int]:
        line = lines[run[at]]
        indent = len(line) - len(line.lstrip())
        above = lines[run[at] - 1].strip()
        decorated = above.startswith("@")
        return bool(_CONTINUES.match(line.strip())) or decorated, indent, bool(above), -at

    places = [at for at in range(1, len(run)) if _MIN_PIECE <= run[at] - run[0] <= _MAX_RUN]
    # Only lines that are far apart from their neighbours could leave none; gaps are short.
    return min(places, key=cost)
