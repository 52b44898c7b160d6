"""The definitions of a file, from which those of its next version are made."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import tree_sitter

from context.outline import Definition, flatten, line_end, line_start, moved
from context.reader import Earlier, Known, Reader
from context.sequences import common_prefix_length

_IMPORTS = frozenset({"import_statement", "import_from_statement", "future_import_statement"})


class _Part:
    """What one node at the top of a file says; offsets count from where it begins.

    Args:
        found: its definitions.
        members: definitions by the nodes inside of classes, see ``Reader``.
        is_import: whether it is an import.

    Attributes:
        all: the definitions and their members, in order, each with the name of its class.
    """

    __slots__ = ("_begin", "_found", "_moved", "all", "is_import", "members", "names")

    def __init__(self, found: tuple[Definition, ...], members: Known, is_import: bool) -> None:
        self.members = members
        self.is_import = is_import
        self.all = [*_with_owners(found)]
        self.names = [definition.name for definition, _ in self.all]
        self._found = found
        self._begin = -1
        self._moved: list[Definition] = []

    def at(self, begin: int) -> list[Definition]:
        """The same for a node that begins there."""
        if begin != self._begin:
            self._moved = flatten(moved(definition, begin) for definition in self._found)
            self._begin = begin
        return self._moved

    def tells_the_same(self, other: _Part) -> bool:
        """Whether it has the same names in the same order."""
        return self.names == other.names and self.is_import == other.is_import


def _with_owners(found: Iterable[Definition], owner: str = "") -> Iterator[tuple[Definition, str]]:
    for definition in found:
        yield definition, owner
        yield from _with_owners(definition.members, definition.name)


_NOTHING = _Part((), {}, is_import=False)


class _Edit(NamedTuple):
    """What became of a text.

    Args:
        first: where the lines begin that were touched.
        last: where these lines end, now.
        shift: by how much all behind them moved.
    """

    first: int
    last: int
    shift: int


class Definitions:
    """The definitions of a file, kept by the nodes at the top of its tree.

    What stands in a node depends on its text alone, so at the next version of the file only the
    nodes that were touched are looked into, and those with errors, which may be read otherwise.
    What only moved gets its new offsets when it is asked for.

    Args:
        data: the text, as UTF-8.
        begins: offset at which each node at the top begins.
        ends: offset at which each one ends.
    """

    __slots__ = ("_by_name", "_ends", "_imports", "_parts", "_unsure", "begins", "data")

    def __init__(
        self, data: bytes = b"", begins: Sequence[int] = (), ends: Sequence[int] = ()
    ) -> None:
        self.data = data
        self.begins = begins
        self._ends = ends
        self._parts: list[_Part] = []
        self._unsure: list[int] = []
        self._by_name: dict[str, list[tuple[int, int]]] | None = None
        self._imports: list[int] | None = None

    # -- what they are -------------------------------------------------------------------

    def __iter__(self) -> Iterator[Definition]:
        """All of them, with the members of classes, in file order."""
        return chain.from_iterable(self._at(number) for number in range(len(self._parts)))

    def near(self, start: int, end: int) -> list[Definition]:
        """Those in nodes that stand, if in part, on some lines, in file order.

        Args:
            start: offset in the first line.
            end: offset in the last line.
        """
        last = self.data.find(b"\n", end)
        stop = bisect_right(self.begins, last) if last >= 0 else len(self.begins)
        return [*chain.from_iterable(self._at(n) for n in range(self._above(start), stop))]

    def above(self, offset: int) -> Iterator[Definition]:
        """Those in nodes that end above the line of a byte, the last one first."""
        for number in reversed(range(self._above(offset))):
            yield from reversed(self._at(number))

    def named(self, names: Iterable[str]) -> list[tuple[Definition, str]]:
        """Those that have one of some names, in file order, each with the name of its class."""
        if self._by_name is None:
            self._by_name = {}
            for number, part in enumerate(self._parts):
                for place, name in enumerate(part.names):
                    self._by_name.setdefault(name, []).append((number, place))
        found = []
        for number, place in sorted({p for name in names for p in self._by_name.get(name, ())}):
            definition, owner = self._parts[number].all[place]
            found.append((moved(definition, self.begins[number]), owner))
        return found

    def imports(self) -> Iterator[tuple[int, int]]:
        """Byte ranges of the whole lines of the imports at the top of the file, in order."""
        if self._imports is None:
            self._imports = [n for n, part in enumerate(self._parts) if part.is_import]
        last = 0
        for number in self._imports:
            start = line_start(self.data, self.begins[number])
            if start >= last:
                last = line_end(self.data, self._ends[number])
                yield start, last

    def _at(self, number: int) -> list[Definition]:
        return self._parts[number].at(self.begins[number])

    def _above(self, offset: int) -> int:
        """How many nodes end above the line of a byte."""
        return bisect_left(self._ends, line_start(self.data, offset))

    # -- the next version ----------------------------------------------------------------

    def updated(
        self, root: tree_sitter.Node, data: bytes, start: int, old_end: int, new_end: int
    ) -> Definitions:
        """Those of the next version of the file.

        Args:
            root: of its tree.
            data: its text.
            start: of the one range that differs.
            old_end: its end in this version.
            new_end: its end in the next one.
        """
        nodes = root.named_children
        made = Definitions(data, [n.start_byte for n in nodes], [n.end_byte for n in nodes])
        last = data.find(b"\n", new_end) + 1 or len(data) + 1
        edit = _Edit(line_start(data, start), last, new_end - old_end)
        n_head, n_tail = self._stayed(made, edit)
        n_more = len(nodes) - len(self._parts)
        touched = range(n_head, len(nodes) - n_tail)
        if root.has_error:
            made._unsure = [number for number, node in enumerate(nodes) if node.has_error]
        anew = {
            *touched,
            *made._unsure,
            *(number for number in self._unsure if number < n_head),
            *(number + n_more for number in self._unsure if number + n_more >= touched.stop),
        }
        made._parts = [
            *self._parts[:n_head],
            *(_NOTHING for _ in touched),
            *self._parts[len(self._parts) - n_tail :],
        ]
        for number in anew:
            made._parts[number] = self._read(nodes[number], data, edit)
        if not n_more and all(made._parts[n].tells_the_same(self._parts[n]) for n in anew):
            made._by_name, made._imports = self._by_name, self._imports
        return made

    def _stayed(self, made: Definitions, edit: _Edit) -> tuple[int, int]:
        """How many nodes above an edit, and how many below it, are where they were."""
        n_head = min(
            bisect_left(made._ends, edit.first),
            common_prefix_length(made.begins, self.begins),
            common_prefix_length(made._ends, self._ends),
        )
        n_below = min(
            len(made.begins) - max(n_head, bisect_left(made.begins, edit.last)),
            len(self.begins) - n_head,
        )

        def n_same(new: Sequence[int], old: Sequence[int]) -> int:
            there = [offset + edit.shift for offset in old[len(old) - n_below :]]
            return common_prefix_length(new[len(new) - n_below :][::-1], there[::-1])

        return n_head, min(n_same(made.begins, self.begins), n_same(made._ends, self._ends))

    def _read(self, node: tree_sitter.Node, data: bytes, edit: _Edit) -> _Part:
        begin = node.start_byte
        has_moved = begin >= edit.last
        before = begin - edit.shift if has_moved else begin
        number = bisect_left(self.begins, before)
        is_known = number < len(self.begins) and self.begins[number] == before
        earlier = Earlier(
            known=self._parts[number].members if is_known else {},
            first=edit.first - begin,
            last=edit.last - begin,
            # What moved as a whole is inside what it was.
            shift=0 if has_moved else edit.shift,
        )
        reader = Reader(data, begin, earlier)
        found = tuple(reader.within(node))
        return _Part(found, reader.read, is_import=node.type in _IMPORTS)
