"""What a Python file imports, read off its text: half-typed code has imports too."""

from __future__ import annotations

import re

import msgspec

from context.blocks import PerBlock
from context.types import SourceFile

_FROM = re.compile(
    r"^[ \t]*from[ \t]+(?P<dots>\.*)[ \t]*(?P<module>[\w.]*)[ \t]+import[ \t]+"
    r"(?P<names>\((?:[^()]*)\)?|[^\n;]+)",
    re.MULTILINE,
)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+(?P<modules>[^\n;#]+)", re.MULTILINE)
_NAMED = re.compile(r"(?P<name>\*|\w+)(?:[ \t]+as[ \t]+(?P<alias>\w+))?\s*")
_MODULE = re.compile(r"(?P<name>\w+(?:\.\w+)*)(?:[ \t]+as[ \t]+(?P<alias>\w+))?\s*")
_COMMENT = re.compile(r"#[^\n]*")
_MAX_NAMES_CHARS = 8192


class Import(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A name that an import brings into a file.

    Args:
        local: what it is called there; ``*`` for all names of the module.
        module: dotted name of the module it comes from; "" where only dots say so.
        level: number of dots before the module; 0 for an absolute import.
        name: its name in the module; "" when it is the module itself.
    """

    local: str
    module: str
    level: int = 0
    name: str = ""


def imports_of(text: str) -> tuple[Import, ...]:
    """All imports of a file, in its order, those inside of functions too.

    Args:
        text: of the file.
    """
    pieces, _ = _around_imports(text)
    return _imports_in("\n".join(pieces))


def imports_in(file: SourceFile) -> tuple[Import, ...]:
    """The same for the open file, where they are asked for at every key.

    Args:
        file: the text.
    """
    found: list[Import] = []
    begin: int | None = None
    for start, block, (imports, open_at) in _BY_BLOCK.of(file):
        if begin is not None:  # in the block before, an import that ends in this one
            imports, open_at = _in_block(file.data[begin : start + len(block)])
            start = begin
        begin = start + open_at if open_at is not None else None
        found += imports
    if begin is not None:
        found += imports_of(file.data[begin:].decode("utf-8", "replace"))
    return tuple(found)


def _in_block(block: bytes) -> tuple[tuple[Import, ...], int | None]:
    """Imports of a block, and where one begins that may end behind it."""
    text = block.decode("utf-8", "replace")
    pieces, open_at = _around_imports(text)
    if open_at is None:
        return _imports_in("\n".join(pieces)), None
    return _imports_in("\n".join(pieces[:-1])), len(text[:open_at].encode())


_BY_BLOCK = PerBlock(_in_block)


def _around_imports(text: str) -> tuple[list[str], int | None]:
    """The statements of a text that may be imports, and where one begins that may go on behind it.

    Finding a word is fast, all else is slow.
    """
    pieces: list[str] = []
    open_at: int | None = None
    at = text.find("import")
    while at >= 0:
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.lstrip().startswith(("import", "from")):
            if "(" in line and ")" not in line:
                closed = text.find(")", end, end + _MAX_NAMES_CHARS)
                if closed < 0 and end + _MAX_NAMES_CHARS > len(text):
                    open_at = start
                end = closed + 1 if closed >= 0 else min(len(text), end + _MAX_NAMES_CHARS)
            pieces.append(text[start:end])
        at = text.find("import", max(end, at + 6))
    return pieces, open_at


def _imports_in(text: str) -> tuple[Import, ...]:
    found: list[tuple[int, Import]] = []
    for match in _FROM.finditer(text):
        names = _COMMENT.sub("", match["names"][:_MAX_NAMES_CHARS])
        level = len(match["dots"])
        if not level and not match["module"]:
            continue
        for part in names.strip("() \t\n\\").split(","):
            named = _NAMED.match(part.strip(" \t\n\\"))
            if named and named["name"] not in ("import", "from"):
                local = named["alias"] or named["name"]
                item = Import(local, match["module"].strip("."), level, named["name"])
                found.append((match.start(), item))
    for match in _IMPORT.finditer(text):
        for part in match["modules"].split(","):
            module = _MODULE.match(part.strip())
            if module:
                # ``import a.b`` binds ``a``, and what is used of it is written as ``a.b``.
                local = module["alias"] or module["name"]
                found.append((match.start(), Import(local, module["name"])))
    found.sort(key=lambda pair: pair[0])
    return tuple(item for _, item in found)


def relative_stem(item: Import, path: str) -> str | None:
    """The path, without its suffix, of the module that a relative import names.

    Args:
        item: the import; it has dots.
        path: of the file it stands in, relative to the root, with slashes.

    Returns:
        None where the dots lead out of the root.
    """
    folders = path.split("/")[:-1]
    n_up = item.level - 1
    if n_up > len(folders):
        return None
    parts = item.module.split(".") if item.module else []
    return "/".join(folders[: len(folders) - n_up] + parts)
