"""All files of a workspace together: where a name is defined, which files are about some words."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from context.workspace.imports import Import, relative_stem
from context.workspace.symbols import FileSymbols, Symbol

_MAX_HOPS = 4
_MAX_ROOTS = 16
_PYTHON = (".py", ".pyi", "/__init__.py", "/__init__.pyi")
# Lists of files are made anew when so many of their entries are of files that are gone.
_MAX_DEAD_SHARE = 0.5
_MIN_DEAD = 256
# Files are not looked for by words that so many of them have.
_MAX_SPREAD, _MAX_SPREAD_SHARE = 64, 0.03
# Entries of such lists that are gone through for one question, about a millisecond.
_MAX_POSTINGS = 10_000
# Of a large workspace source folders are looked for anew when so much of it has come or gone.
_MANY_FILES, _MAX_UNROOTED_SHARE = 4096, 1 / 64


class Place(msgspec.Struct, frozen=True, gc=False):
    """A definition and the file it stands in."""

    path: str
    symbol: Symbol


class WorkspaceIndex:
    """The symbols and words of the files of a workspace.

    One thread uses it. Paths are relative to the root, with slashes.

    Args:
        name: of the workspace, for the repo-level FIM form.
        read: gives a file's text as UTF-8 with ``\\n`` as its only EOL, None if it is gone.

    Attributes:
        files: what is known, by path.
        version: grows with each change of a file.
    """

    def __init__(self, name: str, read: Callable[[str], bytes | None]) -> None:
        self.name = name
        self.read = read
        self.files: dict[str, FileSymbols] = {}
        self.version = 0
        self._defined: dict[str, dict[str, None]] = defaultdict(dict)
        self._named: dict[str, dict[str, None]] = defaultdict(dict)
        self._stems: dict[str, str] = {}
        self._roots: list[str] = []
        self._n_rooted = 0
        # Words are kept with numbers for files: a hundred thousand lists of paths are too much.
        self._numbers: dict[str, int] = {}
        self._paths: list[str | None] = []
        self._with_word: dict[str, list[int]] = {}
        self._n_dead = 0
        # Answers that hold until a file changes: while the user types the same is asked again.
        self._places: dict[str, tuple[Place, ...]] = {}
        self._imported: dict[tuple[Import, str], Place | str | None] = {}

    # -- files come and go ---------------------------------------------------------------

    def put(self, path: str, symbols: FileSymbols) -> None:
        """Take up a file, or its new text."""
        self._changed()
        if self.files.get(path) == symbols:
            return
        self.drop(path)
        self.files[path] = symbols
        self._named[_name(path)][path] = None
        for symbol in symbols.symbols:
            self._defined[symbol.name][path] = None
        number = self._numbers[path] = len(self._paths)
        self._paths.append(path)
        for word in symbols.words:
            self._with_word.setdefault(word, []).append(number)
        if symbols.language == "python":
            self._stems[_stem(path)] = path

    def drop(self, path: str) -> None:
        """A file is gone."""
        self._changed()
        symbols = self.files.pop(path, None)
        if symbols is None:
            return
        for symbol in symbols.symbols:
            places = self._defined.get(symbol.name)
            if places is not None:
                places.pop(path, None)
                if not places:
                    del self._defined[symbol.name]
        self._named[_name(path)].pop(path, None)
        self._paths[self._numbers.pop(path)] = None
        self._n_dead += 1
        if self._stems.get(_stem(path)) == path:
            del self._stems[_stem(path)]
        if self._n_dead > max(_MIN_DEAD, _MAX_DEAD_SHARE * len(self._paths)):
            self._renumber()

    def _changed(self) -> None:
        self.version += 1
        self._places.clear()
        self._imported.clear()

    def _renumber(self) -> None:
        """Words of files that are gone are forgotten."""
        self._paths = [*self.files]
        self._numbers = {path: number for number, path in enumerate(self.files)}
        self._with_word = {}
        for path, symbols in self.files.items():
            for word in symbols.words:
                self._with_word.setdefault(word, []).append(self._numbers[path])
        self._n_dead = 0

    def named(self, name: str) -> list[str]:
        """Files of this name, in any folder."""
        return [*self._named.get(name, ())]

    # -- names ---------------------------------------------------------------------------

    def defined(self, name: str) -> tuple[Place, ...]:
        """Definitions of a name in all files, in the order in which these became known."""
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = tuple(
                Place(path, symbol)
                for path in self._defined.get(name, ())
                for symbol in self.files[path].symbols
                if symbol.name == name
            )
        return found

    def n_defined(self, name: str) -> int:
        """In how many files a name is defined."""
        return len(self._defined.get(name, ()))

    def members(self, place: Place) -> Iterator[Place]:
        """Definitions inside of a class."""
        symbol = place.symbol
        inside = f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name
        for other in self.files[place.path].symbols:
            if other.container == inside and (
                symbol.start_byte <= other.start_byte and other.end_byte <= symbol.end_byte
            ):
                yield Place(place.path, other)

    def top_level(self, path: str, name: str) -> Place | None:
        """What a file defines under a name; the last definition wins, as when it is run."""
        file = self.files.get(path)
        for symbol in reversed(file.symbols if file else ()):
            if symbol.name == name and not symbol.container:
                return Place(path, symbol)
        return None

    def module(self, item: Import, path: str) -> str | None:
        """The file of the module that an import names; None if it is not in the workspace.

        Args:
            item: the import.
            path: of the file it stands in.
        """
        if item.level:
            stem = relative_stem(item, path)
            return None if stem is None else self._stems.get(stem)
        dotted = item.module.replace(".", "/")
        for root in self._source_roots(path):
            module = self._stems.get(f"{root}/{dotted}" if root else dotted)
            if module is not None:
                return module
        return None

    def imported(self, item: Import, path: str) -> Place | str | None:
        """What an import brings: a definition, or the path of a module; None if it is not ours.

        Re-exports are followed.

        Args:
            item: the import.
            path: of the file it stands in.
        """
        asked = item, path
        if asked not in self._imported:
            self._imported[asked] = self._follow(item, path)
        return self._imported[asked]

    def _follow(self, item: Import, path: str) -> Place | str | None:
        for _ in range(_MAX_HOPS):
            module = self.module(item, path)
            if not item.name or item.name == "*":
                return module
            submodule = Import(item.local, f"{item.module}.{item.name}".strip("."), item.level)
            if module is None:
                return self.module(submodule, path)
            if (place := self.top_level(module, item.name)) is not None:
                return place
            again = self._reexport(module, item.name)
            if again is None:
                return self.module(submodule, path)
            item, path = again, module
        return None

    def exported(self, path: str, name: str) -> Place | None:
        """What a module has under a name, wherever that is defined.

        Args:
            path: of the module.
            name: in it.
        """
        place = self.top_level(path, name)
        if place is None and (item := self._reexport(path, name)) is not None:
            found = self.imported(item, path)
            place = found if isinstance(found, Place) else None
        return place

    def _reexport(self, path: str, name: str) -> Import | None:
        """The import by which a module has a name; stars are looked behind."""
        starred = None
        for item in self.files[path].imports:
            if item.local == name and item.name:
                return item
            if item.name == "*" and starred is None:
                module = self.module(item, path)
                if module is not None and self.top_level(module, name) is not None:
                    starred = Import(name, item.module, item.level, name)
        return starred

    def _source_roots(self, path: str) -> Iterable[str]:
        """Folders that absolute imports may start from, the file's own first."""
        own = self._source_root(path)
        return dict.fromkeys([own, "", "src", *self._known_roots()])

    def _known_roots(self) -> list[str]:
        n_files = len(self._stems)
        n_stale = _MAX_UNROOTED_SHARE * n_files if n_files > _MANY_FILES else 0
        if abs(n_files - self._n_rooted) > n_stale:
            self._n_rooted = n_files
            folders = Counter(path.rpartition("/")[0] for path in self._stems.values())
            roots: Counter[str] = Counter()
            for folder, n_inside in folders.items():
                roots[self._root_above(folder)] += n_inside
            self._roots = [root for root, _ in roots.most_common(_MAX_ROOTS)]
        return self._roots

    def _source_root(self, path: str) -> str:
        """The folder above the outermost package that a file is in."""
        return self._root_above(path.rpartition("/")[0])

    def _root_above(self, folder: str) -> str:
        while folder and self._is_package(folder):
            folder = folder.rpartition("/")[0]
        return folder

    def _is_package(self, folder: str) -> bool:
        return f"{folder}/__init__.py" in self.files or f"{folder}/__init__.pyi" in self.files

    # -- words ---------------------------------------------------------------------------

    def rarity(self, word: str) -> float:
        """How much it says that two texts have a word in common (inverse document frequency)."""
        n_files = max(1, len(self.files))
        n_with = len(self._with_word.get(word, ()))
        return math.log(1 + n_files / (1 + n_with))

    def with_word(self, word: str, limit: int) -> list[str]:
        """Files in which a word stands, at most so many."""
        found = []
        for number in self._with_word.get(word, ()):
            path = self._paths[number]
            if path is not None:
                found.append(path)
                if len(found) >= limit:
                    break
        return found

    def n_with_word(self, word: str) -> int:
        """In how many files a word stands."""
        return len(self._with_word.get(word, ()))

    def about(self, weights: Mapping[str, float], limit: int) -> list[str]:
        """Files that have most of some words, those that are rare counting more.

        Args:
            weights: of the words.
            limit: at most so many files.
        """
        scores: dict[int, float] = defaultdict(float)
        for word in self._telling(weights):
            gain = weights[word] * self.rarity(word)
            for number in self._with_word[word]:
                scores[number] += gain
        best = heapq.nsmallest(2 * limit, scores.items(), key=lambda pair: (-pair[1], pair[0]))
        paths = (self._paths[number] for number, _ in best)
        return [path for path in paths if path is not None][:limit]

    def _telling(self, words: Iterable[str]) -> list[str]:
        """Words that few files have, the rarest ones where these are many."""
        n_most = max(_MAX_SPREAD, _MAX_SPREAD_SHARE * len(self._paths))
        known = [word for word in words if 0 < self.n_with_word(word) <= n_most]
        n_left = _MAX_POSTINGS
        rarest = set()
        for word in sorted(known, key=self.n_with_word):
            n_left -= self.n_with_word(word)
            if n_left < 0:
                break
            rarest.add(word)
        return [word for word in known if word in rarest]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    """A path without what its module's name does not hold."""
    for suffix in reversed(_PYTHON):
        if path.endswith(suffix):
            return path[: -len(suffix)]
    return path
