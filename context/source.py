"""Languages: LSP ids by file name, and how they mark a comment."""

from __future__ import annotations

from pathlib import PurePath

_BY_SUFFIX = {
    ".py": "python", ".pyi": "python", ".pyw": "python",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp",
    ".cs": "csharp", ".css": "css", ".go": "go", ".html": "html", ".java": "java",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascriptreact",
    ".ts": "typescript", ".tsx": "typescriptreact", ".json": "json", ".kt": "kotlin",
    ".lua": "lua", ".md": "markdown", ".php": "php", ".pl": "perl", ".r": "r", ".rb": "ruby",
    ".rs": "rust", ".scala": "scala", ".sh": "shellscript", ".bash": "shellscript",
    ".sql": "sql", ".swift": "swift", ".toml": "toml", ".vim": "vim", ".yaml": "yaml",
    ".yml": "yaml", ".zig": "zig",
}  # fmt: skip
SUFFIXES = tuple(_BY_SUFFIX)
_BY_NAME = {"Makefile": "makefile", "Dockerfile": "dockerfile", "CMakeLists.txt": "cmake"}

_HASH = frozenset(
    {
        "python",
        "ruby",
        "shellscript",
        "perl",
        "r",
        "toml",
        "yaml",
        "makefile",
        "dockerfile",
        "cmake",
    }
)
_DASHES = frozenset({"lua", "sql", "haskell"})


def language_of(path: str) -> str:
    """The LSP language id for a file name; ``plaintext`` when it is not known."""
    name = PurePath(path)
    return _BY_NAME.get(name.name) or _BY_SUFFIX.get(name.suffix.lower(), "plaintext")


def line_comment(language: str) -> str:
    """What starts a comment up to the end of the line; "" when unknown."""
    if language in _HASH:
        return "#"
    if language in _DASHES:
        return "--"
    return "" if language in {"plaintext", "markdown", "json", "html", "css"} else "//"
