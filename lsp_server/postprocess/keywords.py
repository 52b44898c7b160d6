"""A line that begins something new at the top level of a file ends a suggestion."""

from __future__ import annotations

import re
from collections.abc import Sequence

from context.scope import leading
from lsp_server.postprocess.cut import Cut
from lsp_server.postprocess.surroundings import Surroundings

_SCRIPT = ("function", "class", "export", "import", "interface", "type", "enum", "namespace")
_C = ("typedef", "struct", "enum", "union", "static", "extern", "void", "int", "char")
_JVM = ("class", "interface", "enum", "package", "import", "public", "abstract", "object", "fun")
_BY_LANGUAGE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact"), _SCRIPT),
    **dict.fromkeys(("java", "kotlin", "scala"), _JVM),
    "c": _C,
    "cpp": (*_C, "class", "namespace", "template", "using"),
    "csharp": ("namespace", "class", "interface", "enum", "public", "using", "struct"),
    "go": ("func", "type", "var", "const", "import", "package"),
    "rust": ("fn", "pub", "impl", "struct", "enum", "trait", "mod", "use", "extern"),
    "ruby": ("def", "class", "module", "require"),
    "lua": ("function",),
    "php": ("function", "class", "namespace", "interface", "trait", "use"),
    "shellscript": ("function",),
    "swift": ("func", "class", "struct", "enum", "protocol", "extension", "import"),
    "zig": ("fn", "pub", "const", "test"),
}
_WORD = re.compile(r"\w+(?=\W)")


def keyword_cut(lines: Sequence[str], place: Surroundings, start: int = 0) -> Cut | None:
    """Where such a line begins: inside an indented block, or behind a blank line.

    Python's blocks are followed by their indents (``context.block``).

    Args:
        lines: complete lines; the first one with what stands left of the cursor.
        place: of the completion.
        start: length of what stands left of the cursor.
    """
    words = _BY_LANGUAGE.get(place.scope.language)
    if words is None or not place.is_code:
        return None
    is_inside = bool(place.scope.indent)
    at, keep = -start, 0
    is_gap = False
    n_lines = 0
    for line in lines:
        begin, at = at, at + len(line) + 1
        found = _WORD.match(line + "\n")
        is_new = begin > 0 and found is not None and found.group() in words
        if is_new and n_lines and (is_inside or is_gap) and not leading(line):
            return Cut(at, keep, "keyword")
        is_gap = not line.strip()
        if not is_gap:
            n_lines += 1
            keep = begin + len(line)
    return None
