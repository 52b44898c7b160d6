"""The other files of a project: definitions by name, imports, and chunks of text by BM25.

A peer asks a language server for definitions, or keeps an index. Here both are read off the
files on the disk. The file that is open is left out of all answers: what the disk has of it is
its future.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from context.outline import Definition, flatten
from context.reader import definitions
from context.syntax import SyntaxTree
from context.types import SourceFile

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
_MAX_FILE_BYTES = 512 * 1024
# Characters of an indexed chunk; Tabby's indexer cuts files into chunks of about this size.
_CHUNK_CHARS = 512
_FROM = re.compile(r"^[ \t]*from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)?|[^\n#]+)", re.M)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w.]+)(?:[ \t]+as[ \t]+(\w+))?", re.M)
_NAME = re.compile(r"(\w+)(?:[ \t]+as[ \t]+(\w+))?")
_COMMENT = re.compile(r"#[^\n]*")
_WORD = re.compile(r"\w+")
_MAX_HOPS = 3
# Okapi BM25 with the usual constants, which are also those of Tabby's search library.
_K1, _B = 1.2, 0.75


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """A definition: its name, the file it stands in, and its text."""

    name: str
    path: str
    text: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines of a file."""

    path: str
    text: str


class Library:
    """The Python files of a project, by path relative to its root.

    Args:
        files: path (with slashes) to text with ``\\n`` as its only EOL.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = dict(sorted(files.items()))
        self._symbols: dict[str, dict[str, list[Symbol]]] = {}
        self._index: tuple[str, Index] | None = None
        # By file, of the text that was asked about last.
        self._known_imports: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {}

    @staticmethod
    def load(root: Path) -> Library:
        """Read a project; files that are no UTF-8 or very large are left out."""
        found = {}
        for path in root.rglob("*.py"):
            parts = path.relative_to(root).parts
            if any(part in _LEFT_OUT or part.startswith(".") for part in parts):
                continue
            try:
                if path.stat().st_size <= _MAX_FILE_BYTES:
                    text = path.read_text("utf-8")
                    found[PurePosixPath(*parts).as_posix()] = text
            except (OSError, UnicodeDecodeError):
                continue
        return Library(found)

    def others(self, open_path: str) -> list[str]:
        """Paths of all files but the open one."""
        return [path for path in self.files if path != open_path]

    def imported_paths(self, text: str, open_path: str) -> list[str]:
        """Files of the project that a text imports, in order of their first mention."""
        found = (path for path, _ in self._imports(text, open_path).values())
        return [path for path in dict.fromkeys(found) if path != open_path]

    def imported(self, name: str, text: str, open_path: str) -> Symbol | None:
        """The definition of a name that a text imports, through re-exports if need be."""
        for _ in range(_MAX_HOPS):
            path, name = self._imports(text, open_path).get(name, ("", name))
            if not path or path == open_path:
                return None
            if symbols := self._of(path).get(name):
                return symbols[0]
            # Followed from the place where it stands: relative imports start there.
            text, open_path = self.files[path], path
        return None

    def defined(self, name: str, open_path: str) -> Symbol | None:
        """The one definition of a name in the other files; None if there are several or none."""
        found = [s for path in self.others(open_path) for s in self._of(path).get(name, ())]
        return found[0] if len(found) == 1 else None

    def search(self, query: str, open_path: str, limit: int) -> list[Chunk]:
        """Chunks of other files by BM25, best first."""
        if self._index is None or self._index[0] != open_path:
            files = ((path, self.files[path]) for path in self.others(open_path))
            self._index = (open_path, Index(c for path, text in files for c in chunks(path, text)))
        return self._index[1].search(query, limit)

    def _of(self, path: str) -> dict[str, list[Symbol]]:
        if path not in self._symbols:
            by_name: dict[str, list[Symbol]] = defaultdict(list)
            for symbol in symbols_of(path, self.files[path]):
                by_name[symbol.name].append(symbol)
            self._symbols[path] = by_name
        return self._symbols[path]

    def _imports(self, text: str, path: str) -> dict[str, tuple[str, str]]:
        """Name in the text → file it comes from and its name there."""
        known = self._known_imports.get(path)
        if known is None or known[0] != text:
            known = self._known_imports[path] = (text, self._read_imports(text, path))
        return known[1]

    def _read_imports(self, text: str, path: str) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for match in _FROM.finditer(text):
            module, names = match.groups()
            for name in _NAME.finditer(_COMMENT.sub("", names)):
                original, alias = name.groups()
                separator = "" if module.endswith(".") else "."
                submodule = self._module(f"{module}{separator}{original}", path)
                place = submodule or self._module(module, path)
                if place:
                    found[alias or original] = (place, original)
        for match in _IMPORT.finditer(text):
            module, alias = match.groups()
            if place := self._module(module, path):
                found[alias or module.rpartition(".")[2]] = (place, module)
        return found

    def _module(self, module: str, path: str) -> str:
        """The file of a module, as it is imported in a file; "" if it is not of the project."""
        name = module.lstrip(".")
        n_dots = len(module) - len(name)
        parts = name.split(".") if name else []
        if n_dots:
            folder = PurePosixPath(path).parent.parts
            base = folder[: len(folder) - (n_dots - 1)]
            candidates = self._candidates([*base, *parts])
            return next((c for c in candidates if c in self.files), "")
        candidates = self._candidates(parts)
        for known in self.files:
            for candidate in candidates:
                source = known.removesuffix(candidate)
                # A source folder (src/) may lie between the root and the package, no package.
                whole = known == candidate or (source != known and source.endswith("/"))
                if whole and f"{source}__init__.py" not in self.files:
                    return known
        return ""

    @staticmethod
    def _candidates(parts: list[str]) -> tuple[str, str]:
        return "/".join(parts) + ".py", "/".join([*parts, "__init__.py"])


class Index:
    """Chunks that are found by their words.

    Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.

    Args:
        found: the chunks.
    """

    def __init__(self, found: Iterable[Chunk]) -> None:
        self._chunks = list(found)
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._lengths = []
        for number, chunk in enumerate(self._chunks):
            words = _WORD.findall(chunk.text)
            self._lengths.append(len(words))
            for word, n in Counter(words).items():
                self._postings[word].append((number, n))
        self._mean = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0

    def search(self, query: str, limit: int) -> list[Chunk]:
        """The chunks that fit a text best, best first; chunks without a common word never do."""
        scores: dict[int, float] = defaultdict(float)
        for word in sorted(set(_WORD.findall(query))):
            postings = self._postings.get(word, ())
            n_with = len(postings)
            rarity = math.log(1 + (len(self._chunks) - n_with + 0.5) / (n_with + 0.5))
            for number, n in postings:
                weight = 1 - _B + _B * self._lengths[number] / self._mean
                scores[number] += rarity * n * (_K1 + 1) / (n + _K1 * weight)
        best = sorted(scores, key=lambda number: (-scores[number], number))
        return [self._chunks[number] for number in best[:limit]]


def symbols_of(path: str, text: str) -> Iterator[Symbol]:
    """Functions, classes, members and constants of a Python file, with their whole text."""
    data = text.encode("utf-8", "replace")
    for definition in definitions_of(path, data):
        body = data[definition.start_byte : definition.end_byte].decode("utf-8", "replace")
        yield Symbol(name=definition.name, path=path, text=body.rstrip("\n"))


def definitions_of(path: str, data: bytes) -> list[Definition]:
    """Definitions of a Python file, in order."""
    tree = SyntaxTree.parse(SourceFile(path=path, language="python", data=data))
    return flatten(definitions(tree.root, data)) if tree is not None else []


def chunks(path: str, text: str) -> Iterator[Chunk]:
    """A file in chunks of whole lines, about 512 characters each."""
    piece = ""
    for line in text.splitlines(keepends=True):
        if piece and len(piece) + len(line) > _CHUNK_CHARS:
            if piece.strip():
                yield Chunk(path=path, text=piece.rstrip("\n"))
            piece = ""
        piece += line
    if piece.strip():
        yield Chunk(path=path, text=piece.rstrip("\n"))
