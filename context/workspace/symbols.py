"""What one file says of itself: its definitions, its imports, the words in it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import msgspec

from context.outline import Definition, signature
from context.reader import definitions
from context.redact import redact
from context.syntax import SyntaxTree
from context.types import SourceFile
from context.workspace.grammars import definitions_in
from context.workspace.imports import Import, imports_of
from context.workspace.words import words_of

# Files of generated tables have more of both than anybody would look up.
_MAX_SYMBOLS = 2_000
_MAX_WORDS = 8_000
_MAX_SIGNATURE_CHARS = 600


class Symbol(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A definition, as another file's prompt may show it.

    Args:
        name: its own name.
        kind: ``function``, ``class`` or ``constant``.
        container: qualified name of the class it is a member of; "" at the top of the file.
        signature: header, first line of the docstring, and ``...`` for the body, with its indent;
            in other languages than Python the header alone.
        start_byte: of its first line.
        end_byte: behind its last line.
        bases: of a class, as they are written.
    """

    name: str
    kind: str
    container: str
    signature: str
    start_byte: int
    end_byte: int
    bases: tuple[str, ...] = ()


class FileSymbols(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the index keeps of a file.

    Args:
        language: LSP language id.
        symbols: definitions in file order, members behind their class.
        imports: what it imports.
        words: distinct words of three letters and more, in the order of their first appearance.
        n_bytes: size of the text.
    """

    language: str
    symbols: tuple[Symbol, ...]
    imports: tuple[Import, ...]
    words: tuple[str, ...]
    n_bytes: int


def symbols_of(file: SourceFile) -> FileSymbols:
    """Read a file; one without a grammar has words only.

    Args:
        file: the text, with ``\\n`` as its only EOL.
    """
    tree = SyntaxTree.parse(file)
    text = file.data.decode("utf-8", "replace")
    found: list[Symbol] = []
    defined = definitions(tree.root, file.data) if tree is not None else definitions_in(file)
    header = signature if tree is not None else _header
    for definition in defined:
        _add(found, definition, "", file.data, header)
    return FileSymbols(
        language=file.language,
        symbols=tuple(found[:_MAX_SYMBOLS]),
        imports=imports_of(text) if file.language == "python" else (),
        words=tuple(islice(words_of(redact(text)), _MAX_WORDS)),
        n_bytes=len(file.data),
    )


def _header(definition: Definition, data: bytes) -> str:
    """What stands before the body, in languages of which no more is known."""
    text = data[definition.start_byte : definition.header_end].decode("utf-8", "replace")
    return text.rstrip().removesuffix("{").removesuffix("=>").rstrip()


def _add(
    found: list[Symbol],
    definition: Definition,
    container: str,
    data: bytes,
    header: Callable[[Definition, bytes], str],
) -> None:
    # What the index holds lies on the disk between sessions.
    text = redact(header(definition, data).rstrip("\n"))
    found.append(
        Symbol(
            definition.name,
            definition.kind,
            container,
            text[:_MAX_SIGNATURE_CHARS],
            definition.start_byte,
            definition.end_byte,
            bases_in(text) if definition.kind == "class" and header is signature else (),
        )
    )
    inside = f"{container}.{definition.name}" if container else definition.name
    for member in definition.members:
        _add(found, member, inside, data, header)


def bases_in(header: str) -> tuple[str, ...]:
    """Base classes as the header of a class names them; keyword arguments are left out.

    Args:
        header: up to the colon or further.
    """
    start = header.find("(", header.find("class "))
    colon = header.find(":", header.find("class "))
    if start < 0 or (0 <= colon < start):
        return ()
    depth = 0
    part = ""
    parts: list[str] = []
    for sign in header[start + 1 :]:
        if sign == ")" and depth == 0:
            break
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += sign
    parts.append(part)
    # Of ``Generic[T]`` the name counts.
    names = [p.strip().partition("[")[0].strip() for p in parts if "=" not in p.partition("[")[0]]
    return tuple(name for name in names if name and name.replace(".", "").isidentifier())
